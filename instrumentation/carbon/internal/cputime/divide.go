package cputime

import "math"

// prior is how many samples what is known of the group of a work counts as.
const prior = 1

// An Item is one work in some window of time.
type Item struct {
	Group   string  // works of one group are of the same kind: spans of the same name
	Samples float64 // that met it
	Time    float64 // for how long it was there, in time between two samples (10 ms)

	// Share is what it gets of all samples, and Off what that may be off by: twice the
	// standard deviation. Divide sets them.
	Share, Off float64
}

// A Divider shares samples among works. It remembers how much works of a group use. The zero
// value is ready; one goroutine uses it.
type Divider struct{ groups map[string]*group }

// group is what was seen of works of one kind, each window with 9/10 of the weight of its
// successor.
type group struct{ samples, time float64 }

const (
	fading    = 0.9
	forgotten = 0.01 // samples and time of a group that is let go
	maxGroups = 10_000
)

// Divide shares the samples of a window. A sample is 10 ms, so a span of 1 ms would have
// none, nine times out of ten, or ten times too much. It gets the mean of what its own samples
// say and of what its group uses in such a time, the latter with the weight of one sample: by
// the rate r of the group, in CPUs, in this window and those before,
//
//	share = time · (samples + 1) / (time + 1/r)
//
// which is the posterior mean if the rates of works in a group are gamma distributed and
// samples come by chance (Gelman et al., Bayesian Data Analysis, 2.6). So short spans
// of a name share by time, long ones go by their own samples, and a work that was met by
// none all the time gets next to nothing. Then all are multiplied with one number, so that
// the sum is what was sampled, exactly. What met no work is to be an Item, too.
func (d *Divider) Divide(items []Item) {
	if d.groups == nil {
		d.groups = map[string]*group{}
	}
	for name, g := range d.groups {
		g.samples *= fading
		if g.time *= fading; g.samples < forgotten && g.time < forgotten {
			delete(d.groups, name)
		}
	}
	met, shares := 0.0, 0.0
	for i := range items {
		it := &items[i]
		it.Time = max(it.Time, 0)
		met += it.Samples
		g := d.groups[it.Group]
		if g == nil {
			if len(d.groups) >= maxGroups { // names that never come again
				clear(d.groups)
			}
			g = &group{}
			d.groups[it.Group] = g
		}
		g.samples += it.Samples
		g.time += it.Time
	}
	for i := range items {
		it := &items[i]
		it.Share, it.Off = 0, 0
		g := d.groups[it.Group]
		there := max(it.Time, it.Samples*minTime) // who was met was there
		if g == nil || !(g.samples > 0 && there > 0) {
			it.Share = it.Samples
			shares += it.Share
			continue
		}
		per := there / (there + prior*g.time/g.samples)
		it.Share = per * (it.Samples + prior)
		it.Off = 2 * per * math.Sqrt(it.Samples+prior)
		shares += it.Share
	}
	if !(shares > 0) {
		return
	}
	for i := range items {
		items[i].Share *= met / shares
		items[i].Off *= met / shares
	}
}

// minTime keeps who was met in no time from having no share: 10 ns.
const minTime = 1e-6
