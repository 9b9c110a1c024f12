package budget_test

import (
	"bytes"
	"math/big"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/otelcarbon/otelcarbon/internal/budget"
)

type booking struct {
	key      budget.Key
	of       budget.Scope
	from, to time.Time
	grams    float64
}

// picograms that a booking comes to.
func (k booking) picograms() *big.Int {
	pg, _ := new(big.Float).SetFloat64(k.grams * 1e12).Int(nil)
	return pg
}

// bookings draws some within five days around noon, most of them near it. Their
// grams are whole milligrams.
func bookings(t *rapid.T, of *rapid.Generator[budget.Scope]) []booking {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) booking {
		minutes := rapid.OneOf(rapid.IntRange(-720, 720), rapid.IntRange(-3600, 3600))
		to := noon.Add(time.Duration(minutes.Draw(t, "to")) * time.Minute)
		return booking{
			key: budget.Key{rapid.Uint64Range(0, 3).Draw(t, "key"), 0}, of: of.Draw(t, "scope"),
			from:  to.Add(-time.Duration(rapid.OneOf(rapid.IntRange(0, 10), rapid.IntRange(0, 4000)).Draw(t, "minutes")) * time.Minute),
			to:    to,
			grams: float64(rapid.IntRange(0, 1e6).Draw(t, "mg")) / 1e3,
		}
	}), 0, 30).Draw(t, "bookings")
}

func scopes() *rapid.Generator[budget.Scope] {
	return rapid.SampledFrom([]budget.Scope{budget.Host, budget.Workload})
}

func start(t *rapid.T) *budget.Budget {
	b, err := budget.New(budget.Config{Name: "test", Grams: 1000, Period: day}, noon)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func state(t *rapid.T, b *budget.Budget) []byte {
	s, err := b.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func add(b *budget.Budget, k booking) float64 { return b.Add(k.key, k.of, k.from, k.to, k.grams) }

// amount is what Status says in g, as picograms: sums of milligrams that were cut
// stay far below 2⁵³ of them.
func amount(grams float64) int64 { return int64(grams*1e12 + 0.5) }

// Whatever is booked is used in one of the three days, or late, or ahead.
func TestPropertyNothingIsLost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := bookings(t, rapid.Just(budget.Workload))
		total, sum := new(big.Int), int64(0)
		for _, days := range []int{-1, 0, 1} {
			b := start(t)
			unbooked := 0.0
			for _, k := range all {
				unbooked += add(b, k)
			}
			s := b.Status()
			if d := s.Late + s.Ahead - unbooked; d > 1e-9 || d < -1e-9 {
				t.Fatalf("%v g late, %v g ahead, %v g returned", s.Late, s.Ahead, unbooked)
			}
			if days == 0 {
				sum += amount(s.Late) + amount(s.Ahead)
			}
			b.Turn(noon.AddDate(0, 0, days))
			sum += amount(b.Status().Used)
		}
		for _, k := range all {
			total.Add(total, k.picograms())
		}
		if d := sum - total.Int64(); d > 30 || d < -30 { // a float64 of up to 30,000 g has steps of 4 pg
			t.Fatalf("%d pg were booked, %d are there", total, sum)
		}
	})
}

func TestPropertyOrderDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := bookings(t, scopes())
		a, b := start(t), start(t)
		for _, k := range all {
			add(a, k)
		}
		for _, k := range rapid.Permutation(all).Draw(t, "other order") {
			add(b, k)
		}
		if !bytes.Equal(state(t, a), state(t, b)) || a.Status() != b.Status() {
			t.Fatalf("%+v and %+v", a.Status(), b.Status())
		}
	})
}

