package rapl

import (
	"bytes"
	"cmp"
	"strconv"
	"strings"
)

// smallFile is the size of the buffer for one attribute. The kernel writes 21
// bytes at most into a number and 30 into a name (PACKAGE_DOMAIN_NAME_LENGTH,
// include/linux/intel_rapl.h).
const smallFile = 64

// parseCount reads the decimal number that a sysfs attribute holds: up to 20
// digits, with white space around them and NUL bytes behind.
func parseCount(b []byte) (n uint64, ok bool) {
	b = trim(b)
	if len(b) == 0 || len(b) > 20 { // 2⁶⁴−1 has 20 digits
		return 0, false
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseUint(string(b), 10, 64) // the compiler keeps this string on the stack
	return n, err == nil
}

// parseName returns the name in a zone's file name. It accepts what can stand in
// an identifier: letters, digits, '-', '_' and '.'.
func parseName(b []byte) (name string, ok bool) {
	b = trim(b)
	if len(b) == 0 || len(b) >= smallFile {
		return "", false
	}
	for _, c := range b {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.':
		default:
			return "", false
		}
	}
	return string(b), true
}

func trim(b []byte) []byte {
	const space = " \t\n\v\f\r"
	return bytes.TrimLeft(bytes.TrimRight(b, space+"\x00"), space)
}

// parsePackage reads package-P and package-P-die-D; die is -1 in the former.
func parsePackage(name string) (socket, die int, ok bool) {
	rest, ok := strings.CutPrefix(name, "package-")
	if !ok {
		return 0, 0, false
	}
	number, dieNumber, hasDie := strings.Cut(rest, "-die-")
	die = -1
	if hasDie {
		if die, ok = parseIndex(dieNumber); !ok {
			return 0, 0, false
		}
	}
	socket, ok = parseIndex(number)
	return socket, die, ok
}

// parsePsys reads psys, of the leading package, and psys-P of the others.
func parsePsys(name string) (socket int, ok bool) {
	if name == "psys" {
		return -1, true
	}
	rest, ok := strings.CutPrefix(name, "psys-")
	if !ok {
		return 0, false
	}
	return parseIndex(rest)
}

// parseIndex reads a number as the kernel prints it with %d: up to six digits,
// no leading zero, so that two texts never mean the same number.
func parseIndex(s string) (n int, ok bool) {
	if s == "" || len(s) > 6 || (s[0] == '0' && len(s) > 1) {
		return 0, false
	}
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int(c-'0')
	}
	return n, true
}

const (
	controlMSR  = "intel-rapl"      // through MSR, or TPMI on newer servers; AMD and Hygon too
	controlMMIO = "intel-rapl-mmio" // a second view of the same package
)

// An address is the name of a zone's folder: intel-rapl:0 or intel-rapl:0:2.
type address struct {
	control string
	n       int
	m       int // of a sub-zone, else -1
}

func isControl(folder string) bool {
	return folder == controlMSR || strings.HasPrefix(folder, controlMSR+"-") && !strings.Contains(folder, ":")
}

func parseAddress(folder string) (a address, ok bool) {
	control, rest, _ := strings.Cut(folder, ":")
	if !isControl(control) {
		return a, false
	}
	number, sub, isSub := strings.Cut(rest, ":")
	a = address{control: control, m: -1}
	if isSub {
		if a.m, ok = parseIndex(sub); !ok {
			return a, false
		}
	}
	a.n, ok = parseIndex(number)
	return a, ok
}

// above returns the address of the zone that holds the sub-zone a.
func (a address) above() address { return address{a.control, a.n, -1} }

// compare sorts MSR before the other interfaces, and 9 before 10.
func (a address) compare(b address) int {
	rank := func(control string) int {
		if control == controlMSR {
			return 0
		}
		return 1
	}
	return cmp.Or(
		cmp.Compare(rank(a.control), rank(b.control)),
		cmp.Compare(a.control, b.control),
		cmp.Compare(a.n, b.n),
		cmp.Compare(a.m, b.m),
	)
}

// machine is what /proc/cpuinfo says that matters here.
type machine struct {
	vendor  string // "GenuineIntel", …; "" if unknown or not x86
	virtual bool   // runs under a hypervisor
	known   bool   // there was a readable cpuinfo
}

// parseCPUInfo reads the beginning of /proc/cpuinfo, of which the first
// processor is enough.
func parseCPUInfo(b []byte) machine {
	m := machine{known: len(b) > 0}
	for line := range bytes.Lines(b) {
		key, value, _ := bytes.Cut(line, []byte(":"))
		switch string(trim(key)) {
		case "vendor_id":
			if m.vendor == "" {
				m.vendor = string(trim(value))
			}
		case "flags":
			for flag := range bytes.FieldsSeq(value) {
				if string(flag) == "hypervisor" {
					m.virtual = true
				}
			}
			return m
		}
	}
	return m
}

// mirrorsDies says whether the kernel may show one package counter for each die.
func (m machine) mirrorsDies() bool {
	return m.vendor == "AuthenticAMD" || m.vendor == "HygonGenuine"
}
