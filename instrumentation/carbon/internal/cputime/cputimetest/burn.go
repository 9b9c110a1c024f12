// Package cputimetest uses CPU time, for tests that share it out.
package cputimetest

import (
	"runtime"
	"time"
)

// Burn works until the calling goroutine has used d of CPU time, however long that takes on
// a busy machine. Where the system does not count the CPU time of a thread, it works for d.
func Burn(d time.Duration) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var sink [64]byte
	for end := threadTime() + d; threadTime() < end; {
		for i := range sink {
			sink[i] = sink[i]*31 + byte(i)
		}
	}
}
