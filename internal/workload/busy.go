package workload

import (
	"bytes"
	"time"
)

// A busyMeter turns the lines of /proc/stat into the busy time of each package. Each
// CPU counts by itself: one that went offline or returned, or whose counters fell (they
// do for offline CPUs, nohz and migrated virtual machines), has no time in that interval
// instead of a jump.
type busyMeter struct {
	cpus    []cpuTimes // by number
	sockets []SocketBusy
	reads   uint32
	online  int
}

type cpuTimes struct {
	known  bool
	parts  [5]uint64
	read   uint32 // number of the read that saw it last
	socket int
}

// fields of a CPU line that are busy: user, nice, system, irq, softirq. Idle and iowait
// are waiting, steal is somebody else's, and guest is already inside user.
func busyFields() [5]int { return [...]int{0, 1, 2, 5, 6} }

// maxCPUs bounds what a line may name.
const maxCPUs = 1 << 13 // NR_CPUS of the largest configuration

// parseCPU reads a line "cpu12 1 2 3 4 5 6 7 8 9 10".
func parseCPU(line []byte) (cpu int, parts [5]uint64, ok bool) {
	line, ok = bytes.CutPrefix(line, []byte("cpu"))
	if !ok {
		return 0, parts, false
	}
	n, line, ok := leading(line)
	if !ok || n >= maxCPUs {
		return 0, parts, false
	}
	wanted := busyFields()
	at := 0
	for field := range wanted[4] + 1 {
		if len(line) == 0 || line[0] != ' ' {
			return 0, parts, false
		}
		var v uint64
		if v, line, ok = leading(line[1:]); !ok || v > 1<<53 {
			return 0, parts, false
		}
		if field == wanted[at] {
			parts[at] = v
			at++
		}
	}
	if len(line) > 0 && line[0] != ' ' {
		return 0, parts, false
	}
	return int(n), parts, true
}

// endOfCPUs says whether b holds all lines of CPUs, which come first.
func endOfCPUs(b []byte) bool {
	for len(b) > 0 {
		if len(b) >= 3 && !bytes.HasPrefix(b, []byte("cpu")) {
			return true
		}
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			return false
		}
		b = b[i+1:]
	}
	return false
}

// advance takes the content of /proc/stat, read so long after the last one. It asks for
// the package of a CPU when it first sees it. It reports whether there was any CPU.
func (m *busyMeter) advance(b []byte, elapsed time.Duration, socketOf func(cpu int) int) bool {
	// A CPU cannot have run for longer than the time that passed; the margins are for
	// the delay between reading this and the clock, and for two ticks.
	bound := uint64(max(0, elapsed))*5/4 + uint64(2*tick)
	m.reads++
	m.online = 0
	for i := range m.sockets {
		m.sockets[i].CPU = 0
	}
	for len(b) > 0 {
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			break // cut off
		}
		line := b[:i]
		b = b[i+1:]
		if !bytes.HasPrefix(line, []byte("cpu")) {
			break
		}
		cpu, parts, ok := parseCPU(line)
		if !ok {
			continue // the sum of all CPUs has no number
		}
		if cpu >= len(m.cpus) {
			m.cpus = append(m.cpus, make([]cpuTimes, cpu+1-len(m.cpus))...)
		}
		c := &m.cpus[cpu]
		if c.read == m.reads {
			continue // twice: not a kernel's
		}
		m.online++
		fresh := !c.known || c.read+1 != m.reads
		if fresh {
			c.known, c.socket = true, socketOf(cpu)
		}
		var delta uint64
		for f := range parts {
			if parts[f] < c.parts[f] {
				fresh = true
			}
			delta += parts[f] - c.parts[f]
		}
		c.parts, c.read = parts, m.reads
		at := m.socket(c.socket)
		if fresh {
			continue
		}
		if delta > bound/uint64(tick) {
			delta = bound / uint64(tick)
		}
		at.CPU += time.Duration(delta) * tick
	}
	return m.online > 0
}

func (m *busyMeter) socket(number int) *SocketBusy {
	i := 0
	for i < len(m.sockets) && m.sockets[i].Socket < number {
		i++
	}
	if i == len(m.sockets) || m.sockets[i].Socket != number {
		m.sockets = append(m.sockets, SocketBusy{})
		copy(m.sockets[i+1:], m.sockets[i:])
		m.sockets[i] = SocketBusy{Socket: number}
	}
	return &m.sockets[i]
}
