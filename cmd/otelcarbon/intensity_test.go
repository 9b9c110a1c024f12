package main

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/intensity/offline"
)

func TestLocationOf(t *testing.T) {
	for place, want := range map[string]intensity.Location{
		"":                 {},
		"FR":               {Zone: "FR"},
		"US-MIDA-PJM":      {Zone: "US-MIDA-PJM"},
		"aws:eu-west-1":    {CloudProvider: "aws", CloudRegion: "eu-west-1", CloudZone: "eu-west-1"},
		"azure:East US 2":  {CloudProvider: "azure", CloudRegion: "East US 2", CloudZone: "East US 2"},
		"-33.9, 18.4":      {Point: &intensity.LatLon{Lat: -33.9, Lon: 18.4}},
		"0,0":              {Point: &intensity.LatLon{}},
		"US-eGRID-SRVC":    {Zone: "US-eGRID-SRVC"},
		"hetzner:fsn1:dc8": {CloudProvider: "hetzner", CloudRegion: "fsn1:dc8", CloudZone: "fsn1:dc8"},
	} {
		got, err := locationOf(place)
		require.NoError(t, err, place)
		assert.Equal(t, want, got, place)
	}
	for _, place := range []string{":", "aws:", ":eu-west-1", ",", "1,", "1,2,3", "90.1,0", "0,-181", "NaN,0", "Inf,0", "x,y"} {
		_, err := locationOf(place)
		require.Error(t, err, place)
	}
}

// Upper and lower bound by hand: 100 ± 250 % reaches from 0, not from −150.
func TestAnswerClipsTheRangeAtZero(t *testing.T) {
	a := answerOf("", time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
		&intensity.Slot{GramsPerKWh: 100, Spread: intensity.Spread{Half: 2.5}}, &offline.Resolution{})
	assert.Zero(t, a.Lower)
	assert.InDelta(t, 350.0, a.Upper, 1e-12)
	assert.Equal(t, "world", a.Place)
	assert.Equal(t, 2026, a.Year)
}

func FuzzPlace(f *testing.F) {
	for _, place := range []string{"", "FR", "aws:us-east-1a", "48.85,2.35", "US-VA", "DE-BY", "XX:", "1e309,0", "\x00,\xff", "--", "a-b-c-d"} {
		f.Add(place)
	}
	p, err := offline.New(offline.Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, place string) {
		loc, err := locationOf(place)
		if err != nil {
			return
		}
		loc, found := known(p, loc)
		if !found.Known && len(details(found.Problems)) == 0 {
			t.Errorf("place %q is unknown without a reason", place)
		}
		slots, err := p.Slots(intensity.Query{Location: loc})
		if err != nil || len(slots) == 0 {
			t.Fatalf("place %q has no value: %v", place, err)
		}
		a := answerOf(place, time.Now(), slots[0], found)
		if math.IsNaN(a.Lower) || a.Lower < 0 || a.Lower > a.GramsPerKWh || a.Upper < a.GramsPerKWh-1e-6 {
			t.Errorf("place %q: %g in %g … %g", place, a.GramsPerKWh, a.Lower, a.Upper)
		}
	})
}
