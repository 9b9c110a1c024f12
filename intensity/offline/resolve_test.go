package offline_test

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/intensity"
)

func TestExplain(t *testing.T) {
	p := provider(t)
	point := func(lat, lon float64) intensity.Location {
		return intensity.Location{Point: &intensity.LatLon{Lat: lat, Lon: lon}}
	}
	for _, c := range []struct {
		name    string
		loc     intensity.Location
		asked   string
		cloud   string
		zones   string // joined by spaces
		known   bool
		problem string // part of the error, "" for none
	}{
		{"a zone with a value", intensity.Location{Zone: "DE"}, "DE", "", "DE", true, ""},
		{"case does not matter", intensity.Location{Zone: " ca-qc "}, "ca-qc", "", "CA-QC CA", true, ""},
		{"a zone without a value widens to its country", intensity.Location{Zone: "US-MIDA-PJM"}, "US-MIDA-PJM", "", "US", true, ""},
		{"the main grid of Chile", intensity.Location{Zone: "CL-SEN"}, "CL-SEN", "", "CL", true, ""},
		{"Chile, which is no zone of Electricity Maps", intensity.Location{Zone: "CL"}, "CL", "", "CL", true, ""},
		{"Northern Ireland", intensity.Location{Zone: "GB-NIR"}, "GB-NIR", "", "GB", true, ""},
		{"a retired zone widens and says so", intensity.Location{Zone: "IN-KA"}, "IN-KA", "", "IN", true, `"IN-KA" is retired`},
		{"another", intensity.Location{Zone: "MX-BC"}, "MX-BC", "", "MX", true, "retired"},
		{"a retired zone that is a subdivision with a value", intensity.Location{Zone: "IN-MH"}, "IN-MH", "", "IN-MH IN", true, ""},
		{"a retired zone without a country", intensity.Location{Zone: "NKR"}, "NKR", "", "", true, "retired"},
		{"a misspelled zone", intensity.Location{Zone: "FRR"}, "FRR", "", "", false, "did you mean FR?"},
		{"a misspelled part widens to the country", intensity.Location{Zone: "US-MIDA-PJJ"}, "US-MIDA-PJJ", "", "US", false, "did you mean US-MIDA-PJM?"},
		{"nothing like a zone", intensity.Location{Zone: "the moon"}, "the moon", "", "", false, "unknown"},
		{"the world is no country", intensity.Location{Zone: "WORLD-1"}, "WORLD-1", "", "", false, "unknown"},
		{"a zone known to no grid leaves the rest of the location to decide", intensity.Location{Zone: "AD", Country: "FR"}, "AD", "", "FR", true, ""},
		{"zone before cloud region", intensity.Location{Zone: "FR", CloudProvider: "aws", CloudRegion: "us-east-1"}, "FR", "", "FR", true, ""},

		{"a cloud region", cloud("aws", "us-east-1"), "aws/us-east-1", "aws/us-east-1", "US-VA US", true, ""},
		{"a cloud region before the country", intensity.Location{CloudProvider: "aws", CloudRegion: "us-east-1", Country: "DE"}, "aws/us-east-1", "aws/us-east-1", "US-VA US", true, ""},
		{"an availability zone alone", intensity.Location{CloudProvider: "aws", CloudZone: "eu-west-3b"}, "aws/eu-west-3b", "aws/eu-west-3", "FR", true, ""},
		{"a network zone is narrowed by the availability zone", intensity.Location{CloudProvider: "hetzner", CloudRegion: "eu-central", CloudZone: "fsn1-dc14"}, "hetzner/eu-central", "hetzner/fsn1", "DE", true, ""},
		{"a network zone over two countries leads nowhere", cloud("hetzner", "eu-central"), "hetzner/eu-central", "", "", true, ""},
		{"and leaves it to the country", intensity.Location{CloudProvider: "hetzner", CloudRegion: "eu-central", Country: "FI"}, "hetzner/eu-central", "", "FI", true, ""},
		{"an unknown region", cloud("aws", "us-esat-1"), "aws/us-esat-1", "", "", false, "did you mean us-east-1?"},
		{"an unknown region in a known country", intensity.Location{CloudProvider: "aws", CloudRegion: "eu-west-99", Country: "IE"}, "aws/eu-west-99", "", "IE", false, `"aws/eu-west-99" is not in the table`},
		{"an unknown provider", cloud("acme", "basement"), "acme/basement", "", "", false, "is not in the table"},
		{"a region without a provider", cloud("", "us-east-1"), "/us-east-1", "", "", false, "set cloud.provider"},
		{"a provider without a region", cloud("aws", ""), "aws/", "", "", false, "set cloud.region"},

		{"a country", intensity.Location{Country: "de"}, "de", "", "DE", true, ""},
		{"a subdivision with a value", intensity.Location{Country: "US", Subdivision: "US-VA"}, "US-VA", "", "US-VA US", true, ""},
		{"a subdivision without a value", intensity.Location{Country: "DE", Subdivision: "DE-BY"}, "DE-BY", "", "DE", true, ""},
		{"a subdivision names its country", intensity.Location{Subdivision: "FR-IDF"}, "FR-IDF", "", "FR", true, ""},
		{"a subdivision of another country is left out", intensity.Location{Country: "DE", Subdivision: "US-VA"}, "DE", "", "DE", true, ""},
		{"a country with no value", intensity.Location{Country: "AD"}, "AD", "", "", true, ""},
		{"three letters are no country", intensity.Location{Country: "USA"}, "USA", "", "", false, "such as US"},
		{"the commonest wrong code", intensity.Location{Country: "UK"}, "UK", "", "", false, "such as GB"},
		{"the world is no country code", intensity.Location{Country: "WORLD"}, "WORLD", "", "", false, "ISO 3166-1"},

		{"a position in one box", point(48.85, 2.35), "48.85,2.35", "", "FR", true, ""},
		{"a position in one zone with a value", point(-33.87, 151.2), "-33.87,151.2", "", "AU-NSW AU", true, ""},
		{"a position in one zone without a value", point(39.04, -77.49), "39.04,-77.49", "", "US", true, ""},
		{"a position in several zones of a country", point(59.33, 18.06), "59.33,18.06", "", "SE", true, ""},
		{"Belfast: the box of Alaska runs around the earth and does not count", point(54.6, -5.93), "54.6,-5.93", "", "GB", true, ""},
		{"a position near a border", point(46.2, 6.14), "46.2,6.14", "", "", false, "boxes of CH, FR"},
		{"and a default", intensity.Location{Point: &intensity.LatLon{Lat: 46.2, Lon: 6.14}, Default: "CH"}, "46.2,6.14", "", "CH", false, "boxes of CH, FR"},
		{"0,0 is a place, in the sea", point(0, 0), "0,0", "", "", false, "box of no zone"},
		{"a latitude too far", point(91, 0), "91,0", "", "", false, "not on earth"},
		{"no number", point(math.NaN(), 0), "NaN,0", "", "", false, "not on earth"},
		{"infinity", point(0, math.Inf(-1)), "0,-Inf", "", "", false, "not on earth"},

		{"the default", intensity.Location{Default: "SE-SE3"}, "SE-SE3", "", "SE", true, ""},
		{"the default is the last", intensity.Location{Country: "FR", Default: "DE"}, "FR", "", "FR", true, ""},
		{"the default after an unknown region", intensity.Location{CloudProvider: "aws", CloudRegion: "moon-1", Default: "DE"}, "aws/moon-1", "", "DE", false, "moon-1"},
		{"nothing", intensity.Location{}, "", "", "", true, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := p.Explain(c.loc)
			assert.Equal(t, c.asked, r.Asked)
			assert.Equal(t, c.cloud, r.Cloud)
			assert.Equal(t, c.zones, strings.Join(r.Zones, " "))
			assert.Equal(t, c.known, r.Known)
			assert.NotEmpty(t, r.Why())
			if c.problem == "" {
				require.NoError(t, r.Err())
			} else {
				require.ErrorIs(t, r.Err(), intensity.KindZone)
				require.ErrorContains(t, r.Err(), c.problem)
			}
			// Whatever it was, energy there has a price, and the price a reason.
			s := peek(t, p, c.loc, 0, 2026)
			assert.NotEmpty(t, s.Origin.Why)
			if c.cloud == "" && c.zones == "" {
				assert.Equal(t, "world_average", s.Origin.Provider)
				assert.Equal(t, "WORLD", s.Origin.ZoneServed)
				assert.InDelta(t, 473.01, s.GramsPerKWh, 0)
				assert.True(t, s.Flags.Has(intensity.ZoneWidened))
				assert.InDelta(t, 0.88, s.Spread.Half, 0)
			}
		})
	}
}

