//go:build unix

package process

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// cpuTime returns the CPU time of all threads of this process, and if asked for that
// of its children that have ended and were waited for.
func cpuTime(children bool) (own, ended time.Duration, err error) {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0, 0, fmt.Errorf("getrusage of this process: %w", err)
	}
	own = time.Duration(u.Utime.Nano() + u.Stime.Nano())
	if children {
		if err := unix.Getrusage(unix.RUSAGE_CHILDREN, &u); err != nil {
			return 0, 0, fmt.Errorf("getrusage of children: %w", err)
		}
		ended = time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	return own, ended, nil
}
