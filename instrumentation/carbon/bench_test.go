package carbon

import (
	"context"
	"testing"
	"time"
)

// The usual set-up on this machine, and its end.
func BenchmarkStart(b *testing.B) {
	for b.Loop() {
		m, _ := Start(WithZone("FR"))
		b.StopTimer()
		_ = m.Shutdown(b.Context())
		b.StartTimer()
	}
}

// What happens in the background each 100 ms, with 20 spans in progress and a budget: all
// looks at the machine are in it, one in a second. %-of-a-core is what that amounts to.
func BenchmarkBackground(b *testing.B) {
	m, err := Start(WithZone("FR"), WithInterval(time.Minute), WithBudget(Budget{Name: "b", Grams: 1e6}))
	if err != nil {
		b.Log(err)
	}
	defer func() { _ = m.Shutdown(context.WithoutCancel(b.Context())) }()
	ctx := b.Context()
	for range 20 {
		m.Task(ctx, "task")
	}
	b.ReportAllocs()
	look := m.source.(*ownEnergy)
	for i := 0; b.Loop(); i++ {
		read := m.source.Read
		if i%10 == 0 {
			read = look.Settle
		}
		if err := m.sample(ctx, read); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)*10/1e9*100, "%-of-a-core")
}
