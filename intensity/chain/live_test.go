package chain_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/intensity/chain"
)

// upstream is a live provider of hours: the value of the hour that begins at h o'clock is
// 100 + h g/kWh. The last hour that has begun is estimated, the others are measured.
type upstream struct {
	caps intensity.Caps
	fail func(zone string) error    // nil: none
	gram func(at time.Time) float64 // nil: see above; less than 0: there is none
	wait time.Duration              // that a request takes

	mu    sync.Mutex
	asked []request
}

type request struct {
	zone     string
	at       time.Time
	from, to time.Time
}

func newUpstream(id string) *upstream {
	return &upstream{caps: intensity.Caps{
		ID: id, Bases: []intensity.Basis{lifecycle()}, Step: time.Hour, Settle: 72 * time.Hour, Network: true, Attribution: "nobody",
	}}
}

func (u *upstream) Caps() intensity.Caps { return u.caps }

func (u *upstream) Resolve(_ context.Context, l intensity.Location) (string, error) {
	if l.Zone == "" || l.Zone == "NOWHERE" {
		return "", &intensity.Error{Kind: intensity.KindZone, Provider: u.caps.ID}
	}
	return l.Zone, nil
}

func (u *upstream) requests() []request {
	u.mu.Lock()
	defer u.mu.Unlock()
	return append([]request(nil), u.asked...)
}

func (u *upstream) Fetch(ctx context.Context, zone string, from, to time.Time) (intensity.Series, error) {
	u.mu.Lock()
	u.asked = append(u.asked, request{zone, time.Now(), from, to})
	fail, gram, wait := u.fail, u.gram, u.wait
	u.mu.Unlock()
	select {
	case <-time.After(wait):
	case <-ctx.Done():
		return intensity.Series{}, ctx.Err()
	}
	if fail != nil {
		if err := fail(zone); err != nil {
			return intensity.Series{}, err
		}
	}
	now := time.Now().UTC()
	var slots []*intensity.Slot
	for at := from.UTC().Truncate(time.Hour); at.Before(to) && !at.After(now); at = at.Add(time.Hour) {
		g := 100 + float64(at.Hour())
		if gram != nil {
			if g = gram(at); g < 0 {
				continue
			}
		}
		q := intensity.Measured
		if at.Add(time.Hour).After(now) {
			q = intensity.Estimated
		}
		slots = append(slots, u.slot(zone, at, g, q))
	}
	grid, err := intensity.NewGrid(slots, nil)
	if err != nil {
		return intensity.Series{}, err
	}
	return grid.Series(from, to, intensity.KindNotYet), nil
}

func (u *upstream) slot(zone string, at time.Time, g float64, q intensity.Quality) *intensity.Slot {
	return &intensity.Slot{
		Start: at, End: at.Add(time.Hour), GramsPerKWh: g, Basis: u.caps.Bases[0], Quality: q,
		Spread: intensity.DefaultHalfWidths().Spread(q, intensity.Circumstances{}),
		Origin: intensity.Origin{Provider: u.caps.ID, ZoneServed: zone, FetchedAt: time.Now().UTC()},
	}
}

func (u *upstream) set(f func(u *upstream)) {
	u.mu.Lock()
	defer u.mu.Unlock()
	f(u)
}

func failing(id string, k intensity.Kind, after time.Duration) func(string) error {
	return func(zone string) error {
		return &intensity.Error{Kind: k, Provider: id, Zone: zone, RetryAfter: after, Detail: "as scripted"}
	}
}

// yearly is a table of 300 g/kWh at all times.
func yearly(b intensity.Basis) *table {
	start, end := intensity.Always()
	return &table{caps: intensity.Caps{ID: "table", Bases: []intensity.Basis{b}}, slots: func(intensity.Query) ([]*intensity.Slot, error) {
		return []*intensity.Slot{{Start: start, End: end, GramsPerKWh: 300, Basis: b, Quality: intensity.Periodic, Origin: intensity.Origin{Provider: "table"}}}, nil
	}}
}

// begin is when the tests of live providers run: ten past noon.
func begin() time.Time { return noon().Add(10 * time.Minute) }

// at runs f by a clock of its own, from begin on, with a source that is closed at its end.
func at(t *testing.T, cfg chain.Config, f func(t *testing.T, src intensity.Source), providers ...intensity.Provider) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(begin()))
		src, err := chain.New(cfg, providers...)
		require.NoError(t, err)
		defer func() {
			assert.NoError(t, src.Close())
			assert.NoError(t, src.Close(), "twice")
		}()
		f(t, src)
	})
}

func france() intensity.Query {
	return intensity.Query{Location: intensity.Location{Zone: "FR"}}
}

