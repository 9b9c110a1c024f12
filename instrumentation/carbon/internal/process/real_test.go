package process

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
)

// burn uses CPU time.
func burn(t *testing.T, d time.Duration) {
	t.Helper()
	begin, _, err := cpuTime(false)
	require.NoError(t, err)
	for n := 0; ; n++ {
		if now, _, err := cpuTime(false); err != nil || now-begin >= d {
			return
		}
	}
}

// The model between 20 W idle and 100 W with all n CPUs busy is a straight line, so a
// CPU-second costs 80 J ÷ n, whoever else is busy.
func TestABusyLoopOnThisMachineCostsItsCPUTime(t *testing.T) {
	s, err := Open(t.Context(), Config{ModelIdleWatts: 20, ModelMaxWatts: 100})
	require.NoError(t, err)
	defer s.Close()
	burn(t, time.Second)
	r, err := s.Settle(t.Context())
	require.NoError(t, err)
	cpu, joules := of(r, "cpu")
	if cpu.Method != sensor.Modelled {
		t.Skip("this machine has counters: ", s.Describe())
	}
	assert.GreaterOrEqual(t, r.CPUTime, time.Second)
	// The kernel counts busy time in steps of 10 ms, on each CPU.
	want := 80 / float64(s.machine.cpus) * r.CPUTime.Seconds()
	assert.InEpsilon(t, want, joules, 0.1)
	assert.Equal(t, "model", cpu.Sensor)
	assert.NotEmpty(t, s.Describe())
}

func TestAProcessThatSleepsUsesNextToNothing(t *testing.T) {
	s, err := Open(t.Context(), Config{ModelIdleWatts: 20, ModelMaxWatts: 100})
	require.NoError(t, err)
	defer s.Close()
	time.Sleep(500 * time.Millisecond)
	r, err := s.Settle(t.Context())
	require.NoError(t, err)
	assert.Less(t, r.CPUTime, 100*time.Millisecond)
	assert.Less(t, r.Energy().Joules(), 8.0, "a fifth of what the machine can draw in that time")
}

func BenchmarkOpen(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		s, err := Open(b.Context(), Config{CloudProvider: "aws", HostType: "m5.large"})
		if err != nil {
			b.Fatal(err)
		}
		_ = s.Close()
	}
}

func BenchmarkRead(b *testing.B) {
	s, err := Open(b.Context(), Config{})
	require.NoError(b, err)
	defer s.Close()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Read(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

// What Read costs once in a second.
func BenchmarkSettle(b *testing.B) {
	s, err := Open(b.Context(), Config{})
	require.NoError(b, err)
	defer s.Close()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Settle(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
