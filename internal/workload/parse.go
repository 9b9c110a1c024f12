package workload

import (
	"bytes"
	"math"
	"time"
)

// tick is the unit of CPU times in /proc: USER_HZ is 100 on every architecture that
// Go runs on (include/asm-generic/param.h).
const tick = 10 * time.Millisecond

// leading reads the decimal number at the start of b, and returns what follows it.
func leading(b []byte) (n uint64, rest []byte, ok bool) {
	i := 0
	for ; i < len(b) && b[i] >= '0' && b[i] <= '9'; i++ {
		d := uint64(b[i] - '0')
		if n > (math.MaxUint64-d)/10 {
			return 0, b, false
		}
		n = n*10 + d
	}
	return n, b[i:], i > 0
}

// parseCount reads a file that holds one number.
func parseCount(b []byte) (n uint64, ok bool) {
	n, rest, ok := leading(b)
	return n, ok && len(bytes.TrimSpace(rest)) == 0
}

// parseUsage reads usage_usec of cpu.stat, in nanoseconds. It is the first line
// (kernel/cgroup/rstat.c), and is found elsewhere too.
func parseUsage(b []byte) (ns uint64, ok bool) {
	const key = "usage_usec "
	for len(b) > 0 {
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			break // cut off, perhaps inside the number
		}
		line := b[:i]
		b = b[i+1:]
		if bytes.HasPrefix(line, []byte(key)) {
			us, ok := parseCount(line[len(key):])
			return us * 1000, ok && us <= math.MaxInt64/1000
		}
	}
	return 0, false
}

// parseUsageV1 reads cpuacct.usage, in nanoseconds.
func parseUsageV1(b []byte) (ns uint64, ok bool) {
	ns, ok = parseCount(b)
	return ns, ok && ns <= math.MaxInt64
}

// nextPID takes one line off cgroup.procs. ok is false at the end, and at anything
// that is no number.
func nextPID(b []byte) (pid int, rest []byte, ok bool) {
	for len(b) > 0 && b[0] == '\n' {
		b = b[1:]
	}
	n, rest, ok := leading(b)
	if !ok || n > math.MaxInt32 || len(rest) > 0 && rest[0] != '\n' {
		return 0, nil, false
	}
	return int(n), rest, true
}

// stat is what is wanted of /proc/PID/stat.
type stat struct {
	pid   int
	comm  []byte // part of the input
	dead  bool   // a zombie; not one of which other threads still run
	ticks uint64 // utime + stime
	start uint64 // ticks after boot
	rss   uint64 // pages
}

// parseStat reads /proc/PID/stat. The name in it may hold spaces and parentheses, so
// the fields count from the last ')' on.
func parseStat(b []byte) (s stat, ok bool) {
	pid, rest, ok := leading(b)
	end := bytes.LastIndexByte(b, ')')
	if !ok || pid > math.MaxInt32 || len(rest) < 2 || rest[0] != ' ' || rest[1] != '(' || end < len(b)-len(rest)+2 {
		return stat{}, false
	}
	s.pid = int(pid)
	s.comm = b[len(b)-len(rest)+2 : end]
	b = b[end+1:]
	for field := 3; field <= 24; field++ {
		if len(b) < 2 || b[0] != ' ' {
			return stat{}, false
		}
		b = b[1:]
		switch field {
		case 3:
			s.dead = b[0] == 'Z' || b[0] == 'X'
		case 14, 15, 20, 22, 24:
			var n uint64
			switch n, _, ok = leading(b); {
			case ok && n <= math.MaxInt64/uint64(tick):
			case b[0] == '-' && (field == 20 || field == 24): // printed signed
				n = 0
			default:
				return stat{}, false
			}
			switch field {
			case 14, 15:
				s.ticks += n
			case 20:
				s.dead = s.dead && n <= 1
			case 22:
				s.start = n
			default:
				s.rss = n
			}
		}
		if field == 24 {
			break
		}
		i := bytes.IndexByte(b, ' ')
		if i <= 0 {
			return stat{}, false
		}
		b = b[i:]
	}
	return s, s.ticks <= math.MaxInt64/uint64(tick)
}

// parseUptime reads /proc/uptime in ticks.
func parseUptime(b []byte) (ticks uint64, ok bool) {
	s, rest, ok := leading(b)
	if !ok || s > math.MaxInt32 || len(rest) < 3 || rest[0] != '.' {
		return 0, false
	}
	hundredths, rest, ok := leading(rest[1:])
	if !ok || hundredths > 99 || len(rest) > 0 && rest[0] != ' ' {
		return 0, false
	}
	return s*100 + hundredths, true
}

// parseList calls yield for the numbers of a list of CPUs such as "0-3,8,10-11", and
// says whether it is one. A list of more numbers than a machine has CPUs is none.
func parseList(b []byte, yield func(cpu int)) bool {
	const most = 1 << 16
	b = bytes.TrimSpace(b)
	for count := 0; len(b) > 0; {
		from, rest, ok := leading(b)
		if !ok {
			return false
		}
		to := from
		if len(rest) > 0 && rest[0] == '-' {
			if to, rest, ok = leading(rest[1:]); !ok {
				return false
			}
		}
		if to < from || to >= most {
			return false
		}
		if count += int(to - from + 1); count > most {
			return false
		}
		for cpu := from; cpu <= to; cpu++ {
			yield(int(cpu)) //nolint:gosec // below most
		}
		switch {
		case len(rest) == 0:
			return true
		case rest[0] != ',' || len(rest) == 1:
			return false
		}
		b = rest[1:]
	}
	return true
}

// parsePlace finds the path of a process in /proc/PID/cgroup: on the line of the
// controller, or of version 2 if that is "".
func parsePlace(b []byte, controller string) (path string, ok bool) {
	for line := range bytes.Lines(b) {
		line = bytes.TrimSuffix(line, []byte("\n"))
		_, rest, found := bytes.Cut(line, []byte(":"))
		if !found {
			continue
		}
		controllers, p, found := bytes.Cut(rest, []byte(":"))
		if !found || len(p) == 0 || p[0] != '/' || len(p) > maxPath {
			continue
		}
		if controller == "" {
			if len(controllers) == 0 {
				return string(bytes.TrimSuffix(p, []byte(" (deleted)"))), true
			}
			continue
		}
		for c := range bytes.SplitSeq(controllers, []byte(",")) {
			if string(c) == controller {
				return string(p), true
			}
		}
	}
	return "", false
}

// parseField finds a line such as "MemTotal:  16 kB" or "btime 1700000000".
func parseField(b []byte, key string) (n uint64, ok bool) {
	for line := range bytes.Lines(b) {
		if bytes.HasPrefix(line, []byte(key)) {
			n, _, ok = leading(bytes.TrimLeft(line[len(key):], " :\t"))
			return n, ok
		}
	}
	return 0, false
}
