package process

import (
	"bytes"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/otelcarbon/otelcarbon/internal/sensor/model"
)

const (
	maxCPUs = 1 << 13 // NR_CPUS of the largest configuration
	maxName = 128
)

// parseCPUInfo takes over what the first processor of /proc/cpuinfo says. How many
// sockets there are follows from cpus, the number of CPUs of the machine.
func parseCPUInfo(b []byte, cpus int, h *model.Host) {
	processors := 0
	for line := range bytes.Lines(b) {
		key, value, ok := bytes.Cut(line, []byte(":"))
		if !ok {
			continue
		}
		value = bytes.TrimSpace(value)
		switch string(bytes.TrimSpace(key)) {
		case "processor":
			if processors++; processors > 1 {
				return
			}
		case "vendor_id":
			h.CPUVendor = name(value)
		case "model name":
			h.CPUModel = name(value)
		case "cpu family":
			h.CPUFamily = number(value)
		case "model":
			h.CPUModelID = number(value)
		case "stepping":
			h.CPUStepping = number(value)
		case "siblings":
			if n := number(value); n > 0 && cpus > 0 {
				h.Sockets = (cpus + n - 1) / n
			}
		case "flags":
			for flag := range bytes.FieldsSeq(value) {
				if string(flag) == "hypervisor" {
					h.Virtual = true
				}
			}
		case "CPU implementer":
			if string(value) == "0x41" {
				h.CPUVendor = "ARM"
			}
		case "CPU part":
			if h.CPUVendor == "ARM" {
				h.CPUModel = neoverse(string(value))
			}
		}
	}
}

// neoverse names the cores of Arm's servers, which Linux tells by number
// (arch/arm64/include/asm/cputype.h).
func neoverse(part string) string {
	switch part {
	case "0xd0c":
		return "Neoverse-N1"
	case "0xd40":
		return "Neoverse-V1"
	case "0xd49":
		return "Neoverse-N2"
	case "0xd4f":
		return "Neoverse-V2"
	}
	return ""
}

// parseMemInfo returns the bytes of MemTotal.
func parseMemInfo(b []byte) uint64 {
	for line := range bytes.Lines(b) {
		rest, ok := bytes.CutPrefix(line, []byte("MemTotal:"))
		if !ok {
			continue
		}
		kB, ok := bytes.CutSuffix(bytes.TrimSpace(rest), []byte(" kB"))
		if n, isNumber := parseNumber(kB); ok && isNumber && n <= math.MaxInt64/1024 {
			return n * 1024
		}
		return 0
	}
	return 0
}

// parseOnline counts the CPUs of a list, "0-3,8". It is 0 if that is no list.
func parseOnline(b []byte) int {
	n, next := uint64(0), uint64(0)
	for list := range bytes.SplitSeq(bytes.TrimSpace(b), []byte(",")) {
		from, to, isRange := bytes.Cut(list, []byte("-"))
		if !isRange {
			to = from
		}
		first, ok := parseNumber(from)
		last, okToo := parseNumber(to)
		if !ok || !okToo || first > last || last >= maxCPUs || first < next {
			return 0
		}
		n += last - first + 1
		next = last + 1
	}
	return int(n)
}

// parseHeld returns the bytes that the process holds alone, by /proc/self/statm: "314 27
// 12 …" in pages, of which 27 are in memory, 12 of them shared with others. What is shared
// would be counted once for each of those.
func parseHeld(b []byte, page uint64) uint64 {
	var resident uint64
	i := 0
	for field := range bytes.FieldsSeq(b) {
		n, ok := parseNumber(field)
		switch {
		case !ok || n > math.MaxInt64/page:
			return 0
		case i == 1:
			resident = n
		case i == 2:
			return (resident - min(n, resident)) * page
		}
		i++
	}
	return 0
}

func name(b []byte) string {
	if len(b) > maxName || !utf8.Valid(b) {
		return ""
	}
	return string(b)
}

func number(b []byte) int {
	if len(b) > 9 {
		return 0
	}
	n, _ := strconv.Atoi(string(b))
	return max(n, 0)
}

// parseProcess returns the parent of a process, 0 for none, and when it was started, of
// /proc/[pid]/stat (proc_pid_stat(5)): fields 4 and 22. The name, field 2, may contain anything.
func parseProcess(b []byte) (parent int, started uint64, ok bool) {
	end := bytes.LastIndexByte(b, ')')
	fields := bytes.Fields(b[end+1:])
	if end < 0 || len(fields) < 20 {
		return 0, 0, false
	}
	above, ok := parseNumber(fields[1])
	started, numbers := parseNumber(fields[19])
	return int(min(above, math.MaxInt32)), started, ok && numbers
}
