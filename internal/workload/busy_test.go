package workload

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// times is a line of /proc/stat: user nice system idle iowait irq softirq steal guest guest_nice.
func times(cpu int, v ...int) string {
	for len(v) < 10 {
		v = append(v, 0)
	}
	return strings.Trim(strings.ReplaceAll(fmt.Sprintf("cpu%d %v", cpu, v), "[", ""), "]") + "\n"
}

func advance(m *busyMeter, elapsed time.Duration, lines ...string) (per []time.Duration) {
	m.advance([]byte("cpu  1 2 3 4 5 6 7 8 9 10\n"+strings.Join(lines, "")+"intr 5\n"), elapsed, func(cpu int) int { return cpu % 2 })
	for _, s := range m.sockets {
		per = append(per, s.CPU)
	}
	return per
}

func TestC67Busy(t *testing.T) {
	t.Run("steal, guest, idle and iowait do not count", func(t *testing.T) {
		var m busyMeter
		assert.Equal(t, []time.Duration{0}, advance(&m, 0, times(0, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100)))
		// user 5 of which 3 guest, nice 4 of which 2 guest_nice, system 3, irq 2, softirq 1
		assert.Equal(t, []time.Duration{150 * time.Millisecond},
			advance(&m, time.Second, times(0, 105, 104, 103, 150, 150, 102, 101, 190, 103, 102)))
	})
	t.Run("each package has its CPUs", func(t *testing.T) {
		var m busyMeter
		advance(&m, 0, times(0), times(1), times(2), times(3))
		assert.Equal(t, []time.Duration{40 * time.Millisecond, 60 * time.Millisecond},
			advance(&m, time.Second, times(0, 1), times(1, 2), times(2, 3), times(3, 4)))
		assert.Equal(t, 4, m.online)
	})
	t.Run("a CPU that goes and returns makes no jump", func(t *testing.T) {
		var m busyMeter
		advance(&m, 0, times(0, 10), times(2, 10))
		assert.Equal(t, []time.Duration{10 * time.Millisecond}, advance(&m, time.Second, times(0, 11)))
		assert.Equal(t, []time.Duration{10 * time.Millisecond}, advance(&m, time.Second, times(0, 12), times(2, 90)))
		assert.Equal(t, []time.Duration{20 * time.Millisecond}, advance(&m, time.Second, times(0, 13), times(2, 91)))
	})
	t.Run("a counter that falls is no time for that CPU only", func(t *testing.T) {
		var m busyMeter
		advance(&m, 0, times(0, 10, 0, 50), times(2, 10))
		// system falls by 40 while user rises by 60: not 20, but unknown
		assert.Equal(t, []time.Duration{30 * time.Millisecond}, advance(&m, time.Second, times(0, 70, 0, 10), times(2, 13)))
		assert.Equal(t, []time.Duration{20 * time.Millisecond}, advance(&m, time.Second, times(0, 71, 0, 10), times(2, 14)))
	})
	t.Run("no CPU runs for longer than there was time", func(t *testing.T) {
		var m busyMeter
		advance(&m, 0, times(0))
		// 100 ms × 1.25 + 20 ms = 145 ms, in whole ticks
		assert.Equal(t, []time.Duration{140 * time.Millisecond}, advance(&m, 100*time.Millisecond, times(0, 1_000_000)))
	})
	t.Run("garbage", func(t *testing.T) {
		var m busyMeter
		assert.False(t, m.advance([]byte("cpu0 1\ncpu1 a b c d e f g\ncpux\ncpu99999999 1 2 3 4 5 6 7\ncpu3 -1 0 0 0 0 0 0\nintr"), 0, func(int) int { return 0 }))
		assert.True(t, m.advance([]byte(times(0)+times(0)), 0, func(int) int { return 0 }))
		assert.Equal(t, 1, m.online)
	})
}

func TestEndOfCPUs(t *testing.T) {
	for in, want := range map[string]bool{
		"": false, "cpu 1\n": false, "cpu 1\ncpu0 1\nin": false, "cpu 1\ncpu0 1\nintr": true, "cpu 1": false, "x": false, "intr 1": true,
	} {
		assert.Equal(t, want, endOfCPUs([]byte(in)), in)
	}
}

func FuzzBusy(f *testing.F) {
	f.Add([]byte(times(0, 1)+times(1, 2)), []byte(times(0, 3)))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		var m busyMeter
		for _, text := range [][]byte{a, b, a} {
			m.advance(text, time.Second, func(cpu int) int { return cpu / 4 })
			for i, s := range m.sockets {
				if s.CPU < 0 || s.CPU > 4*1270*time.Millisecond || i > 0 && m.sockets[i-1].Socket >= s.Socket {
					t.Errorf("%+v", m.sockets)
				}
			}
			endOfCPUs(text)
		}
	})
}