func TestAHandleDoesNotWaitAndIsRenewed(t *testing.T) {
	live := newUpstream("live")
	at(t, chain.Config{}, func(t *testing.T, src intensity.Source) {
		h, err := src.Handle(france())
		require.NoError(t, err)
		first := h.Peek(begin()).GramsPerKWh
		assert.Contains(t, []float64{300, 112}, first, "the table's, at once, unless who asks was quicker")
		synctest.Wait()
		slot := h.Peek(begin())
		assert.InDelta(t, 112, slot.GramsPerKWh, 0)
		assert.Equal(t, intensity.Estimated, slot.Quality)
		assert.Zero(t, slot.Flags)
		assert.InDelta(t, 111, h.Peek(begin().Add(-time.Hour)).GramsPerKWh, 0)
		assert.InDelta(t, 300, h.Peek(begin().Add(-48*time.Hour)).GramsPerKWh, 0, "further back nobody asked")
		require.Len(t, live.requests(), 1)
		assert.Equal(t, noon().Add(-24*time.Hour), live.requests()[0].from, "the last day in one request")

		// One request an hour, a little after the hour: 5 to 12 minutes.
		time.Sleep(10*time.Hour + 5*time.Minute)
		asked := live.requests()
		require.Len(t, asked, 11)
		for _, r := range asked[1:] {
			minute := r.at.Sub(r.at.Truncate(time.Hour))
			assert.True(t, minute >= 5*time.Minute && minute <= 12*time.Minute, "%v", minute)
		}
		assert.InDelta(t, 122, h.Peek(time.Now()).GramsPerKWh, 0)
		assert.Equal(t, intensity.Measured, h.Peek(begin()).Quality, "which was estimated")
	}, live, yearly(lifecycle()))
}

// The provider is down from 12:10 on. Its last hour ends at 13:00: the value is carried
// forward until 19:00, wider by 3 % an hour, then the table's holds; when the provider is
// back, its values do.
func TestAProviderThatIsDown(t *testing.T) {
	live := newUpstream("live")
	at(t, chain.Config{}, func(t *testing.T, src intensity.Source) {
		h, err := src.Handle(france())
		require.NoError(t, err)
		synctest.Wait()
		live.set(func(u *upstream) { u.fail = failing("live", intensity.KindUpstream, 0) })
		before := h.Peek(begin()).Spread.Half
		time.Sleep(5 * time.Minute) // past the time at which the hour is asked for
		for hour := 1; hour <= 6; hour++ {
			time.Sleep(time.Hour)
			slot := h.Peek(time.Now())
			require.InDelta(t, 112, slot.GramsPerKWh, 0, "%v", time.Now())
			assert.NotZero(t, slot.Flags&intensity.Extrapolated)
			assert.NotZero(t, slot.Flags&intensity.Stale)
			assert.InDelta(t, 0.30+0.03*float64(hour), slot.Spread.Half, 1e-9, "hour %d", hour)
			assert.Greater(t, slot.Spread.Half, before)
			before = slot.Spread.Half
		}
		time.Sleep(time.Hour) // 19:10
		assert.InDelta(t, 300, h.Peek(time.Now()).GramsPerKWh, 0)
		live.set(func(u *upstream) { u.fail = nil })
		time.Sleep(time.Hour)
		assert.InDelta(t, 120, h.Peek(time.Now()).GramsPerKWh, 0)
		assert.InDelta(t, 115, h.Peek(noon().Add(3*time.Hour)).GramsPerKWh, 0, "and of the time in between")
	}, live, yearly(lifecycle()))
}

func TestAThousandWhoAskAtTheTurnOfTheHourMakeOneRequest(t *testing.T) {
	live := newUpstream("live")
	live.wait = time.Second
	at(t, chain.Config{}, func(t *testing.T, src intensity.Source) {
		var wg sync.WaitGroup
		turn := noon().Add(time.Hour)
		time.Sleep(time.Until(turn))
		for range 1000 {
			wg.Go(func() {
				slot, err := src.At(t.Context(), france(), turn.Add(-time.Hour))
				if assert.NoError(t, err) {
					assert.InDelta(t, 112, slot.GramsPerKWh, 0)
				}
			})
		}
		wg.Wait()
		past := 0
		for _, r := range live.requests() {
			if !r.to.After(turn) {
				past++
			}
		}
		assert.LessOrEqual(t, len(live.requests()), 2, "one for those who ask, and that of the background")
		assert.LessOrEqual(t, past, 1)
	}, live)
}

