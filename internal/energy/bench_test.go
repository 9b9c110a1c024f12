package energy_test

import (
	"testing"
	"time"

	"github.com/otelcarbon/otelcarbon/internal/energy"
	"github.com/otelcarbon/otelcarbon/internal/unit"
)

func TestAdvanceAllocatesNothing(t *testing.T) {
	c, g := energy.NewCounter(amd), energy.NewGauge(0)
	at, raw := epoch, unit.Microjoules(0)
	n := testing.AllocsPerRun(1000, func() {
		at, raw = at.Add(s), (raw+280*j)%amdM
		c.SetMax(amdMax)
		c.Advance(at, raw)
		g.Advance(at, 280*unit.Watt)
	})
	if n != 0 {
		t.Errorf("Advance allocates %v times", n)
	}
}

func BenchmarkCounterAdvance(b *testing.B) {
	c := energy.NewCounter(amd)
	at, raw := time.Now(), unit.Microjoules(0)
	b.ReportAllocs()
	for b.Loop() {
		at, raw = at.Add(s), (raw+280*j)%amdM
		c.Advance(at, raw)
	}
}

func BenchmarkGaugeAdvance(b *testing.B) {
	g := energy.NewGauge(0)
	at := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		at = at.Add(s)
		g.Advance(at, 280*unit.Watt)
	}
}

func BenchmarkSplit2000(b *testing.B) {
	weights := make([]uint64, 2000) // CPU time in µs
	for i := range weights {
		weights[i] = uint64(i) * 7919 % 1_000_003
	}
	into := make([]unit.Microjoules, len(weights))
	b.ReportAllocs()
	for b.Loop() {
		energy.Split(into, 123_456_789, weights)
	}
}
