package workload

import (
	"strconv"
	"strings"
	"time"
)

// users are the names in etc/passwd.
type users struct {
	names  map[uint32]string
	readAt time.Time
}

// parsePasswd reads lines name:password:uid:…; the first name of a uid counts, as for
// getpwuid.
func parsePasswd(b []byte) map[uint32]string {
	const most = 100_000
	names := map[uint32]string{}
	for line := range strings.Lines(string(b)) {
		f := strings.SplitN(line, ":", 4)
		if len(f) < 4 || f[0] == "" || len(f[0]) > 256 || len(names) >= most {
			continue
		}
		uid, err := strconv.ParseUint(f[2], 10, 32)
		if err != nil {
			continue
		}
		if _, ok := names[uint32(uid)]; !ok {
			names[uint32(uid)] = f[0]
		}
	}
	return names
}