func TestPUEIsThatOfTheRegionWhateverDecidesTheIntensity(t *testing.T) {
	p := provider(t)
	r := p.Explain(intensity.Location{Zone: "FR", CloudProvider: "aws", CloudRegion: "us-east-1"})
	assert.InDelta(t, 1.15, r.PUE, 0)
	r = p.Explain(cloud("gcp", "europe-west9"))
	assert.Zero(t, r.PUE, "not in the table")
}

func TestAPositionIsOnlyWidelyKnown(t *testing.T) {
	s := peek(t, provider(t), intensity.Location{Point: &intensity.LatLon{Lat: 48.85, Lon: 2.35}}, 0, 2026)
	assert.True(t, s.Flags.Has(intensity.ZoneWidened))
	assert.Contains(t, s.Origin.Why, "lies in the box of FR and of no other country")
}

func TestTheWorldAsZoneIsNotWidened(t *testing.T) {
	s := peek(t, provider(t), intensity.Location{Zone: "WORLD"}, 0, 2026)
	assert.Equal(t, "world_average", s.Origin.Provider)
	assert.False(t, s.Flags.Has(intensity.ZoneWidened))
	assert.InDelta(t, 0.35, s.Spread.Half, 0, "it was asked for")
}

func TestReasonsNameWhatWasUnknown(t *testing.T) {
	s := peek(t, provider(t), cloud("aws", "us-esat-1"), 0, 2026)
	assert.Equal(t, `cloud region "aws/us-esat-1" is not in the table: did you mean us-east-1?; the world stands in; value of WORLD for 2024 from owid-ember-2025`, s.Origin.Why)
	s = peek(t, provider(t), intensity.Location{}, 0, 2026)
	assert.Equal(t, "no place was given; the world stands in; value of WORLD for 2024 from owid-ember-2025", s.Origin.Why)
}

