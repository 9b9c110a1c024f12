package cputime

import (
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"
)

func threadTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_THREAD, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// The runtime's own: two goroutines that work, one of them half as long as the other. It is
// CPU time that they work, as a machine with other work gives them less of it.
func TestProfiler(t *testing.T) {
	var p, other Profiler
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	if err := other.Start(); err == nil {
		t.Error("two profiles at a time")
	}
	var both sync.WaitGroup
	for name, d := range map[string]time.Duration{"all": 800 * time.Millisecond, "half": 400 * time.Millisecond} {
		both.Go(func() {
			Label(WithLabel(t.Context(), name))
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			for end := threadTime() + d; threadTime() < end; {
				continue
			}
		})
	}
	both.Wait()
	got := map[string]int64{}
	if err := p.Stop(got); err != nil {
		t.Fatal(err)
	}
	if got["all"] < 30 || got["half"] < 15 || got["half"] > got["all"] {
		t.Errorf("%v, want 80 and 40, one for each 10 ms", got)
	}
	if err := p.Start(); err != nil { // and again
		t.Fatal(err)
	}
	clear(got)
	if err := p.Stop(got); err != nil || len(got) > 1 {
		t.Errorf("%v, %v", got, err)
	}
}
