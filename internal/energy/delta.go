package energy

import (
	"math"
	"strings"
	"time"

	"github.com/otelcarbon/otelcarbon/internal/unit"
)

// Delta is the energy in µJ of the interval (From, To]. To is zero when the
// reading closed no interval: it was a baseline, or was not accepted; Energy is
// then 0 and the energy of that time arrives with a later Delta or, where an
// Event says Gap, never. Intervals of one source never overlap.
type Delta struct {
	Energy   unit.Microjoules
	From, To time.Time
}

// Event is the set of things that a reading turned out to be.
type Event uint16

const (
	// Baseline: the reading is the origin that later ones are measured against.
	Baseline Event = 1 << iota
	// Accepted: the reading is a plausible step forward; Delta holds its energy.
	Accepted
	// Wrapped: the step forward went over the counter's end. Comes with Accepted.
	Wrapped
	// Corrected: the counter fell back by no more than it had lately advanced, so
	// an earlier reading was too high. Delta holds the interval with no energy,
	// and later energy pays the debt first.
	Corrected
	// Held: the reading fits nothing known; it is remembered and nothing changes.
	Held
	// Dropped: a held reading was a glitch, no energy is lost. Comes with Accepted.
	Dropped
	// Reset: the counter began anew at the held reading. Comes with Gap: the
	// energy before that reading is unknown. Delta holds the energy since.
	Reset
	// Gap: energy of an interval is unknown and was not guessed.
	Gap
	// OverRange: the reading lies above the range of its source; it was ignored,
	// unless ModulusUnknown comes with it.
	OverRange
	// ModulusUnknown: readings above Max persist, so Max is disbelieved and wraps
	// can no longer be told from resets. It is reported once.
	ModulusUnknown
	// Untimely: the reading is not later than the last one; it was ignored.
	Untimely
)

var eventNames = [...]string{
	"baseline", "accepted", "wrapped", "corrected", "held", "dropped",
	"reset", "gap", "over-range", "modulus-unknown", "untimely",
}

// Has reports whether e contains any of the events in x.
func (e Event) Has(x Event) bool { return e&x != 0 }

// String returns the events as "accepted|wrapped", or "none".
func (e Event) String() string {
	if e == 0 {
		return "none"
	}
	var names []string
	for i, name := range eventNames {
		if e.Has(1 << i) {
			names = append(names, name)
		}
	}
	return strings.Join(names, "|")
}

// Stats counts events since the source was created.
type Stats struct {
	Wraps       uint64        // ends of the counter passed
	Resets      uint64        // confirmed new beginnings
	Suspects    uint64        // readings held because they fitted nothing
	Corrections uint64        // falls back that took back a glitch seen late
	Gaps        uint64        // intervals of unknown energy
	GapTime     time.Duration // their length in all
	OverRange   uint64        // readings above the range of the source
	Untimely    uint64        // readings not later than the one before
}

func (s *Stats) gap(d time.Duration) {
	s.Gaps++
	if d > 0 {
		s.GapTime += min(d, math.MaxInt64-s.GapTime)
	}
}

func plus(a, b unit.Microjoules) unit.Microjoules {
	if a > math.MaxUint64-b {
		return math.MaxUint64
	}
	return a + b
}
