package nvidiasmi

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/unit"
)

func rowOf(t testing.TB, line string) row {
	t.Helper()
	r, ok := parseRow([]byte(line), 2)
	require.True(t, ok, line)
	return r
}

// problems returns what a read says, in order, and the powers by UUID.
func readStore(t testing.TB, s *store) (powers map[string]unit.Microwatts, problems []*sensor.Problem) {
	t.Helper()
	rs, err := s.read(t.Context(), nil)
	powers = map[string]unit.Microwatts{}
	for _, r := range rs {
		powers[r.Part.ID] = r.Power
	}
	for p := range sensor.Problems(err) {
		problems = append(problems, p)
	}
	return powers, problems
}

func TestReadingsAreReturnedOnceAndNeverLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(nil, time.Second)
		powers, problems := readStore(t, s)
		assert.Empty(t, powers, "nothing yet")
		assert.Empty(t, problems)

		began := time.Now()
		require.True(t, s.put(rowOf(t, "0, "+uuidA+", 71.93, 75.20, NVIDIA H200"), began))
		require.True(t, s.put(rowOf(t, "1, "+uuidB+", 80.5, 75.20, NVIDIA H200"), began))
		time.Sleep(300 * time.Millisecond)
		rs, err := s.read(t.Context(), nil)
		require.NoError(t, err)
		require.Len(t, rs, 2)
		assert.Equal(t, sensor.Part{
			ID: "nvidia_smi:" + uuidA, Name: "NVIDIA H200", Type: "gpu", Sensor: "nvidia_smi", Method: sensor.Integrated,
			Role: sensor.Primary, Socket: -1, Die: -1, Same: "gpu/" + uuidA, Rank: 1,
		}, *rs[0].Part)
		assert.Equal(t, sensor.Reading{Part: rs[0].Part, At: began, Kind: sensor.Gauge, Power: 71_930_000}, rs[0], "at the moment of its arrival")

		powers, problems = readStore(t, s)
		assert.Empty(t, powers, "not a second time")
		assert.Empty(t, problems)

		time.Sleep(700 * time.Millisecond) // 1 s: only the first GPU has a new line, which nobody fetches for 3 s
		require.True(t, s.put(rowOf(t, "0, "+uuidA+", 90, 75.20, NVIDIA H200"), time.Now()))
		time.Sleep(2500 * time.Millisecond) // the second one is silent for 3.5 s
		_, problems = readStore(t, s)
		require.Len(t, problems, 1)
		assert.Equal(t, sensor.Gone, problems[0].Class)
		assert.Equal(t, uuidB, problems[0].Path)

		require.True(t, s.put(rowOf(t, "0, "+uuidA+", 91, 75.20, NVIDIA H200"), time.Now()))
		time.Sleep(3*time.Second + 1)
		powers, problems = readStore(t, s)
		assert.Empty(t, powers, "late is missing")
		assert.Len(t, problems, 2)
	})
}

// C48: after a reset the driver counts in another order; the UUID decides.
func TestC48GPUsAreKnownByUUID(t *testing.T) {
	s := newStore(nil, time.Minute)
	s.put(rowOf(t, "0, "+uuidA+", 10, 1, NVIDIA L4"), time.Now())
	s.put(rowOf(t, "1, "+uuidB+", 20, 1, NVIDIA L4"), time.Now())
	before, _ := s.read(t.Context(), nil)
	s.put(rowOf(t, "0, "+uuidB+", 21, 1, NVIDIA L4"), time.Now()) // the other is lost
	after, err := s.read(t.Context(), nil)
	require.NoError(t, err)
	require.Len(t, after, 1)
	assert.Same(t, before[1].Part, after[0].Part)
	assert.Equal(t, 21*unit.Watt, after[0].Power)
}