func TestWhatIsKnownIsNotAskedForAgain(t *testing.T) {
	live := newUpstream("live")
	live.caps.MaxSpan = 10 * 24 * time.Hour
	live.gram = func(at time.Time) float64 {
		if at.Equal(noon().Add(-30 * 24 * time.Hour)) {
			return -1 // an hour is missing
		}
		return 50
	}
	at(t, chain.Config{}, func(t *testing.T, src intensity.Source) {
		from, to := noon().Add(-35*24*time.Hour), noon().Add(-10*24*time.Hour)
		series, err := src.Range(t.Context(), france(), from, to)
		require.NoError(t, err)
		require.NoError(t, series.Check())
		assert.Len(t, series.Slots, 25*24-1)
		require.Len(t, series.Gaps, 1)
		require.ErrorIs(t, series.Gaps[0].Err, intensity.KindNotYet)
		count := func() (n int) {
			for _, r := range live.requests() {
				if !r.to.After(to) {
					n++
				}
			}
			return n
		}
		assert.Equal(t, 3, count(), "25 days in requests of 10")
		_, err = src.Range(t.Context(), france(), from.Add(time.Hour), to.Add(-time.Hour))
		require.NoError(t, err)
		slot, err := src.At(t.Context(), france(), from.Add(3*time.Hour))
		require.NoError(t, err)
		assert.Equal(t, from.Add(3*time.Hour), slot.Start)
		assert.Equal(t, 3, count(), "the missing hour too")
		time.Sleep(25 * time.Hour)
		_, err = src.Range(t.Context(), france(), from, to)
		require.NoError(t, err)
		assert.Equal(t, 4, count(), "but a day later")
	}, live)
}

func TestAProviderIsNotAskedMoreThanItAllows(t *testing.T) {
	live := newUpstream("live")
	live.caps.Rate = intensity.Rate{Burst: 10, Per: 72 * time.Second} // 50 an hour
	at(t, chain.Config{}, func(t *testing.T, src intensity.Source) {
		for i := range 60 {
			_, err := src.Handle(intensity.Query{Location: intensity.Location{Zone: fmt.Sprint("Z", i)}})
			require.NoError(t, err)
		}
		time.Sleep(6 * time.Hour)
		asked := live.requests()
		for i, first := range asked {
			n := 0
			for _, r := range asked[i:] {
				if r.at.Sub(first.at) < time.Hour {
					n++
				}
			}
			require.LessOrEqual(t, n, 60, "from %v", first.at)
		}
		zones := map[string]bool{}
		for _, r := range asked {
			zones[r.zone] = true
		}
		assert.Len(t, zones, 60, "and yet all have their turn")
	}, live, yearly(lifecycle()))
}

func TestHowFailuresAreTaken(t *testing.T) {
	count := func(t *testing.T, live *upstream, src intensity.Source, d time.Duration) int {
		t.Helper()
		before := len(live.requests())
		for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(10 * time.Second) {
			_, err := src.At(t.Context(), france(), time.Now())
			require.Error(t, err)
		}
		return len(live.requests()) - before
	}
	for _, c := range []struct {
		name   string
		fail   func(string) error
		worked bool
		minute [2]int // least and most requests in a minute
		hour   [2]int
		kind   intensity.Kind
	}{
		{"a credential that is refused is tried after 15 min, then each hour", failing("live", intensity.KindAuth, 0), false, [2]int{1, 1}, [2]int{1, 2}, intensity.KindAuth},
		{"the plan has not the zone", failing("live", intensity.KindPlan, 0), false, [2]int{1, 1}, [2]int{0, 0}, intensity.KindPlan},
		{"it is throttled without saying how long", failing("live", intensity.KindRate, 0), false, [2]int{1, 2}, [2]int{20, 61}, intensity.KindRate},
		{"it says how long", failing("live", intensity.KindRate, 10*time.Minute), false, [2]int{1, 1}, [2]int{4, 6}, intensity.KindRate},
		// Three tries for who asks first, two for the next until five have failed: then a probe after
		// 1, 2, 4, 8, 16 and 30 minutes.
		{"it is down", failing("live", intensity.KindUpstream, 0), false, [2]int{5, 6}, [2]int{4, 8}, intensity.KindUpstream},
		{"it sends rubbish", failing("live", intensity.KindMalformed, 0), false, [2]int{4, 6}, [2]int{4, 8}, intensity.KindMalformed},
		{"a request is wrong", failing("live", intensity.KindConfig, 0), false, [2]int{1, 1}, [2]int{0, 1}, intensity.KindConfig},
	} {
		t.Run(c.name, func(t *testing.T) {
			live := newUpstream("live")
			live.fail = c.fail
			at(t, chain.Config{}, func(t *testing.T, src intensity.Source) {
				_, err := src.At(t.Context(), france(), time.Now())
				require.ErrorIs(t, err, c.kind)
				n := len(live.requests()) + count(t, live, src, time.Minute)
				assert.True(t, n >= c.minute[0] && n <= c.minute[1], "%d in a minute", n)
				n = count(t, live, src, time.Hour)
				assert.True(t, n >= c.hour[0] && n <= c.hour[1], "%d in an hour", n)
			}, live)
		})
	}
}