func FuzzExplain(f *testing.F) {
	f.Add("DE", "aws", "us-east-1", "us-east-1a", "DE", "DE-BY", 52.5, 13.4, "FR")
	f.Add("US-MIDA-PJJ", "", "", "", "", "", 0.0, 0.0, "")
	f.Add("", "hetzner", "eu-central", "fsn1-dc14", "UK", "-", math.Inf(1), math.NaN(), "WORLD")
	f.Add("-", "/", "\x00", strings.Repeat("x", 500), "--", "US-", -91.0, 181.0, "\xff")
	f.Fuzz(func(t *testing.T, zone, cloudProvider, region, cloudZone, country, subdivision string, lat, lon float64, fallback string) {
		p := provider(t)
		loc := intensity.Location{
			Zone: zone, CloudProvider: cloudProvider, CloudRegion: region, CloudZone: cloudZone,
			Country: country, Subdivision: subdivision, Point: &intensity.LatLon{Lat: lat, Lon: lon}, Default: fallback,
		}
		r := p.Explain(loc)
		if (len(r.Problems) == 0) != (r.Err() == nil) || !r.Known && r.Err() == nil {
			t.Errorf("%+v: known %v, problems %v", loc, r.Known, r.Problems)
		}
		slots, err := p.Slots(intensity.Query{Location: loc})
		if err != nil {
			t.Fatalf("%+v: %v", loc, err)
		}
		if err := intensity.CheckSlots(slots); err != nil {
			t.Fatalf("%+v: %v", loc, err)
		}
		for _, s := range slots {
			if len(s.Origin.Why) > 2000 || len(s.Origin.ZoneAsked) > 200 {
				t.Fatalf("%d bytes of reason, %d of zone", len(s.Origin.Why), len(s.Origin.ZoneAsked))
			}
		}
	})
}

func BenchmarkSlots(b *testing.B) {
	p := provider(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Slots(intensity.Query{Location: cloud("aws", "us-east-1")}); err != nil {
			b.Fatal(err)
		}
	}
}
