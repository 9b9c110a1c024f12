package cputime

import "math"

// prior is how many samples what is known of the group of a work counts as.
const prior = 1

// An Item is one work in some window of time.
type Item struct {
	Group   string  // works of one group are of the same kind: spans of the same name
	Samples float64 // that met it
	Time    float64 // for how long it was there, in time between two samples (10 ms)

	// Share is what it gets of all samples of its group, and Off what that may be off by:
	// twice the standard deviation. Divide sets them.
	Share, Off float64
}

// Divide shares the samples of each group among its items. A sample is 10 ms, so a span of
// 1 ms would have none, nine times out of ten, or ten times too much. It gets the mean
// of what its own samples say and of what its group uses in such a time, the latter with the
// weight of one sample: by the rate r of the group, in CPUs,
//
//	share = time · (samples + 1) / (time + 1/r)
//
// which is the posterior mean if the rates of works in a group are gamma distributed and
// samples come by chance (Gelman et al., Bayesian Data Analysis, 2.6). So short spans
// of a name share by time, long ones go by their own samples, and a work that was met by
// none all the time gets next to nothing. Then all are multiplied with one number, so that
// the group gets what was sampled of it, exactly.
func Divide(items []Item, groups map[string]*Group) {
	clear(groups)
	for i := range items {
		it := &items[i]
		g := groups[it.Group]
		if g == nil {
			g = &Group{}
			groups[it.Group] = g
		}
		g.samples += it.Samples
		g.time += it.Time
	}
	for i := range items {
		it := &items[i]
		g := groups[it.Group]
		it.Share, it.Off = 0, 0
		there := max(it.Time, it.Samples*minTime) // who was met was there
		if !(g.samples > 0 && there > 0) {
			continue
		}
		per := there / (there + prior*g.time/g.samples)
		it.Share = per * (it.Samples + prior)
		it.Off = 2 * per * math.Sqrt(it.Samples+prior)
		g.shares += it.Share
	}
	for i := range items {
		it := &items[i]
		if g := groups[it.Group]; g.shares > 0 {
			it.Share *= g.samples / g.shares
			it.Off *= g.samples / g.shares
		}
	}
}

// minTime keeps a group from having samples and no share: 10 ns.
const minTime = 1e-6

// Group is for Divide to add up.
type Group struct{ samples, time, shares float64 }