func TestACredentialThatWorkedBeforeIsNotLost(t *testing.T) {
	live := newUpstream("live")
	at(t, chain.Config{}, func(t *testing.T, src intensity.Source) {
		_, err := src.At(t.Context(), france(), time.Now())
		require.NoError(t, err)
		live.set(func(u *upstream) { u.fail = failing("live", intensity.KindAuth, 0) })
		_, err = src.Range(t.Context(), france(), noon().Add(-50*time.Hour), noon().Add(-40*time.Hour))
		require.ErrorIs(t, err, intensity.KindRate)
		require.NotErrorIs(t, err, intensity.KindAuth)
	}, live)
}

// A plan without the past has the present all the same.
func TestAPlanWithoutThePast(t *testing.T) {
	live := newUpstream("live")
	at(t, chain.Config{}, func(t *testing.T, src intensity.Source) {
		live.set(func(u *upstream) { u.fail = failing("live", intensity.KindPlan, 0) })
		old := noon().Add(-50 * 24 * time.Hour)
		_, err := src.Range(t.Context(), france(), old, old.Add(time.Hour))
		require.ErrorIs(t, err, intensity.KindPlan)
		live.set(func(u *upstream) { u.fail = nil })
		time.Sleep(time.Minute)
		_, err = src.Range(t.Context(), france(), old, old.Add(time.Hour))
		require.ErrorIs(t, err, intensity.KindPlan)
		n := 0
		for _, r := range live.requests() {
			if r.from.Equal(old) {
				n++
			}
		}
		assert.Equal(t, 1, n, "it is not asked again today")
		slot, err := src.At(t.Context(), france(), time.Now())
		require.NoError(t, err)
		assert.InDelta(t, 112, slot.GramsPerKWh, 0)
	}, live)
}

func TestTheNextProviderAnswersAtOnce(t *testing.T) {
	first, second := newUpstream("first"), newUpstream("second")
	first.fail = failing("first", intensity.KindPlan, 0)
	second.gram = func(time.Time) float64 { return 77 }
	at(t, chain.Config{}, func(t *testing.T, src intensity.Source) {
		slot, err := src.At(t.Context(), france(), time.Now())
		require.NoError(t, err)
		assert.InDelta(t, 77, slot.GramsPerKWh, 0)
		assert.Equal(t, intensity.FellBack, slot.Flags&intensity.FellBack)
		assert.Equal(t, 1, slot.Origin.Depth)
		assert.Equal(t, "second", slot.Origin.Provider)
	}, first, second)
}

// A value that is corrected says so.
func TestARevisionIsMarked(t *testing.T) {
	live := newUpstream("live")
	at(t, chain.Config{}, func(t *testing.T, src intensity.Source) {
		h, err := src.Handle(france())
		require.NoError(t, err)
		synctest.Wait()
		live.set(func(u *upstream) { u.gram = func(time.Time) float64 { return 55 } })
		time.Sleep(65 * time.Minute)
		slot := h.Peek(begin())
		assert.InDelta(t, 55, slot.GramsPerKWh, 0)
		assert.NotZero(t, slot.Flags&intensity.Revised)
	}, live)
}

// The hour that was estimated at noon is measured when somebody asks two days later.
func TestWhatWasEstimatedIsAskedForAgain(t *testing.T) {
	live := newUpstream("live")
	at(t, chain.Config{}, func(t *testing.T, src intensity.Source) {
		slot, err := src.At(t.Context(), france(), time.Now())
		require.NoError(t, err)
		require.Equal(t, intensity.Estimated, slot.Quality)
		live.set(func(u *upstream) { u.fail = failing("live", intensity.KindUpstream, 0) })
		time.Sleep(50 * time.Hour)
		live.set(func(u *upstream) { u.fail = nil })
		time.Sleep(time.Hour) // until the provider is asked again
		slot, err = src.At(t.Context(), france(), begin())
		require.NoError(t, err)
		assert.Equal(t, intensity.Measured, slot.Quality)
	}, live)
}

func TestLiveValuesCrossNoBasis(t *testing.T) {
	direct := lifecycle()
	direct.Boundary = intensity.Direct
	live := newUpstream("live")
	live.gram = func(at time.Time) float64 {
		if at.Equal(noon().Add(-2 * time.Hour)) {
			return -1
		}
		return 100
	}
	at(t, chain.Config{}, func(t *testing.T, src intensity.Source) {
		series, err := src.Range(t.Context(), france(), noon().Add(-4*time.Hour), noon())
		require.NoError(t, err)
		require.NoError(t, series.Check())
		require.Len(t, series.Gaps, 1)
		require.ErrorIs(t, series.Gaps[0].Err, intensity.KindBasis)
		h, err := src.Handle(france())
		require.NoError(t, err)
		assert.Equal(t, direct, h.Peek(noon().Add(-2*time.Hour)).Basis, "each slot says of which it is")
		q := france()
		q.Want = direct
		slot, err := src.At(t.Context(), q, time.Now())
		require.NoError(t, err)
		assert.Equal(t, "table", slot.Origin.Provider)
	}, live, yearly(direct))
}

