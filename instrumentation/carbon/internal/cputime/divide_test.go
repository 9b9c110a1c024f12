package cputime

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func divide(items ...Item) []Item {
	new(Divider).Divide(items)
	return items
}

// In a second, by (t · (n+1)) / (t + T/C), then so that the group has what was sampled:
func TestDivide(t *testing.T) {
	for name, c := range map[string]struct {
		items []Item
		want  []float64
	}{
		// T/C = 200/100 = 2: 100·101/102 = 99.02 and 100·1/102 = 0.98.
		"one works, one waits": {[]Item{{Group: "a", Samples: 100, Time: 100}, {Group: "a", Time: 100}}, []float64{99.0196, 0.9804}},
		// Half a CPU: T/C = 2. 0.1·2/2.1 = 0.0952 and 0.1·1/2.1 = 0.0476 each; twenty of them, one met: 1.0000 in all:
		// 0.0952 + 19·0.0476 = 1. So the one met has twice what the others have, not all.
		"short ones of a name": {append([]Item{{Group: "a", Samples: 1, Time: 0.1}}, make19(Item{Group: "a", Time: 0.1})...), []float64{0.0952, 0.0476}},
		"groups do not mix":    {[]Item{{Group: "a", Samples: 7, Time: 10}, {Group: "b", Time: 10}}, []float64{7, 0}},
		"met in no time":       {[]Item{{Group: "a", Samples: 1}, {Group: "b"}}, []float64{1, 0}},
		"on two CPUs":          {[]Item{{Group: "a", Samples: 200, Time: 100}}, []float64{200}},
	} {
		t.Run(name, func(t *testing.T) {
			got := divide(c.items...)
			for i, want := range c.want {
				if math.Abs(got[i].Share-want) > 0.05*want+1e-9 {
					t.Errorf("%d: %v, want %v", i, got[i].Share, want)
				}
			}
		})
	}
}

func make19(it Item) []Item {
	out := make([]Item, 19)
	for i := range out {
		out[i] = it
	}
	return out
}

func TestDivideKeepsTheSum(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		items := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Item {
			return Item{
				Group:   rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "group"),
				Samples: float64(rapid.IntRange(0, 1000).Draw(t, "samples")),
				Time:    rapid.SampledFrom([]float64{-5, 0, 1e-9, 1e-3, 1, 100, 1e9}).Draw(t, "time"),
			}
		}), 0, 40).Draw(t, "items")
		want, got := map[string]float64{}, map[string]float64{}
		for _, it := range divide(items...) {
			if !(it.Share >= 0) || !(it.Off >= 0) || math.IsInf(it.Share, 0) || math.IsInf(it.Off, 0) {
				t.Fatalf("%+v", it)
			}
			want[""] += it.Samples
			got[""] += it.Share
		}
		for g := range want {
			if math.Abs(want[g]-got[g]) > 1e-9*want[g] {
				t.Fatalf("group %s: %v, want %v", g, got[g], want[g])
			}
		}
	})
}

// One span of 9 ms each second beside a busy one: none of the samples meets it, nine times out
// of ten. From then on it is taken to use what it used in the mean.
func TestDivideRemembers(t *testing.T) {
	var d Divider
	sum := 0.0
	for i := range 100 {
		items := []Item{{Group: "busy", Samples: 99, Time: 99}, {Group: "short", Time: 0.9}}
		if i%10 == 0 {
			items[1].Samples = 1
		}
		d.Divide(items)
		sum += items[1].Share
		if i >= 10 && (items[1].Share < 0.02 || items[1].Share > 0.5) {
			t.Errorf("window %d: %v samples", i, items[1].Share)
		}
		if i >= 10 && items[1].Off < items[1].Share {
			t.Errorf("window %d: %v ± %v", i, items[1].Share, items[1].Off)
		}
	}
	if sum < 7 || sum > 13 { // ten were met
		t.Errorf("%v samples in all, want about 10", sum)
	}
	for i := range 3 * maxGroups {
		d.Divide([]Item{{Group: string(rune(i)), Samples: 1, Time: 1}})
	}
	if len(d.groups) > maxGroups {
		t.Errorf("%d groups are remembered", len(d.groups))
	}
}

// As many samples by chance as CPU time would give: the error that is told covers most.
func TestOffCovers(t *testing.T) {
	// A span of 2 s that uses a CPU alone has 200 samples, give or take 14; 2·√201·(200/201).
	got := divide(Item{Group: "a", Samples: 200, Time: 200})
	if off := got[0].Off; math.Abs(off-28.2) > 0.5 {
		t.Errorf("±%v, want ±28", off)
	}
}
