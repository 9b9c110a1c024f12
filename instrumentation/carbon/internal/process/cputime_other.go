//go:build !unix && !windows

package process

import (
	"errors"
	"fmt"
	"runtime"
	"time"
)

func cpuTime(bool) (own, ended time.Duration, err error) {
	return 0, 0, fmt.Errorf("CPU time of this process: %s has no such call: %w", runtime.GOOS, errors.ErrUnsupported)
}
