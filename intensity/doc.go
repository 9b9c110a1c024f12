// Package intensity answers one question: how many grams of CO2 did a kilowatt
// hour emit on the grid that feeds a place, over which time, and how sure is
// that? It holds the words, the types and the arithmetic, and it depends on the
// standard library only.
//
// # Where values come from
//
// A [Provider] is one source of values and does nothing clever. A [Source] is
// what programs use; package chain makes it from providers in order, of which
// the last is usually package offline, whose embedded tables know 326 cloud
// regions and 212 countries and never need a network. Package static is a
// constant.
//
//	tables, err := offline.New(offline.Options{})
//	src, err := chain.New(chain.Config{}, tables)
//	slot, err := src.At(ctx, intensity.Query{Location: intensity.Location{Country: "FR"}}, time.Now())
//
// # What a value is
//
// A value without its time, its basis and its quality is a rumor, so values
// travel as a [Slot]: grams per kWh over a half-open interval in UTC, the [Basis]
// that must agree before values are added or compared, the [Quality], the
// [Spread] of the range, and an [Origin] that says who answered for which zone.
// Slots are never changed after they have been returned, and share freely
// between goroutines. Missing is missing: there is no slot of value 0 that
// means unknown, and nothing is ever looked up by the caller's IP address.
//
// # Using it in a hot path
//
// Take one [Handle] for each place and keep it. [Handle.Peek] is two atomic loads
// and one look-up; [Handle.Each] cuts an amount of energy at the borders of the
// slots. Neither waits, locks or allocates. For work over a whole [Series] use
// [Integrate].
//
// # Errors
//
// Failures are of a [Kind]; errors.Is(err, intensity.KindPlan) finds it however
// it is wrapped. Details of an [Error] carry no key, no query and at most 200
// bytes of what a server said.
package intensity
