package ledger

import (
	"time"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/unit"
)

// AccountKind says what an account may be used for.
type AccountKind uint8

const (
	// PartAccount is a share of the machine's energy: hw.energy. The parts are
	// disjoint and add up to the HostAccount.
	PartAccount AccountKind = iota
	// HostAccount is the whole machine, as far as it is known: hw.host.energy.
	HostAccount
	// DetailAccount overlaps others and is never added to anything: cores, uncore,
	// envelopes: carbon.sensor.energy.
	DetailAccount
	// UncountedAccount belongs to a part that something else stands for and that
	// has never been counted: a mirror of another die, a second sensor of the same
	// thing, a model of what is measured since the first tick. Its Energy is 0. It is told for its Stats only; publish
	// no energy for it. It becomes another account when it is counted after all.
	UncountedAccount
)

// String returns "part", "host", "detail" or "uncounted".
func (k AccountKind) String() string {
	switch k {
	case PartAccount:
		return "part"
	case HostAccount:
		return "host"
	case DetailAccount:
		return "detail"
	}
	return "uncounted"
}

// Account is what has been counted for one part or for the host. It is a copy.
type Account struct {
	Kind AccountKind
	// Part describes the part as it was when first seen, so that a series keeps its
	// attributes; nil for the host. Do not change it.
	Part *sensor.Part
	// Energy is in µJ, counted from 0 at Start. It never falls.
	Energy unit.Microjoules
	Start  time.Time // moment of the baseline
	At     time.Time // moment of the newest accepted reading
	// Live is false once another account has taken over, and while the part pauses or
	// the envelope is gone that the remainder is told by: the total stays, no more is added and
	// there is no power to tell.
	Live  bool
	Stats Stats // of the part's own readings; of the host only Demoted
}

// Stats is what a part's readings turned out to be, since its baseline.
type Stats struct {
	Wraps       uint64        // ends of the counter passed
	Resets      uint64        // new beginnings of the counter
	Suspects    uint64        // readings that fitted nothing and were held back
	Corrections uint64        // glitches found out late and taken back
	Gaps        uint64        // intervals of unknown energy
	GapTime     time.Duration // their length in all
	OverRange   uint64        // readings above the range of the counter or of plausible power
	Untimely    uint64        // readings not later than the one before

	// Turns is how often another sensor's view of the same thing gave way to the part; of
	// the remainder, how often its envelope ceased to tell it or began again. A power over
	// such a moment means nothing.
	Turns uint64

	Mirrored bool // shows the counter of another die, which is counted instead
	Standby  bool // another sensor's view of the same thing is counted instead
	Distinct bool // was taken for a mirror until its increments proved to differ
	Demoted  bool // an envelope that did not contain its parts; also set on the remainder and the host

	Short Shortfall // of an envelope that has not earned trust in a minute; else zero
}

// Shortfall is what an envelope that is not trusted showed since it is followed, and what
// the parts drew that should be in it.
type Shortfall struct{ Shown, Parts unit.Microwatts }

// Counters is what the ledger refused, since it was created.
type Counters struct {
	Refused    uint64 // readings without part, id or moment, with the reserved id "other", or of more than MaxParts parts
	Duplicates uint64 // further readings of a part in one tick
	Conflicts  uint64 // readings of a known id with another role, type, method or kind than before
	Overflows  uint64 // increments that would take the host beyond 18.4 TJ
}
