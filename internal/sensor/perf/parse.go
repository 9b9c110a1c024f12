package perf

import (
	"bytes"
	"math/big"
	"math/bits"
	"strconv"
	"strings"
)

const (
	maxCPU    = 1 << 16 // x86 kernels are built for 8192 at most (NR_CPUS_RANGE_END, arch/x86/Kconfig)
	maxPlaces = 1024    // CPUs in cpumask; one for each die
	maxConfig = 0xff    // RAPL_EVENT_MASK, arch/x86/events/rapl.c
)

func trim(b []byte) string {
	const space = " \t\n\v\f\r"
	return string(bytes.TrimLeft(bytes.TrimRight(b, space+"\x00"), space))
}

// parseIndex reads a number as the kernel prints it with %d: up to six digits,
// no leading zero.
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

// parseMask reads a list of CPUs, "0,18" or "0-3,8", as the kernel prints it: in
// ascending order. An empty list is a list.
func parseMask(b []byte) (cpus []int, ok bool) {
	text := trim(b)
	if text == "" {
		return nil, true
	}
	next := 0
	for item := range strings.SplitSeq(text, ",") {
		low, high, isRange := strings.Cut(item, "-")
		first, ok := parseIndex(low)
		if !ok {
			return nil, false
		}
		last := first
		if isRange {
			if last, ok = parseIndex(high); !ok {
				return nil, false
			}
		}
		if first < next || last < first || last >= maxCPU || len(cpus)+last-first >= maxPlaces {
			return nil, false
		}
		for cpu := first; cpu <= last; cpu++ {
			cpus = append(cpus, cpu)
		}
		next = last + 1
	}
	return cpus, true
}

// parseEvent reads the only term that events of this PMU have: "event=0x02".
func parseEvent(b []byte) (config uint64, ok bool) {
	number, ok := strings.CutPrefix(trim(b), "event=")
	if !ok || number == "" || strings.ContainsAny(number, "_+-") {
		return 0, false
	}
	config, err := strconv.ParseUint(number, 0, 64)
	return config, err == nil && config <= maxConfig
}

// parseType reads the number of the PMU, which perf_event_open takes.
func parseType(b []byte) (typ uint32, ok bool) {
	n, ok := parseIndex(trim(b))
	return uint32(n), ok //nolint:gosec // six digits
}

// parseScale reads how many J one count is, and returns it as µJ: exactly where
// that is a ratio of two numbers of 63 bits, as 2⁻³² is, else within 10⁻¹² of its
// value. It accepts what a counter of energy can have: 10⁻¹² J to 1 J.
func parseScale(b []byte) (r ratio, ok bool) {
	text := trim(b)
	if text == "" || len(text) >= smallFile || strings.Trim(text, "0123456789.eE+-") != "" {
		return ratio{}, false
	}
	approx, err := strconv.ParseFloat(text, 64) // before big.Rat, which writes an exponent out
	if err != nil || !(approx >= 1e-12 && approx <= 1) {
		return ratio{}, false
	}
	exact, ok := new(big.Rat).SetString(text)
	if !ok {
		return ratio{}, false
	}
	exact.Mul(exact, big.NewRat(1_000_000, 1))
	if num, den := exact.Num(), exact.Denom(); num.BitLen() <= 63 && den.BitLen() <= 63 {
		return ratio{num.Uint64(), den.Uint64()}, true
	}
	whole := new(big.Int).Quo(exact.Num(), exact.Denom()) // up to 10⁶
	shift := uint(62 - whole.BitLen())                    // 42 to 62
	num := new(big.Int).Lsh(exact.Num(), shift)
	num.Add(num, new(big.Int).Rsh(exact.Denom(), 1)).Quo(num, exact.Denom())
	r = ratio{num.Uint64(), 1 << shift}
	common := uint(bits.TrailingZeros64(r.num | r.den))
	return ratio{r.num >> common, r.den >> common}, true
}

// smallFile is the size of the buffer for one attribute; a scale has 27 bytes.
const smallFile = 64

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
		switch trim(key) {
		case "vendor_id":
			if m.vendor == "" {
				m.vendor = trim(value)
			}
		case "flags":
			for flag := range bytes.FieldsSeq(value) {
				m.virtual = m.virtual || string(flag) == "hypervisor"
			}
			return m
		}
	}
	return m
}

// mirrorsDies says whether the kernel may show one package counter for each die:
// Linux 6.9 and 6.10 did, with core complexes for dies.
func (m machine) mirrorsDies() bool {
	return m.vendor == "AuthenticAMD" || m.vendor == "HygonGenuine"
}

// process is what /proc/self/status says that matters here.
type process struct {
	perfmon bool // CAP_PERFMON or CAP_SYS_ADMIN is in effect, in whatever namespace
	seccomp bool // a seccomp filter is in effect
}

const (
	capSysAdmin = 21 // include/uapi/linux/capability.h
	capPerfmon  = 38 // include/uapi/linux/capability.h
)

func parseStatus(b []byte) process {
	var p process
	for line := range bytes.Lines(b) {
		key, value, _ := bytes.Cut(line, []byte(":"))
		switch string(key) {
		case "CapEff":
			caps, err := strconv.ParseUint(trim(value), 16, 64)
			p.perfmon = err == nil && caps&(1<<capPerfmon|1<<capSysAdmin) != 0
		case "Seccomp":
			p.seccomp = trim(value) == "2" // SECCOMP_MODE_FILTER, include/uapi/linux/seccomp.h
		}
	}
	return p
}
