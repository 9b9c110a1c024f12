//go:build !linux

package process

import (
	"errors"
	"fmt"
	"os"
	"runtime"
)

// openStat: other systems tell how busy the machine is only by calls that Go programs
// make through cgo, or not at all.
func openStat(string) (read func() (counts, error), end func(), err error) {
	return nil, nil, fmt.Errorf("%s has no /proc/stat: %w", runtime.GOOS, errors.ErrUnsupported)
}

func openHeld() (held func() uint64, end func()) { return heldByGo(), func() {} }

func ownPID(string) int { return os.Getpid() }

func parentOf(string, int) (parent int, started uint64, ok bool) { return 0, 0, false }
