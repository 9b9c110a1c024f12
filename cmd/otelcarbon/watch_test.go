package main

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/sensor/sensortest"
	"github.com/otelcarbon/otelcarbon/internal/unit"
)

// fake is a machine with one package of 12.5 W and its cores of 5 W, read by a
// counter that is at 1000 J when the test begins.
func fake(next func(n int, step *sensortest.Step)) (*machine, *sensortest.Fake) {
	pkg := &sensor.Part{ID: "fake:package-0", Name: "package-0", Type: "cpu", Sensor: "fake", Method: sensor.Measured, Socket: 0, Die: -1}
	core := &sensor.Part{ID: "fake:core", Parent: pkg.ID, Name: "core", Type: "cpu", Sensor: "fake", Method: sensor.Measured, Role: sensor.Breakdown, Socket: 0, Die: -1}
	f := &sensortest.Fake{Next: func(n int, _ time.Time) sensortest.Step {
		e := unit.Microjoules(n) * 500_000
		step := sensortest.Step{Readings: []sensor.Reading{
			{Part: pkg, Energy: 1_000_000_000 + 25*e, Max: 262143328850},
			{Part: core, Energy: 1_000_000_000 + 10*e, Max: 262143328850},
		}}
		if next != nil {
			next(n, &step)
		}
		return step
	}}
	return &machine{measured: map[string]bool{}, sensors: []*reader{{name: "fake", sensor: f}}}, f
}

// lines drops what is only there for the eye.
func lines(b *bytes.Buffer) []string {
	var out []string
	for l := range strings.Lines(b.String()) {
		out = append(out, strings.Join(strings.Fields(l), " "))
	}
	return out
}

func TestWatchPrintsTheMeanOfEachInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, f := fake(nil)
		var out, problems bytes.Buffer
		t0 := time.Now()
		require.NoError(t, m.watch(t.Context(), &out, &problems, 2500*time.Millisecond, 2))
		// Reads at 0, 1, 2, 2.5, 3.5, 4.5 and 5 s, each 12.5 J further: three in
		// each interval make 37.5 J in 2.5 s.
		assert.Equal(t, 7, f.Reads())
		assert.Equal(t, 5*time.Second, time.Since(t0))
		assert.Equal(t, []string{
			t0.Add(2500*time.Millisecond).Format("15:04:05") + " watts joules method",
			"(fake:core) 6.00 15.0 measured",
			"fake:package-0 15.00 37.5 measured",
			"host 15.00 37.5",
			t0.Add(5*time.Second).Format("15:04:05") + " watts joules method",
			"(fake:core) 6.00 30.0 measured",
			"fake:package-0 15.00 75.0 measured",
			"host 15.00 75.0",
		}, lines(&out))
		assert.Empty(t, problems.String())
	})
}

func TestWatchTellsAFailureOnceAndGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, _ := fake(func(n int, step *sensortest.Step) {
			if n == 2 || n == 3 {
				*step = sensortest.Step{Err: &sensor.Problem{Sensor: "fake", Class: sensor.IO, Err: errors.New("input/output error")}}
			}
		})
		var out, problems bytes.Buffer
		require.NoError(t, m.watch(t.Context(), &out, &problems, time.Second, 4))
		assert.Equal(t, "otelcarbon: fake: input/output error\n", problems.String())
		var packages []string
		for _, l := range lines(&out) {
			if strings.HasPrefix(l, "fake:package-0") {
				packages = append(packages, l)
			}
		}
		assert.Equal(t, []string{
			"fake:package-0 12.50 12.5 measured",
			"fake:package-0 - 12.5 measured", // unknown, not 0
			"fake:package-0 - 12.5 measured",
			"fake:package-0 12.50 50.0 measured", // 37.5 J in 3 s
		}, packages)
	})
}

func TestWatchEndsWhenInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, _ := fake(nil)
		ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
		defer cancel()
		var out, problems bytes.Buffer
		require.NoError(t, m.watch(ctx, &out, &problems, 20*time.Second, 0))
		assert.Equal(t, 4, strings.Count(out.String(), "host"))
	})
}

func TestWatchOfNothing(t *testing.T) {
	m := &machine{measured: map[string]bool{}}
	var out, problems bytes.Buffer
	require.ErrorContains(t, m.watch(t.Context(), &out, &problems, time.Second, 1), "no sensor gives anything")
}
