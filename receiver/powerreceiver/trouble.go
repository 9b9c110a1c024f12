package powerreceiver

import "time"

const (
	// quiet is how long a failure that was told is not told again, however often it
	// comes and goes meanwhile.
	quiet = 10 * time.Minute
	// maxTroubles bounds the failures that are remembered of one sensor; further ones
	// are only counted.
	maxTroubles = 4096
)

// trouble is a failure that may come and go, and what was said about it.
type trouble struct {
	seen   bool // in this sample
	odd    bool // a finding, which has no end
	lasts  bool
	told   bool // that it lasts
	toldAt time.Time
}

// begin takes in that the failure holds now, and reports whether to say so.
func (t *trouble) begin(now time.Time) bool {
	t.lasts = true
	if t.told || !t.over(now) {
		return false
	}
	t.told, t.toldAt = true, now
	return true
}

// end takes in that it holds no more, and reports whether to say so.
func (t *trouble) end() bool {
	told := t.told
	t.lasts, t.told = false, false
	return told
}

// over reports whether it was last told so long ago that it counts as new.
func (t *trouble) over(now time.Time) bool {
	return t.toldAt.IsZero() || now.Sub(t.toldAt) >= quiet
}