func TestC45AGPUWithoutPowerLeavesTheOthers(t *testing.T) {
	for text, class := range map[string]sensor.Class{
		"[N/A]": sensor.Absent, "[Not Supported]": sensor.Absent, "0.00": sensor.Absent,
		"[Unknown Error]": sensor.IO, "ERR!": sensor.IO, "4294967.29": sensor.IO,
		"[GPU requires reset]": sensor.Gone, "[GPU is lost]": sensor.Gone, "[Insufficient Permissions]": sensor.Permission,
	} {
		s := newStore(nil, time.Minute)
		for range 2 {
			s.put(rowOf(t, "0, "+uuidA+", "+text+", "+text+", NVIDIA L4"), time.Now())
			s.put(rowOf(t, "1, "+uuidB+", 20, 20, NVIDIA L4"), time.Now())
			powers, problems := readStore(t, s)
			assert.Equal(t, map[string]unit.Microwatts{"nvidia_smi:" + uuidB: 20 * unit.Watt}, powers, text)
			require.Len(t, problems, 1, text)
			assert.Equal(t, class, problems[0].Class, text)
			assert.Equal(t, uuidA, problems[0].Path)
		}
		s.put(rowOf(t, "0, "+uuidA+", 5, 5, NVIDIA L4"), time.Now())
		powers, problems := readStore(t, s)
		assert.Len(t, powers, 1)
		assert.Empty(t, problems, "it came back")
	}
}

func TestSelectedGPUs(t *testing.T) {
	wanted, err := parseDevices([]string{"1", "GPU-4e2f8a10-93b1", "5"})
	require.NoError(t, err)
	s := newStore(wanted, time.Minute)
	_, problems := readStore(t, s)
	assert.Empty(t, problems, "nobody knows yet")
	other := "GPU-00000000-0000-0000-0000-000000000000"
	for _, line := range []string{"0, " + uuidA + ", 1, 1, L4", "1, " + uuidB + ", 2, 2, L4", "2, " + other + ", 3, 3, L4"} {
		s.put(rowOf(t, line), time.Now())
	}
	powers, problems := readStore(t, s)
	assert.Equal(t, map[string]unit.Microwatts{"nvidia_smi:" + uuidA: unit.Watt, "nvidia_smi:" + uuidB: 2 * unit.Watt}, powers)
	require.Len(t, problems, 1)
	assert.Equal(t, "5", problems[0].Path)
	assert.Equal(t, sensor.Absent, problems[0].Class)
}

func TestSteadyStateAllocatesNothing(t *testing.T) {
	s := newStore(nil, time.Minute)
	line := []byte("0, " + uuidA + ", 71.93, 75.20, NVIDIA H200")
	sick := []byte("1, " + uuidB + ", [N/A], [N/A], NVIDIA H200")
	dst, ctx := make([]sensor.Reading, 0, 2), t.Context()
	tick := func() {
		a, _ := parseRow(line, 2)
		b, _ := parseRow(sick, 2)
		s.put(a, time.Now())
		s.put(b, time.Now())
		dst, _ = s.read(ctx, dst[:0])
	}
	tick()
	assert.Zero(t, testing.AllocsPerRun(200, tick))
	assert.Len(t, dst, 1)
}

func TestUUIDsWithoutEndCostBoundedMemory(t *testing.T) {
	s := newStore(nil, time.Minute)
	uuid := []byte(uuidA)
	kept := 0
	for i := range 2 * maxGPUs {
		copy(uuid[4:], []byte{"0123456789abcdef"[i>>8&15], "0123456789abcdef"[i>>4&15], "0123456789abcdef"[i&15]})
		if s.put(row{uuid: uuid, name: []byte("x"), power: 1}, time.Now()) {
			kept++
		}
	}
	assert.Equal(t, maxGPUs, kept)
}

func TestBackoffDoublesUntilAProcessLives(t *testing.T) {
	b := backoff{first: time.Second, longest: 5 * time.Second}
	for i, c := range []struct{ lived, want time.Duration }{
		{0, time.Second},
		{0, 2 * time.Second},
		{4 * time.Second, 4 * time.Second},
		{0, 5 * time.Second},
		{0, 5 * time.Second},
		{time.Hour, time.Second}, // it was good
		{0, 2 * time.Second},
	} {
		assert.Equal(t, c.want, b.next(c.lived), "process %d", i)
	}
}

func BenchmarkRead8GPUs(b *testing.B) {
	s := newStore(nil, time.Minute)
	var table [8][]byte
	for i := range table {
		table[i] = []byte("0, " + uuidA[:len(uuidA)-1] + string(rune('0'+i)) + ", 71.93, 75.20, NVIDIA H200")
	}
	dst, ctx, now := make([]sensor.Reading, 0, 8), b.Context(), time.Now()
	b.ReportAllocs()
	for b.Loop() {
		for _, line := range table {
			r, _ := parseRow(line, 2)
			s.put(r, now)
		}
		dst, _ = s.read(ctx, dst[:0])
	}
	if len(dst) != 8 {
		b.Fatalf("%d readings", len(dst))
	}
}
