//go:build !linux

package host

import (
	"context"
	"runtime"
	"strings"

	"github.com/shirou/gopsutil/v3/cpu"
	gohost "github.com/shirou/gopsutil/v3/host"
)

const onLinuxOrDarwin = runtime.GOOS == "darwin"

func machineID(ctx context.Context, _ string) string {
	id, err := gohost.HostIDWithContext(ctx)
	if err != nil || !validID(id) {
		return ""
	}
	return strings.ToLower(id)
}

// sockets: gopsutil returns one entry for each socket here.
func sockets(_ string, infos []cpu.InfoStat) int { return len(infos) }

func (f *Facts) readPlatform(string) {}
