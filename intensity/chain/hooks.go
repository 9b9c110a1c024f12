package chain

import (
	"time"

	"github.com/otelcarbon/otelcarbon/intensity"
)

// Hooks tell what a Source does, for the telemetry of the program around it. All may be
// nil. They are called from many goroutines, without a lock, and must not block: Request is
// called before those who wait for the request are told, so it may ask the Source for a
// Handle or what is Known, but not for what may need a request.
type Hooks struct {
	// Request is called after each request to a provider: what it was for, how long it
	// took, and how it failed (errors.Is finds the Kind).
	Request func(provider, zone string, took time.Duration, err error)
	// Answer is called for each slot that At and each Series that Range returns: of whom
	// it is, how good, how long ago it was fetched (0 for tables), and whether it was
	// there already.
	Answer func(provider string, quality intensity.Quality, age time.Duration, cached bool)
	// Changed is called when a Handle has got other values (grams, quality, basis or
	// provider) for a time that has begun: the first ones, those of an hour that has ended,
	// a correction. [from, to) is the shortest interval that holds all of them.
	Changed func(h *intensity.Handle, from, to time.Time)
	// Trouble is called for what fails in the background and is no answer to anybody: a
	// stored cache that cannot be read, a provider that is suspended.
	Trouble func(err error)
}

func (h *Hooks) request(provider, zone string, took time.Duration, err error) {
	if h.Request != nil {
		h.Request(provider, zone, took, err)
	}
}

func (h *Hooks) answer(s *intensity.Slot, now time.Time, cached bool) {
	if h.Answer == nil {
		return
	}
	var age time.Duration
	if at := s.Origin.FetchedAt; !at.IsZero() {
		age = max(now.Sub(at), 0)
	}
	h.Answer(s.Origin.Provider, s.Quality, age, cached)
}

func (h *Hooks) trouble(err error) {
	if h.Trouble != nil && err != nil {
		h.Trouble(err)
	}
}
