// Package sensor defines what a source of power or energy readings is, and the
// words in which it describes the parts of a machine that it measures.
//
// A sensor returns raw values. Whether a counter wrapped, was reset or jumped
// is decided in package energy; which parts overlap and therefore must not be
// added is decided in package ledger, from Part.Role, Part.Socket and Part.Die.
package sensor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/otelcarbon/otelcarbon/internal/unit"
)

// Kind says how a Reading counts.
type Kind uint8

const (
	// Counter readings carry Energy, a count in µJ that grows from an arbitrary
	// origin and may wrap beyond Max.
	Counter Kind = iota
	// Gauge readings carry Power, the power at the moment At.
	Gauge
)

// Role says how a part takes part in the sum over the machine (ENERGY.md A.2).
type Role uint8

const (
	// Primary parts are disjoint: packages, DRAM, GPUs, rails. Their sum is the
	// energy of the machine as far as it is measured.
	Primary Role = iota
	// Breakdown parts lie inside their Parent (core, uncore in a package). They
	// are never added to anything.
	Breakdown
	// Envelope parts contain primary parts and more (psys, a BMC).
	Envelope
)

// Method is the value of the attribute carbon.method.
type Method string

const (
	Measured   Method = "measured"   // an energy counter of the hardware
	Integrated Method = "integrated" // a power gauge integrated over time
	Modelled   Method = "modelled"   // computed from utilization, nothing measured
)

// Part describes one thing that has its own reading. It does not change after
// the sensor has returned it for the first time; readings share it by pointer.
type Part struct {
	ID     string // hw.id: unique on the host, stable over restarts; from name or UUID, never from an index
	Parent string // ID of the part that contains this one, or ""
	Name   string // hw.name, as the kernel or driver calls it: "package-0"
	Type   string // hw.type: "cpu", "memory", "gpu", "battery", "other"
	Sensor string // carbon.sensor: "rapl", "model", …
	Method Method // carbon.method
	Role   Role
	Socket int // physical package the part belongs to, -1 when it belongs to none or is unknown
	Die    int // die in the package, -1 when the part is the whole package or unknown

	// MayMirror marks a die-level counter of a CPU whose kernel is known to show
	// the package counter once for each die (AMD and Hygon): the ledger counts
	// one of them unless their increments prove to differ.
	MayMirror bool

	// Same names what is measured, where several sensors can measure it:
	// "package-0", "package-0/dram", "psys", "gpu/GPU-4a3b…". Of parts with the same
	// name the ledger counts one, that with the lowest Rank which can be read.
	// Empty: nothing else measures it.
	Same string
	Rank int

	// Covers lists the types whose energy is inside a Primary part beside its own
	// Type, so that nothing is modelled beside it: a board's input rail covers "cpu"
	// and "memory".
	Covers []string

	// Whole marks an Envelope that is the whole host by construction (a BMC, a power
	// meter at the input, a discharging battery), whatever the number of sockets.
	// Among several, the one with the lowest Rank decides.
	Whole bool

	// Period is how often a Gauge has a new value where that is slower than it may be
	// read (5 s for a management controller): up to three of them are bridged. 0: with
	// each read.
	Period time.Duration

	// MaxPower is the largest plausible power, for telling a wrap from a glitch;
	// 0 means unknown (the ledger then takes 1 kW).
	MaxPower unit.Microwatts
	// Idle is what it draws unused, where that is known beforehand; 0: it is not.
	Idle unit.Microwatts
	// Refresh is how often the counter moves, where that is rarely: at any power a window
	// of time is wrong by as much at each end. 0: Step says how coarse it is.
	Refresh time.Duration
	// Step is the counter's increment where it is coarse (1 J for psys of some
	// servers); 0 means finer than 1 mJ.
	Step unit.Microjoules
}

// Reading is one successful read of one part.
type Reading struct {
	Part *Part
	At   time.Time // of this very read; carries the monotonic clock
	Kind Kind

	Energy unit.Microjoules // Counter: the raw count
	Max    unit.Microjoules // Counter: largest count before it wraps, 0 if unknown
	Power  unit.Microwatts  // Gauge
}

