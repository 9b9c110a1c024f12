package host

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/internal/testfs"
)

// In 1/100 s: user 40, nice 10, system 20, idle 60, iowait 20, irq 5, softirq 5,
// steal 40, guest 30, guest_nice 5 more. Guest is inside user and nice, so busy is
// 40+10+20+5+5 = 80 and capacity 80 + 60+20 + 40 = 200.
func TestTimesOfAFakeRoot(t *testing.T) {
	root := t.TempDir()
	testfs.Write(t, root, "proc/stat", "cpu  1000 100 500 8000 100 10 50 350 400 20\ncpu0 1 1 1 1 1 1 1 1 1 1\n")
	testfs.Write(t, root, "proc/cpuinfo", "processor: 0\nprocessor: 1\n")
	m := NewCPUMeter(root)

	busy, capacity, err := m.Times(t.Context())
	require.NoError(t, err)
	assert.Zero(t, busy)
	assert.Zero(t, capacity)

	testfs.Write(t, root, "proc/stat", "cpu  1040 110 520 8060 120 15 55 390 430 25\n")
	busy, capacity, err = m.Times(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 800*time.Millisecond, busy, "C67")
	assert.Equal(t, 2*time.Second, capacity, "C67")

	// An old kernel without steal and guest columns.
	testfs.Write(t, root, "proc/stat", "cpu  1040 110 520 8060 120 15 55\n")
	_, _, err = m.Times(t.Context())
	require.NoError(t, err, "the stolen time seems to run back, which is no error")
	testfs.Write(t, root, "proc/stat", "cpu  1050 110 520 8070 120 15 55\n")
	busy, capacity, err = m.Times(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 900*time.Millisecond, busy)
	assert.Equal(t, 2200*time.Millisecond, capacity)
}

func TestTimesSaysWhyThereAreNone(t *testing.T) {
	root := t.TempDir()
	m := NewCPUMeter(root)
	_, _, err := m.Times(t.Context())
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorContains(t, err, filepath.Join(root, "proc/stat"))

	for _, text := range []string{"", "\n", "cpu\n", "cpu  1 2 3\n", "intr 1 2 3 4 5 6 7 8\n", "cpu  a b c d e f g\n", "cpu  1 2 3 4 5 6 NaN\n", "cpu  1 2 3 4 5 6 -7\n"} {
		testfs.Write(t, root, "proc/stat", text)
		_, _, err = m.Times(t.Context())
		require.ErrorContains(t, err, "proc/stat", "%q", text)
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err = m.Times(ctx)
	require.ErrorIs(t, err, context.Canceled)
}

func TestTimesOfThisMachineAdvance(t *testing.T) {
	m := NewCPUMeter("/")
	_, _, err := m.Times(t.Context())
	require.NoError(t, err)
	work := 0
	for end := time.Now().Add(60 * time.Millisecond); time.Now().Before(end); work++ { // six ticks
		_ = work
	}
	busy, capacity, err := m.Times(t.Context())
	require.NoError(t, err)
	assert.Positive(t, busy)
	assert.GreaterOrEqual(t, capacity, busy)
}

func BenchmarkTimes(b *testing.B) {
	if _, err := os.Stat("/proc/stat"); err != nil {
		b.Skip(err)
	}
	m := NewCPUMeter("/")
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := m.Times(ctx); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRead(b *testing.B) {
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Read(ctx, "/"); err != nil {
			b.Fatal(err)
		}
	}
}