// A machine counts with its host's grams where the host contains its workloads, and
// what is used never falls.
func TestPropertyHostsContainTheirWorkloads(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := start(t)
		used := 0.0
		book := func(k booking) {
			add(b, k)
			if now := b.Status().Used; now < used {
				t.Fatalf("%v g after %v g", now, used)
			} else {
				used = now
			}
		}
		hosts, workloads := map[budget.Key]*big.Int{}, map[budget.Key]*big.Int{}
		var all []booking
		for _, k := range bookings(t, rapid.Just(budget.Workload)) {
			k.from, k.to = noon, noon
			all = append(all, k)
			into := workloads
			if k.key[0] < 2 { // these machines report as hosts, too, and use more
				host := k
				host.of, host.grams = budget.Host, k.grams*2
				all = append(all, host)
				k, into = host, hosts
			}
			if into[k.key] == nil {
				into[k.key] = new(big.Int)
			}
			into[k.key].Add(into[k.key], k.picograms())
		}
		if len(all) == 0 {
			return
		}
		for _, k := range rapid.Permutation(all).Draw(t, "order") {
			book(k)
		}
		want := new(big.Int)
		for _, m := range []map[budget.Key]*big.Int{hosts, workloads} {
			for _, pg := range m {
				want.Add(want, pg)
			}
		}
		if d := amount(used) - want.Int64(); d > 10 || d < -10 {
			t.Fatalf("used %d pg, want %d", amount(used), want)
		}
	})
}

// An interval in two bookings comes to the same as in one, but for the rounding of
// each to a picogram.
func TestPropertyCutsChangeNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		minutes := rapid.IntRange(2, 7000).Draw(t, "minutes")
		cut := rapid.IntRange(1, minutes-1).Draw(t, "cut")
		from := noon.Add(-time.Duration(rapid.IntRange(0, 5000).Draw(t, "from")) * time.Minute)
		grams := float64(rapid.IntRange(1, 1e6).Draw(t, "grams"))
		border := from.Add(time.Duration(cut) * time.Minute)
		to := from.Add(time.Duration(minutes) * time.Minute)
		for _, days := range []int{-1, 0, 1} {
			whole, halves := start(t), start(t)
			whole.Add(budget.Key{}, budget.Host, from, to, grams)
			halves.Add(budget.Key{}, budget.Host, from, border, grams*float64(cut)/float64(minutes))
			halves.Add(budget.Key{}, budget.Host, border, to, grams*float64(minutes-cut)/float64(minutes))
			whole.Turn(noon.AddDate(0, 0, days))
			halves.Turn(noon.AddDate(0, 0, days))
			a, b := whole.Status(), halves.Status()
			if d := a.Used - b.Used; d > 1e-9 || d < -1e-9 {
				t.Fatalf("%v g in one, %v g in two", a.Used, b.Used)
			}
		}
	})
}

// Each threshold is told when it is reached and only then, once for each day,
// whatever is saved and restored meanwhile.
func TestPropertyThresholdsAreToldOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := start(t)
		told := map[budget.Crossing]bool{}
		now := noon
		for _, k := range bookings(t, scopes()) {
			now = now.Add(time.Duration(rapid.IntRange(-60, 600).Draw(t, "pass")) * time.Minute)
			b.Turn(now)
			before := b.Status()
			k.to = now.Add(k.to.Sub(noon) / 10)
			k.from = k.to.Add(-time.Minute)
			add(b, k)
			if rapid.Bool().Draw(t, "restart") {
				again, err := budget.New(budget.Config{Name: "test", Grams: 1000, Period: day}, now)
				if err != nil {
					t.Fatal(err)
				}
				saved := state(t, b)
				if err := again.UnmarshalBinary(saved); err != nil {
					t.Fatal(err)
				}
				if got := state(t, again); !bytes.Equal(got, saved) {
					t.Fatalf("restored\n%x\nfrom\n%x", got, saved)
				}
				b = again
			}
			s := b.Status()
			if s.Used < before.Used {
				t.Fatalf("%v g after %v g", s.Used, before.Used)
			}
			for _, c := range b.Crossings(nil) {
				if c.Used < c.Percent*10 || c.Late != c.Start.Before(s.Start) {
					t.Fatalf("%+v at %+v", c, s)
				}
				id := budget.Crossing{Percent: c.Percent, Start: c.Start}
				if told[id] {
					t.Fatalf("%+v was told before", c)
				}
				told[id] = true
			}
			for _, percent := range []float64{50, 80, 100} {
				if id := (budget.Crossing{Percent: percent, Start: s.Start}); told[id] != (s.Used >= percent*10) {
					t.Fatalf("%v %%: told %v at %+v", percent, told[id], s)
				}
			}
		}
	})
}