// A Sensor reads one kind of source. One goroutine uses it at a time; different
// sensors may be used by different goroutines.
//
// Each sensor package has an Open that returns errors.ErrUnsupported (wrapped in
// a *Problem that says what is missing and what would help) when the machine has
// no such hardware. A source that exists but cannot be read now opens without
// error and reports itself through Read, because the permission may be granted
// later.
type Sensor interface {
	// Read appends the readings that it could make to dst and returns the extended
	// slice. If some parts fail it appends the others and returns an error that
	// joins one *Problem for each failure; errors.As and Problems find them. In
	// steady state it allocates nothing when dst has room.
	Read(ctx context.Context, dst []Reading) ([]Reading, error)
	// Close releases what the sensor holds. It may be called twice.
	Close() error
}

// A Wrapper is a Sensor whose counters may wrap. Whoever reads calls it, between two
// reads.
type Wrapper interface {
	// Wrap returns the shortest time in which a counter can wrap, 0 if none does or
	// none is known yet.
	Wrap() time.Duration
}

// A Describer is a Sensor that can say in one line what it measures and how. Whoever
// reads calls it, between two reads.
type Describer interface{ Describe() string }

// An Attempter is a Sensor that asks its source at its own pace, and not with each
// Read: its failures are those that it tells, not the problems that Read repeats.
// Whoever reads calls it, after each Read.
type Attempter interface {
	// Failures calls yield with the number of attempts that have failed since it was
	// last called, by class, until yield returns false; what was not told then is
	// told by the next call. Classes without any are left out.
	Failures(yield func(class Class, n uint64) bool)
}

// An Asker is an Attempter that can be made to ask out of turn, because nobody will read
// what comes later.
type Asker interface {
	// Ask has the source asked now, unless it was a moment ago or fails anyway, and waits
	// until it has answered or ctx ends. The next Read gives the answer.
	Ask(ctx context.Context)
}

// A Pauser is a Sensor that knows when a part stops to tell anything, and that this
// is no failure: a battery that is charged. Nobody waits for such a part. Whoever
// reads calls it, after each Read.
type Pauser interface {
	// Paused calls yield for each part of which the last Read gave nothing because
	// there is nothing to give, until yield returns false. A part pauses until its next
	// reading.
	Paused(yield func(p *Part) bool)
}

// Class groups problems for the self-telemetry attribute error.type. The set is
// closed, so that the number of series stays bounded.
type Class string

const (
	Absent     Class = "absent"      // no such interface in this kernel or machine
	Masked     Class = "masked"      // the container runtime hides it
	Permission Class = "permission"  // exists, may not be read
	VirtualMac Class = "virtual"     // a virtual machine without access to the host's sensors
	Gone       Class = "gone"        // was there and disappeared (hotplug)
	IO         Class = "io"          // the kernel returned an error for the read
	Malformed  Class = "malformed"   // the content is not what the ABI promises
	NotBuilt   Class = "unsupported" // this operating system or build has no reader for it
)

// Problem is why something cannot be read, and what a person can do about it.
type Problem struct {
	Sensor string // "rapl"
	Class  Class
	Path   string // the file or folder concerned, as seen by this process; may be ""
	Remedy string // what would make it work: exact file, mode, capability or rule; may be ""
	// Finding marks what is odd about what is there, not a read that failed: it is
	// reported when it is found, and that it is not reported again means nothing.
	Finding bool
	Err     error // cause; may wrap errors.ErrUnsupported or a syscall.Errno
}

func (p *Problem) Error() string {
	s := p.Sensor + ": "
	if p.Path != "" {
		s += p.Path + ": "
	}
	if p.Err != nil {
		s += p.Err.Error()
	} else {
		s += string(p.Class)
	}
	if p.Remedy != "" {
		s += fmt.Sprintf(" (%s)", p.Remedy)
	}
	return s
}

func (p *Problem) Unwrap() error { return p.Err }

// Problems calls yield for every *Problem inside err, however it was joined or
// wrapped. It is an iterator: for p := range sensor.Problems(err) { … }.
func Problems(err error) func(yield func(*Problem) bool) {
	return func(yield func(*Problem) bool) { walk(err, yield) }
}

func walk(err error, yield func(*Problem) bool) bool {
	if err == nil {
		return true
	}
	if p, ok := err.(*Problem); ok { //nolint:errorlint // the tree is walked node by node
		return yield(p)
	}
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range many.Unwrap() {
			if !walk(e, yield) {
				return false
			}
		}
		return true
	}
	return walk(errors.Unwrap(err), yield)
}