// A table that stands before a live provider and knows the place is asked alone.
func TestATableBeforeALiveProvider(t *testing.T) {
	live := newUpstream("live")
	at(t, chain.Config{}, func(t *testing.T, src intensity.Source) {
		h, err := src.Handle(france())
		require.NoError(t, err)
		time.Sleep(3 * time.Hour)
		assert.InDelta(t, 300, h.Peek(time.Now()).GramsPerKWh, 0)
		assert.Empty(t, live.requests())
	}, yearly(lifecycle()), live)
}

func TestOfflineAsksNobody(t *testing.T) {
	live := newUpstream("live")
	at(t, chain.Config{Offline: true}, func(t *testing.T, src intensity.Source) {
		slot, err := src.At(t.Context(), france(), time.Now())
		require.NoError(t, err)
		assert.InDelta(t, 300, slot.GramsPerKWh, 0)
		time.Sleep(time.Hour)
		assert.Empty(t, live.requests())
	}, live, yearly(lifecycle()))
}

func TestTheCacheSurvivesTheProgram(t *testing.T) {
	folder := t.TempDir()
	store, err := chain.NewFileStore(folder)
	require.NoError(t, err)
	live := newUpstream("live")
	var want *intensity.Slot
	at(t, chain.Config{Store: store}, func(t *testing.T, src intensity.Source) {
		h, err := src.Handle(france())
		require.NoError(t, err)
		synctest.Wait()
		want = h.Peek(begin())
	}, live)
	down := newUpstream("live")
	down.fail = failing("live", intensity.KindUpstream, 0)
	at(t, chain.Config{Store: store}, func(t *testing.T, src intensity.Source) {
		h, err := src.Handle(france())
		require.NoError(t, err)
		synctest.Wait()
		got := h.Peek(begin())
		require.NotNil(t, got)
		assert.Equal(t, want, got)
	}, down)

	files, err := filepath.Glob(filepath.Join(folder, "*"))
	require.NoError(t, err)
	require.Len(t, files, 1)
	info, err := os.Stat(files[0])
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	for name, text := range map[string]string{
		"cut": `{"version":1,"provider":"live","zo`, "empty": "", "another": `{"version":1,"provider":"other","zone":"FR"}`,
		"no origin": `{"version":1,"provider":"live","zone":"FR","slots":[{"s":0,"e":3600,"g":1,"q":1,"o":7}]}`,
		"overlap":   `{"version":1,"provider":"live","zone":"FR","origins":[{}],"slots":[{"s":0,"e":3600,"g":1,"q":1},{"s":0,"e":3600,"g":1,"q":1}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, os.WriteFile(files[0], []byte(text), 0o600))
			var troubles []error
			hooks := chain.Hooks{Trouble: func(err error) { troubles = append(troubles, err) }}
			at(t, chain.Config{Store: store, Hooks: hooks}, func(t *testing.T, src intensity.Source) {
				slot, err := src.At(t.Context(), france(), time.Now())
				require.NoError(t, err, "it is asked for anew")
				assert.InDelta(t, 112, slot.GramsPerKWh, 0)
			}, newUpstream("live"))
			require.NotEmpty(t, troubles)
			assert.ErrorContains(t, troubles[0], "are not used")
		})
	}
}

func TestHooksTellWhatIsDone(t *testing.T) {
	live := newUpstream("live")
	var mu sync.Mutex
	var asked, failed int
	var ages []time.Duration
	hooks := chain.Hooks{
		Request: func(provider, zone string, _ time.Duration, err error) {
			mu.Lock()
			defer mu.Unlock()
			assert.Equal(t, "live FR", provider+" "+zone)
			asked++
			if err != nil {
				failed++
			}
		},
		Answer: func(provider string, q intensity.Quality, age time.Duration, cached bool) {
			mu.Lock()
			defer mu.Unlock()
			assert.Equal(t, "live", provider)
			assert.Equal(t, intensity.Estimated, q)
			ages = append(ages, age)
			assert.True(t, cached || len(ages) == 1, "only the first may have been asked for")
		},
	}
	at(t, chain.Config{Hooks: hooks}, func(t *testing.T, src intensity.Source) {
		_, err := src.At(t.Context(), france(), time.Now())
		require.NoError(t, err)
		time.Sleep(5 * time.Minute)
		_, err = src.At(t.Context(), france(), time.Now())
		require.NoError(t, err)
		mu.Lock()
		defer mu.Unlock()
		assert.Equal(t, []time.Duration{0, 5 * time.Minute}, ages)
		assert.Positive(t, asked)
		assert.Zero(t, failed)
	}, live)
}

// oracle is an upstream that forecasts 1 g/kWh.
type oracle struct {
	*upstream

	forecasts int
	err       error
}

func (o *oracle) FetchForecast(_ context.Context, zone string, horizon time.Duration) (intensity.Series, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.forecasts++
	if o.err != nil {
		return intensity.Series{}, o.err
	}
	from := time.Now().UTC().Truncate(time.Hour)
	s := intensity.Series{From: from, To: from.Add(horizon.Truncate(time.Hour) + time.Hour)}
	for at := from; at.Before(s.To); at = at.Add(time.Hour) {
		slot := o.slot(zone, at, 1, intensity.Predicted)
		slot.Origin.IssuedAt = time.Now().UTC()
		s.Slots = append(s.Slots, slot)
	}
	return s, nil
}

// prober is an upstream with a credential.
type prober struct {
	*upstream

	probes int
}

func (p *prober) Probe(context.Context) error {
	p.probes++
	return failing("live", intensity.KindUpstream, 0)("")
}

func TestACredentialIsProbedOnceAndThatItFailsIsNoMatter(t *testing.T) {
	p := &prober{upstream: newUpstream("live")}
	var troubles []error
	at(t, chain.Config{Hooks: chain.Hooks{Trouble: func(err error) { troubles = append(troubles, err) }}}, func(t *testing.T, src intensity.Source) {
		for _, zone := range []string{"FR", "DE"} {
			h, err := src.Handle(intensity.Query{Location: intensity.Location{Zone: zone}})
			require.NoError(t, err)
			synctest.Wait()
			assert.NotNil(t, h.Peek(time.Now()))
		}
		assert.Equal(t, 1, p.probes)
		require.Len(t, troubles, 1)
		assert.ErrorContains(t, troubles[0], "what the credential of live may do is not known")
	}, p)
}

// When the hour turns there is a value for it, before the provider has been asked again.
func TestTheNextHourIsThereBeforeItBegins(t *testing.T) {
	o := &oracle{upstream: newUpstream("live")}
	o.caps.Horizon = 24 * time.Hour
	at(t, chain.Config{}, func(t *testing.T, src intensity.Source) {
		h, err := src.Handle(france())
		require.NoError(t, err)
		synctest.Wait()
		assert.InDelta(t, 112, h.Peek(time.Now()).GramsPerKWh, 0, "seen before foreseen")
		turn := h.Peek(noon().Add(time.Hour))
		require.NotNil(t, turn)
		assert.InDelta(t, 1, turn.GramsPerKWh, 0)
		assert.Equal(t, intensity.Predicted, turn.Quality)

		series, err := src.Forecast(t.Context(), france(), 10*time.Hour)
		require.NoError(t, err)
		assert.Len(t, series.Slots, 11)
		n := o.forecasts
		_, err = src.Forecast(t.Context(), france(), 5*time.Hour)
		require.NoError(t, err)
		assert.Equal(t, n, o.forecasts, "one an hour is enough")
		o.mu.Lock()
		o.err = &intensity.Error{Kind: intensity.KindUpstream, Provider: "live"}
		o.mu.Unlock()
		time.Sleep(61 * time.Minute)
		_, err = src.Forecast(t.Context(), france(), 10*time.Hour)
		require.ErrorIs(t, err, intensity.KindUpstream)
	}, o)
}

func TestWhoAsksDoesNotWaitLongerThanItsContext(t *testing.T) {
	live := newUpstream("live")
	live.wait = 20 * time.Second
	at(t, chain.Config{}, func(t *testing.T, src intensity.Source) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		_, err := src.At(ctx, france(), time.Now())
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, time.Second, time.Since(began))
		time.Sleep(20 * time.Second)
		_, err = src.At(t.Context(), france(), time.Now())
		require.NoError(t, err)
	}, live, yearly(lifecycle()))
}

func TestClosedWhileARequestHangs(t *testing.T) {
	live := newUpstream("live")
	live.wait = time.Hour
	at(t, chain.Config{}, func(t *testing.T, src intensity.Source) {
		_, err := src.Handle(france())
		require.NoError(t, err)
		time.Sleep(time.Second)
		began := time.Now()
		require.NoError(t, src.Close())
		assert.Less(t, time.Since(began), time.Second)
		_, err = src.At(t.Context(), france(), time.Now())
		assert.ErrorIs(t, err, chain.ErrClosed)
	}, live, yearly(lifecycle()))
}

func TestAPlaceThatNobodyCovers(t *testing.T) {
	live := newUpstream("live")
	at(t, chain.Config{}, func(t *testing.T, src intensity.Source) {
		_, err := src.At(t.Context(), intensity.Query{Location: intensity.Location{Zone: "NOWHERE"}}, time.Now())
		require.ErrorIs(t, err, intensity.KindZone)
	}, live)
}

// The matrix of a provider that fails, in each way, from its start on or after it has
// answered at 12:10: who answers an hour and 20 minutes later, of what age and quality. How
// each provider tells which fault is which kind is in its own tests.
func TestWhoAnswersWhenAProviderFails(t *testing.T) {
	for _, k := range []intensity.Kind{
		intensity.KindNoData, intensity.KindNotYet, intensity.KindTooOld, intensity.KindAuth, intensity.KindPlan, intensity.KindRate,
		intensity.KindUpstream, intensity.KindMalformed, intensity.KindMismatch, intensity.KindSynthetic, intensity.KindConfig,
	} {
		for _, answered := range []bool{false, true} {
			t.Run(fmt.Sprintf("%v, answered before: %v", k, answered), func(t *testing.T) {
				live := newUpstream("live")
				at(t, chain.Config{}, func(t *testing.T, src intensity.Source) {
					if answered {
						_, err := src.At(t.Context(), france(), time.Now())
						require.NoError(t, err)
					}
					live.set(func(u *upstream) { u.fail = failing("live", k, 0) })
					h, err := src.Handle(france())
					require.NoError(t, err)
					time.Sleep(80 * time.Minute)
					slot, err := src.At(t.Context(), france(), time.Now())
					require.NoError(t, err)
					if !answered {
						assert.Equal(t, "table", slot.Origin.Provider)
						assert.Equal(t, intensity.Periodic, slot.Quality)
						assert.NotZero(t, slot.Flags&intensity.FellBack)
						assert.Equal(t, slot.GramsPerKWh, h.Peek(time.Now()).GramsPerKWh) //nolint:testifylint // the same
						return
					}
					assert.Equal(t, "live", slot.Origin.Provider)
					assert.InDelta(t, 112, slot.GramsPerKWh, 0)
					assert.NotZero(t, slot.Flags&intensity.Extrapolated)
					assert.Equal(t, 80*time.Minute, time.Since(slot.Origin.FetchedAt), "its age")
					assert.Greater(t, slot.Spread.Half, 0.30)
				}, live, yearly(lifecycle()))
			})
		}
	}
}

// Of a provider whose newest value is two hours old, that value is carried forward, also
// for who asks first.
func TestWhoAsksFirstGetsTheNewestValueThatThereIs(t *testing.T) {
	for _, span := range []time.Duration{0, 4 * time.Hour} {
		live := newUpstream("live")
		live.caps.MaxSpan = span
		live.gram = func(at time.Time) float64 {
			if at.Add(2 * time.Hour).After(time.Now()) {
				return -1
			}
			return 100 + float64(at.Hour())
		}
		at(t, chain.Config{}, func(t *testing.T, src intensity.Source) {
			for range 3 {
				slot, err := src.At(t.Context(), france(), time.Now())
				require.NoError(t, err)
				assert.Equal(t, "live", slot.Origin.Provider)
				assert.InDelta(t, 110, slot.GramsPerKWh, 0)
				assert.Equal(t, intensity.Extrapolated, slot.Flags)
			}
			asked := live.requests()
			require.Len(t, asked, 1, "%v", asked)
			if span == 0 {
				assert.Equal(t, noon().Add(-24*time.Hour), asked[0].from, "as the background asks")
			} else {
				assert.Equal(t, span, asked[0].to.Sub(asked[0].from))
			}
		}, live, yearly(lifecycle()))
	}
}

// What is carried forward says that it could not be renewed, whoever has tried.
func TestStaleWithoutAHandle(t *testing.T) {
	live := newUpstream("live")
	at(t, chain.Config{}, func(t *testing.T, src intensity.Source) {
		ask := func() intensity.Flags {
			slot, err := src.At(t.Context(), france(), time.Now())
			require.NoError(t, err)
			assert.Equal(t, "live", slot.Origin.Provider)
			return slot.Flags
		}
		assert.Zero(t, ask())
		live.set(func(u *upstream) { u.fail = failing("live", intensity.KindUpstream, 0) })
		time.Sleep(2 * time.Hour)
		assert.Equal(t, intensity.Extrapolated|intensity.Stale, ask())
		live.set(func(u *upstream) { u.fail = failing("live", intensity.KindNotYet, 0) })
		time.Sleep(time.Minute)
		assert.Equal(t, intensity.Extrapolated, ask(), "it has been asked, and has nothing newer")
		live.set(func(u *upstream) { u.fail = nil })
		time.Sleep(time.Hour)
		assert.Zero(t, ask())
	}, live, yearly(lifecycle()))
}

// otherOracle forecasts what is of another basis than its values.
type otherOracle struct{ *upstream }

func (o otherOracle) FetchForecast(_ context.Context, zone string, d time.Duration) (s intensity.Series, err error) {
	s.From = time.Now().UTC().Truncate(time.Hour)
	for s.To = s.From; s.To.Before(time.Now().Add(d)); s.To = s.To.Add(time.Hour) {
		slot := o.slot(zone, s.To, 3, intensity.Predicted)
		slot.Basis.Boundary = intensity.Direct
		s.Slots = append(s.Slots, slot)
	}
	return s, nil
}

func TestAForecastOfAnotherBasisLeavesTheValues(t *testing.T) {
	o := otherOracle{newUpstream("live")}
	o.caps.Horizon = 24 * time.Hour
	at(t, chain.Config{}, func(t *testing.T, src intensity.Source) {
		for range 2 {
			s, err := src.Range(t.Context(), france(), noon().Add(-5*time.Hour), noon())
			require.NoError(t, err)
			assert.Len(t, s.Slots, 5)
			s, err = src.Forecast(t.Context(), france(), 5*time.Hour)
			require.NoError(t, err)
			assert.Equal(t, intensity.Direct, s.Slots[0].Basis.Boundary)
		}
		assert.Len(t, o.requests(), 1, "they are in the cache")
	}, o)
}

func TestWhoAsksWhileTheSourceIsClosedIsTold(t *testing.T) {
	live := newUpstream("live")
	live.wait = 10 * time.Second
	at(t, chain.Config{}, func(t *testing.T, src intensity.Source) {
		done := make(chan error)
		go func() {
			_, err := src.At(t.Context(), france(), time.Now())
			done <- err
		}()
		time.Sleep(time.Second)
		require.NoError(t, src.Close())
		err := <-done
		require.ErrorIs(t, err, chain.ErrClosed)
		assert.NotErrorIs(t, err, context.Canceled, "that would be of its own context")
	}, live)
}

// What was carried forward until before an interval does not keep tables of another basis
// out of it, which At has for the same time.
func TestTheTablesAnswerForARangeAfterWhatIsCarried(t *testing.T) {
	live := newUpstream("live")
	other := lifecycle()
	other.Boundary = intensity.Direct
	at(t, chain.Config{}, func(t *testing.T, src intensity.Source) {
		_, err := src.At(t.Context(), france(), time.Now())
		require.NoError(t, err)
		live.set(func(u *upstream) { u.fail = failing("live", intensity.KindUpstream, 0) })
		time.Sleep(10 * time.Hour) // until 22:10; what is of 12:00 is carried until 19:00
		slot, err := src.At(t.Context(), france(), time.Now())
		require.NoError(t, err)
		assert.Equal(t, "table", slot.Origin.Provider)
		s, err := src.Range(t.Context(), france(), noon().Add(8*time.Hour), noon().Add(10*time.Hour))
		require.NoError(t, err)
		require.Len(t, s.Slots, 1)
		assert.Equal(t, "table", s.Slots[0].Origin.Provider)
		s, err = src.Range(t.Context(), france(), noon().Add(6*time.Hour), noon().Add(10*time.Hour))
		require.NoError(t, err)
		assert.Equal(t, lifecycle(), s.Slots[0].Basis, "and there is one basis where it does reach")
		require.Len(t, s.Gaps, 1)
		require.ErrorIs(t, s.Gaps[0].Err, intensity.KindBasis)
	}, live, yearly(other))
}

// A value ends at 13:00 and may stand in for 20 minutes: that it is of an hour does not make
// it more.
func TestACarriedValueEndsWhenItIsTooOld(t *testing.T) {
	live := newUpstream("live")
	at(t, chain.Config{}, func(t *testing.T, src intensity.Source) {
		q := france()
		q.MaxStale = 20*time.Minute + 30*time.Second // whole minutes count
		h, err := src.Handle(q)
		require.NoError(t, err)
		time.Sleep(time.Minute)
		synctest.Wait()
		live.set(func(u *upstream) { u.fail = failing("live", intensity.KindUpstream, 0) })
		var until time.Time
		for now := time.Now(); now.Before(time.Now().Add(3 * time.Hour)); now = now.Add(time.Minute) {
			if s := h.Peek(now); s.Origin.Provider == "live" {
				until = s.End
			}
		}
		last := h.Peek(until.Add(-time.Nanosecond))
		require.True(t, last.Flags.Has(intensity.Extrapolated))
		assert.Equal(t, 20*time.Minute, last.End.Sub(last.Start))
		assert.NotEqual(t, "live", h.Peek(until).Origin.Provider)
	}, live, yearly(lifecycle()))
}
