package host

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"time"

	"github.com/shirou/gopsutil/v3/cpu"
)

// A CPUMeter says how much CPU time the machine has used. It is not safe for
// concurrent use.
//
// Busy is user, nice, system, irq and softirq time: time in which an instruction
// of this machine was executed. Guest time is already inside user time and is not
// added. Waiting for a disk is idling, and stolen time was spent by somebody else.
type CPUMeter struct {
	ctx  context.Context //nolint:containedctx // holds the root for gopsutil and nothing else
	stat string
	acc  account
	cpus int
}

// NewCPUMeter returns a meter for the machine below root. Nothing is read yet.
func NewCPUMeter(root string) *CPUMeter {
	return &CPUMeter{ctx: withRoot(context.Background(), root), stat: below(root, "proc/stat")}
}

// Times returns the busy time and the capacity (busy, idle, waiting and stolen
// time) of all CPUs together since the first call, which returns zeros. Only
// differences between two calls mean something: on a machine with very many CPUs
// the sums pass the range of a Duration after some months and go on below zero,
// and the difference of two of them is still right.
//
// The kernel's counters may jump: the idle time of a CPU is counted differently
// while it is offline, and a migrated virtual machine may see stolen time run
// backwards. An interval with such a jump says nothing about utilization, so
// neither sum advances in it.
func (m *CPUMeter) Times(ctx context.Context) (busy, capacity time.Duration, err error) {
	if err := ctx.Err(); err != nil {
		return 0, 0, err
	}
	all, err := cpu.TimesWithContext(m.ctx, false) //nolint:contextcheck // m.ctx holds the root; a read of /proc does not wait
	if err != nil || len(all) != 1 {
		return 0, 0, m.explain(err)
	}
	c, err := countsOf(all[0])
	if err != nil {
		return 0, 0, fmt.Errorf("%s: %w", m.stat, err)
	}
	m.acc.advance(time.Now(), c, m.count)
	return m.acc.busy, m.acc.capacity, nil
}

// count returns the number of CPUs, after a look at the machine if asked for. It
// is 0 if nobody knows.
func (m *CPUMeter) count(again bool) int {
	if again || m.cpus == 0 {
		_ = guard("", func() error {
			n, err := cpu.CountsWithContext(m.ctx, true)
			m.cpus = max(m.cpus, n)
			return err
		})
	}
	return m.cpus
}

// explain says why there are no times; on Linux gopsutil keeps the reason to itself.
func (m *CPUMeter) explain(err error) error {
	switch {
	case runtime.GOOS == "linux":
		f, err := os.Open(m.stat)
		if err != nil {
			return fmt.Errorf("cpu times: %w", err)
		}
		_ = f.Close()
		return fmt.Errorf("cpu times: %s: the first line is not \"cpu\" and at least 7 numbers", m.stat)
	case err == nil:
		return errors.New("cpu times: the system returned none")
	case err.Error() == "not implemented yet": // gopsutil's error, which it does not export
		return fmt.Errorf("cpu times: %s needs a program built with CGO_ENABLED=1: %w", runtime.GOOS, errors.ErrUnsupported)
	}
	return fmt.Errorf("cpu times: %w", err)
}

// counts are the kernel's cumulative times, in seconds of one CPU.
type counts struct{ busy, idle, stolen float64 }

// countsOf refuses what no kernel counts: gopsutil takes "NaN" and "-5" for numbers.
func countsOf(t cpu.TimesStat) (counts, error) {
	const most = 1e12 // a thousand CPUs for 30 years; sums below it are exact to a millisecond
	for _, v := range [...]float64{t.User, t.Nice, t.System, t.Irq, t.Softirq, t.Idle, t.Iowait, t.Steal} {
		if !(v >= 0 && v <= most) { // NaN too
			return counts{}, fmt.Errorf("%g s is not a CPU time", v)
		}
	}
	return counts{
		busy:   t.User + t.Nice + t.System + t.Irq + t.Softirq,
		idle:   t.Idle + t.Iowait, // one sum: the kernel moves time from one to the other afterwards
		stolen: t.Steal,
	}, nil
}

// account turns the kernel's counts into sums that only advance by what can be true.
type account struct {
	begun          bool
	at             time.Time
	last           counts
	busy, capacity time.Duration
}

func (a *account) advance(at time.Time, c counts, cpus func(again bool) int) {
	dt, last, begun := at.Sub(a.at), a.last, a.begun
	a.at, a.last, a.begun = at, c, true
	if !begun {
		return
	}
	busy, idle, stolen := c.busy-last.busy, c.idle-last.idle, c.stolen-last.stolen
	if busy < 0 || idle < 0 || stolen < 0 {
		return
	}
	total := busy + idle + stolen
	if total > atMost(dt, cpus(false)) && total > atMost(dt, cpus(true)) {
		return
	}
	b := seconds(busy)
	a.busy += b
	a.capacity += b + seconds(idle+stolen)
}

// atMost is the CPU time that n CPUs can spend in dt. The margins allow for the
// delay between reading the counts and reading the clock, and for ticks of 10 ms.
func atMost(dt time.Duration, n int) float64 {
	if n <= 0 {
		return 1e9 // nobody knows; what a Duration can hold
	}
	return float64(n) * (1.25*dt.Seconds() + 1)
}

func seconds(s float64) time.Duration { return time.Duration(math.Round(s * 1e9)) }
