package process

import (
	"fmt"
	"time"

	"golang.org/x/sys/windows"
)

// cpuTime returns the CPU time of all threads of this process. Windows does not add
// up that of children.
func cpuTime(bool) (own, ended time.Duration, err error) {
	var created, exited, kernel, user windows.Filetime
	if err := windows.GetProcessTimes(windows.CurrentProcess(), &created, &exited, &kernel, &user); err != nil {
		return 0, 0, fmt.Errorf("GetProcessTimes of this process: %w", err)
	}
	return timeOf(kernel) + timeOf(user), 0, nil
}

// timeOf is what a Filetime counts that is no date: its unit is 100 ns.
func timeOf(f windows.Filetime) time.Duration {
	return time.Duration(uint64(f.HighDateTime)<<32|uint64(f.LowDateTime)) * 100
}
