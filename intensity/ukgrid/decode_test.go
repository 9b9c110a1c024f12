package ukgrid

import (
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/intensity/internal/rows"
)

func utc(t testing.TB, text string) time.Time {
	t.Helper()
	at, err := time.Parse(timeLayout, text)
	require.NoError(t, err)
	return at
}

// read decodes a file as if it had been fetched at now.
func read(t testing.TB, file, zone, from, to, now string) (intensity.Series, error) {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("testdata", file))
	require.NoError(t, err)
	return decode(body, with(t, zone, utc(t, from), utc(t, to), utc(t, now)))
}

func with(t testing.TB, name string, from, to, now time.Time) decoder {
	t.Helper()
	z, err := parseZone(name)
	require.NoError(t, err)
	return decoder{
		Ask:  rows.Ask{Provider: id, Zone: z.String(), From: from, To: to, Now: now, Late: latency},
		zone: z, widths: intensity.DefaultHalfWidths(),
		origin: intensity.Origin{Provider: id, ZoneAsked: z.String(), FetchedAt: now},
	}
}

func good(t testing.TB, file, zone, from, to, now string) intensity.Series {
	t.Helper()
	s, err := read(t, file, zone, from, to, now)
	require.NoError(t, err)
	require.NoError(t, s.Check())
	return s
}

// The days around the windy night of 15 March 2023.
const (
	issued   = "2023-03-15T14:01Z"
	nextDay  = "2023-03-16T06:31Z"
	past14   = "intensity-pt24h.2023-03-15T1401Z.json" // 14 March 14:00Z to 15 March 14:00Z
	past06   = "intensity-pt24h.2023-03-16T0631Z.json" // 15 March 06:30Z to 16 March 06:30Z
	future14 = "intensity-fw48h.2023-03-15T1401Z.json" // 15 March 14:00Z to 17 March 14:00Z
)

func firstDay(t testing.TB) intensity.Series {
	t.Helper()
	return good(t, past14, "GB", "2023-03-14T14:00Z", "2023-03-15T14:00Z", issued)
}

func secondDay(t testing.TB) intensity.Series {
	t.Helper()
	return good(t, past06, "GB", "2023-03-15T06:30Z", "2023-03-16T06:30Z", nextDay)
}

func forecast(t testing.TB) intensity.Series {
	t.Helper()
	return good(t, future14, "GB", "2023-03-15T14:00Z", "2023-03-17T14:00Z", issued)
}

// actual leaves the forecasts out.
func actual(s intensity.Series) intensity.Series {
	var slots []*intensity.Slot
	for _, x := range s.Slots {
		if x.Quality <= intensity.Preliminary {
			slots = append(slots, x)
		}
	}
	return intensity.Series{From: s.From, To: s.To, Slots: slots}
}

func at(t testing.TB, s intensity.Series, when string) *intensity.Slot {
	t.Helper()
	for _, x := range s.Slots {
		if x.Start.Equal(utc(t, when)) {
			return x
		}
	}
	require.Fail(t, "no slot from "+when)
	return nil
}

// price spends 1000 W from one time to another.
func price(s intensity.Series, from, to time.Time) intensity.Emission {
	return intensity.Integrate([]intensity.Use{{Start: from, End: to, Joules: 1000 * to.Sub(from).Seconds()}}, s)
}

const wattHour = 3600.0 // J

func mean(e intensity.Emission) float64 {
	return e.Grams / ((e.Joules - e.Uncovered) / wattHour / 1000)
}

func TestRecordedAnswers(t *testing.T) {
	for _, c := range []struct {
		file, zone, from, to, now string

		slots       int
		first, last float64
		served      string
		quality     intensity.Quality // of the first slot
		lastQuality intensity.Quality
		gaps        int
	}{
		{
			file: past14, zone: "GB", from: "2023-03-14T14:00Z", to: "2023-03-15T14:00Z", now: issued,
			slots: 48, first: 110, last: 212, served: "GB", quality: intensity.Preliminary, lastQuality: intensity.Preliminary,
		},
		{ // two days later all of it is settled
			file: past14, zone: "GB", from: "2023-03-14T14:00Z", to: "2023-03-15T14:00Z", now: "2023-03-17T14:00Z",
			slots: 48, first: 110, last: 212, served: "GB", quality: intensity.Measured, lastQuality: intensity.Measured,
		},
		{ // the three newest have no actual: 67, 71, 73 are forecasts
			file: past06, zone: "GB", from: "2023-03-15T06:30Z", to: "2023-03-16T06:30Z", now: nextDay,
			slots: 48, first: 251, last: 73, served: "GB", quality: intensity.Preliminary, lastQuality: intensity.Predicted,
		},
		{ // two hours of it
			file: past06, zone: "GB", from: "2023-03-15T20:00Z", to: "2023-03-15T22:00Z", now: nextDay,
			slots: 4, first: 192, last: 125, served: "GB", quality: intensity.Preliminary, lastQuality: intensity.Preliminary,
		},
		{
			file: future14, zone: "GB", from: "2023-03-15T14:00Z", to: "2023-03-17T14:00Z", now: issued,
			slots: 96, first: 209, last: 141, served: "GB", quality: intensity.Predicted, lastQuality: intensity.Predicted,
		},
		{
			file: "intensity-latest.2022-07-14.json", zone: "GB", from: "2022-07-14T14:30Z", to: "2022-07-14T15:00Z", now: "2022-07-14T15:05Z",
			slots: 1, first: 194, last: 194, served: "GB", quality: intensity.Preliminary, lastQuality: intensity.Preliminary,
		},
		{ // at 08:57Z the newest was 08:00Z to 08:30Z: the running half hour is a gap
			file: "intensity-latest.lags.2019-09-12.json", zone: "GB", from: "2019-09-12T08:00Z", to: "2019-09-12T09:00Z", now: "2019-09-12T08:57Z",
			slots: 1, first: 188, last: 188, served: "GB", quality: intensity.Preliminary, lastQuality: intensity.Preliminary, gaps: 1,
		},
		{
			file: "intensity.doc-example.json", zone: "GB", from: "2018-01-20T12:00Z", to: "2018-01-20T12:30Z", now: "2018-02-01T00:00Z",
			slots: 1, first: 263, last: 263, served: "GB", quality: intensity.Measured, lastQuality: intensity.Measured,
		},
		{ // 0 g is data
			file: "regional-intensity-fw48h.2023-03-12T0401Z.json", zone: "1", from: "2023-03-12T04:00Z", to: "2023-03-12T04:30Z", now: "2023-03-12T04:01Z",
			slots: 1, first: 0, last: 0, served: "GB-1", quality: intensity.Predicted, lastQuality: intensity.Predicted,
		},
		{
			file: "regional-intensity-fw48h.2023-03-12T0401Z.json", zone: "5", from: "2023-03-12T04:00Z", to: "2023-03-12T04:30Z", now: "2023-03-12T04:01Z",
			slots: 1, first: 121, last: 121, served: "GB-5", quality: intensity.Predicted, lastQuality: intensity.Predicted,
		},
		{ // data is an array of one region, and it stays a forecast however old
			file: "regional-postcode.RG10.json", zone: "RG10", from: "2018-01-20T12:00Z", to: "2018-01-20T12:30Z", now: "2018-02-01T00:00Z",
			slots: 1, first: 266, last: 266, served: "GB-3", quality: intensity.Predicted, lastQuality: intensity.Predicted,
		},
		{ // data is an object
			file: "regional-intensity-fw48h-postcode.RG10.json", zone: "rg10", from: "2018-01-20T12:00Z", to: "2018-01-20T12:30Z", now: "2018-01-20T12:01Z",
			slots: 1, first: 266, last: 266, served: "GB-3", quality: intensity.Predicted, lastQuality: intensity.Predicted,
		},
		{
			file: "regional-intensity-fw48h-postcode.RG10.json", zone: "3", from: "2018-01-20T12:00Z", to: "2018-01-20T12:30Z", now: "2018-01-20T12:01Z",
			slots: 1, first: 266, last: 266, served: "GB-3", quality: intensity.Predicted, lastQuality: intensity.Predicted,
		},
	} {
		t.Run(c.file+" "+c.zone, func(t *testing.T) {
			s := good(t, c.file, c.zone, c.from, c.to, c.now)
			require.Len(t, s.Slots, c.slots)
			assert.Len(t, s.Gaps, c.gaps)
			first, last := s.Slots[0], s.Slots[len(s.Slots)-1]
			assert.InDelta(t, c.first, first.GramsPerKWh, 0)
			assert.InDelta(t, c.last, last.GramsPerKWh, 0)
			assert.Equal(t, c.quality, first.Quality)
			assert.Equal(t, c.lastQuality, last.Quality)
			for _, x := range s.Slots {
				assert.Equal(t, 30*time.Minute, x.End.Sub(x.Start))
				assert.Equal(t, intensity.Basis{Signal: intensity.Average, Boundary: intensity.Direct, Flow: intensity.Consumption, Gas: intensity.CO2}, x.Basis)
				assert.Equal(t, c.served, x.Origin.ZoneServed)
				assert.Equal(t, x.Quality == intensity.Predicted, x.Origin.Method == "forecast")
				assert.Equal(t, x.Quality == intensity.Predicted, !x.Origin.IssuedAt.IsZero())
			}
		})
	}
}

func TestAnswersWithoutValues(t *testing.T) {
	const from, to = "2018-01-20T12:00Z", "2018-01-20T12:30Z"
	for _, c := range []struct {
		file, zone string
		kind       intensity.Kind
		text       string
	}{
		{"empty-object.json", "RG10", intensity.KindNoData, "no value from 2018-01-20T12:00Z"},
		{"empty-data.json", "GB", intensity.KindNoData, "no value"},
		{"error-400.json", "GB", intensity.KindConfig, "400 Bad Request"}, // with status 200
		{"error-500.json", "GB", intensity.KindUpstream, "Requested resource not found"},
		{"intensity-stats.json", "GB", intensity.KindNoData, "no value"}, // max, average, min
		{"generation.json", "GB", intensity.KindMalformed, "no intensity"},
		{"intensity-factors.json", "GB", intensity.KindMalformed, "want a time like 2006-01-02T15:04Z"},
		{"regional-postcode.RG10.json", "GB", intensity.KindMismatch, "want that for Great Britain"},
		{"regional-intensity-fw48h.2023-03-12T0401Z.json", "GB", intensity.KindMismatch, "want that for Great Britain"},
		{"regional-postcode.RG10.json", "13", intensity.KindMismatch, "region 3, want 13"},
		{"regional-postcode.RG10.json", "SW1", intensity.KindMismatch, "postcode RG10, want SW1"},
		{"regional-intensity-fw48h.2023-03-12T0401Z.json", "13", intensity.KindNoData, "no value"}, // has 1 to 9
		{"intensity.doc-example.json", "13", intensity.KindMalformed, "does not say its region"},
	} {
		t.Run(c.file+" "+c.zone, func(t *testing.T) {
			_, err := read(t, c.file, c.zone, from, to, "2018-02-01T00:00Z")
			require.ErrorIs(t, err, c.kind)
			require.ErrorContains(t, err, c.text)
		})
	}
}

func TestOddAnswers(t *testing.T) {
	const slot = `"from":"2026-06-01T12:00Z","to":"2026-06-01T12:30Z"`
	for _, c := range []struct {
		name, body string
		zone       string
		kind       intensity.Kind
		grams      float64
	}{
		{"actual of 0", `{"data":[{` + slot + `,"intensity":{"forecast":9,"actual":0}}]}`, "GB", 0, 0},
		{"neither", `{"data":[{` + slot + `,"intensity":{"forecast":null,"actual":null}}]}`, "GB", intensity.KindNoData, 0},
		{"twice: the later row", `{"data":[{` + slot + `,"intensity":{"actual":1}},{` + slot + `,"intensity":{"actual":2}}]}`, "GB", 0, 2},
		{"a number as text", `{"data":[{` + slot + `,"intensity":{"actual":"12"}}]}`, "GB", intensity.KindMalformed, 0},
		{"below 0", `{"data":[{` + slot + `,"intensity":{"actual":-1}}]}`, "GB", intensity.KindMalformed, 0},
		{"too much", `{"data":[{` + slot + `,"intensity":{"actual":5001}}]}`, "GB", intensity.KindMalformed, 0},
		{"without times", `{"data":[{"intensity":{"actual":1}}]}`, "GB", intensity.KindMalformed, 0},
		{"with seconds", `{"data":[{"from":"2026-06-01T12:00:00Z","to":"2026-06-01T12:30Z","intensity":{"actual":1}}]}`, "GB", intensity.KindMalformed, 0},
		{"with an offset", `{"data":[{"from":"2026-06-01T13:00+01:00","to":"2026-06-01T12:30Z","intensity":{"actual":1}}]}`, "GB", 0, 1},
		{"an hour long", `{"data":[{"from":"2026-06-01T12:00Z","to":"2026-06-01T13:00Z","intensity":{"actual":1}}]}`, "GB", intensity.KindMalformed, 0},
		{"backwards", `{"data":[{"from":"2026-06-01T12:30Z","to":"2026-06-01T12:00Z","intensity":{"actual":1}}]}`, "GB", intensity.KindMalformed, 0},
		{"the slot that ends at the beginning", `{"data":[{"from":"2026-06-01T11:30Z","to":"2026-06-01T12:00Z","intensity":{"actual":1}},{` + slot + `,"intensity":{"actual":2}}]}`, "GB", 0, 2},
		{"two regions for one postcode", `{"data":[{"regionid":3,"data":[]},{"regionid":4,"data":[]}]}`, "RG10", intensity.KindMalformed, 0},
		{"region 0", `{"data":{"regionid":0,"data":[]}}`, "RG10", intensity.KindMalformed, 0},
		{"data is null", `{"data":null}`, "GB", intensity.KindNoData, 0},
		{"a row is null", `{"data":[null]}`, "GB", intensity.KindMalformed, 0},
		{"data is text", `{"data":"none"}`, "GB", intensity.KindMalformed, 0},
		{"more behind", `{"data":[]}{}`, "GB", intensity.KindMalformed, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			from := utc(t, "2026-06-01T12:00Z")
			s, err := decode([]byte(c.body), with(t, c.zone, from, from.Add(step), from.Add(time.Hour)))
			if c.kind != 0 {
				require.ErrorIs(t, err, c.kind)
				return
			}
			require.NoError(t, err)
			require.Len(t, s.Slots, 1)
			assert.InDelta(t, c.grams, s.Slots[0].GramsPerKWh, 0)
		})
	}
}

func TestAnActualOfTheFutureIsNotBelieved(t *testing.T) {
	from := utc(t, "2026-06-01T12:00Z")
	body := `{"data":[{"from":"2026-06-01T12:00Z","to":"2026-06-01T12:30Z","intensity":{"forecast":9,"actual":1}}]}`
	s, err := decode([]byte(body), with(t, "GB", from, from.Add(step), from.Add(-time.Minute)))
	require.NoError(t, err)
	assert.InDelta(t, 9, s.Slots[0].GramsPerKWh, 0)
	assert.Equal(t, intensity.Predicted, s.Slots[0].Quality)
}

func TestTheRangeOfAForecastGrowsWithItsLead(t *testing.T) {
	s := forecast(t)
	// 10 % at issue, 4 % for each hour from 14:01Z to the slot, at most 60 %.
	assert.InDelta(t, 0.10, s.Slots[0].Spread.Half, 1e-9, "is running")
	assert.InDelta(t, 0.10+0.04*(7+29.0/60), at(t, s, "2023-03-15T21:30Z").Spread.Half, 1e-9)
	assert.InDelta(t, 0.60, s.Slots[95].Spread.Half, 1e-9)
	assert.Equal(t, utc(t, "2023-03-15T14:00Z"), s.Slots[0].Origin.IssuedAt, "not later than the slot")
	assert.Equal(t, utc(t, issued), s.Slots[1].Origin.IssuedAt)
	assert.InDelta(t, 0.10, firstDay(t).Slots[0].Spread.Half, 1e-9, "preliminary")
	past := at(t, secondDay(t), "2023-03-16T05:00Z")
	assert.InDelta(t, 0.10, past.Spread.Half, 1e-9, "a forecast made when its slot began")
	assert.Equal(t, past.Start, past.Origin.IssuedAt)
}

// 15 min × 110 + 30 min × 115 + 10 min × 128 g/kWh at 1000 W: 27.5 + 57.5 + 21.333.
func TestEnergyIsSplitAtTheBordersOfSlots(t *testing.T) {
	e := price(firstDay(t), utc(t, "2023-03-14T14:15Z"), utc(t, "2023-03-14T15:10Z"))
	assert.InDelta(t, 916.667, e.Joules/wattHour, 0.001)
	assert.InDelta(t, 106.333, e.Grams, 0.001) // value of the start: 100.8, of the end: 117.3
	assert.InDelta(t, 116.0, mean(e), 0.001)
	assert.Zero(t, e.Uncovered)
}

func TestWhatHasNoActualStaysVisible(t *testing.T) {
	s := secondDay(t)
	from, to := utc(t, "2023-03-16T04:00Z"), utc(t, "2023-03-16T06:00Z")
	e := price(actual(s), from, to) // (66 + 67) / 2 for 1 kWh, then null
	assert.InDelta(t, 66.5, e.Grams, 1e-9)
	assert.InDelta(t, 1000, e.Uncovered/wattHour, 1e-9)
	assert.InDelta(t, 1000, (e.Joules-e.Uncovered)/wattHour, 1e-9)

	e = price(s, from, to) // (67 + 71) / 2 = 69 more, and labeled
	assert.InDelta(t, 66.5, e.ByQuality[intensity.Preliminary], 1e-9)
	assert.InDelta(t, 69, e.ByQuality[intensity.Predicted], 1e-9)
	assert.Equal(t, intensity.Predicted, e.Worst)
}

func TestRevisionsAndForecastsAreToldApart(t *testing.T) {
	const slot, night = "2023-03-15T13:30Z", "2023-03-15T21:30Z"
	assert.InDelta(t, 212, at(t, firstDay(t), slot).GramsPerKWh, 0, "at 14:01Z")
	assert.InDelta(t, 208, at(t, secondDay(t), slot).GramsPerKWh, 0, "at 06:31Z of the next day")
	revised := 0
	for _, x := range firstDay(t).Slots {
		if x.Start.Before(utc(t, "2023-03-15T06:30Z")) {
			continue
		}
		if down := x.GramsPerKWh - at(t, secondDay(t), x.Start.Format(timeLayout)).GramsPerKWh; down >= 1 && down <= 5 {
			revised++
		}
	}
	assert.Equal(t, 15, revised, "all went down, by 1 to 5 g")

	assert.InDelta(t, 117, at(t, forecast(t), night).GramsPerKWh, 0, "as issued")
	assert.InDelta(t, 125, at(t, secondDay(t), night).GramsPerKWh, 0, "actual")
	assert.InDelta(t, 158, at(t, served(t), night).GramsPerKWh, 0, "the forecast served afterwards")
}

// served is the second day by the forecasts served afterwards: before any slot has
// begun, forecasts are all that is believed.
func served(t testing.TB) intensity.Series {
	t.Helper()
	return good(t, past06, "GB", "2023-03-15T06:30Z", "2023-03-16T06:30Z", "2023-03-15T06:00Z")
}

func TestTheErrorOfAForecastIsThatOfTheForecastAsIssued(t *testing.T) {
	issued, later, came := forecast(t), served(t), secondDay(t)
	off := func(s intensity.Series, first, last int) float64 {
		sum := 0.0
		for i := first; i < last; i++ {
			when := utc(t, "2023-03-15T14:00Z").Add(time.Duration(i) * step).Format(timeLayout)
			sum += math.Abs(at(t, s, when).GramsPerKWh - at(t, came, when).GramsPerKWh)
		}
		return sum / float64(last-first)
	}
	assert.InDelta(t, 6.8, off(issued, 0, 10), 0.05)
	assert.InDelta(t, 22.2, off(issued, 10, 20), 0.05)
	assert.InDelta(t, 34.0, off(issued, 20, 30), 0.05)
	assert.InDelta(t, 9.4, off(later, 0, 30), 0.05)
}

// What a search for the best window has to find in the forecast.
func TestTheForecastHasItsMinimaWhereTheyWereFound(t *testing.T) {
	s := forecast(t)
	average := func(from time.Time, long time.Duration) float64 { return mean(price(s, from, from.Add(long))) }
	best := func(long, every time.Duration) (grams float64, from time.Time) {
		grams = math.Inf(1)
		for at := s.From; !at.Add(long).After(s.To); at = at.Add(every) {
			if g := average(at, long); g < grams-1e-9 {
				grams, from = g, at
			}
		}
		return grams, from
	}
	g, from := best(2*time.Hour, step)
	assert.InDelta(t, 75.25, g, 1e-9) // (76 + 75 + 75 + 75) / 4
	assert.Equal(t, utc(t, "2023-03-16T11:30Z"), from)

	g, from = best(time.Hour, step)
	assert.InDelta(t, 75, g, 1e-9)
	assert.Equal(t, utc(t, "2023-03-16T12:00Z"), from, "earliest first")
	assert.InDelta(t, 75, average(utc(t, "2023-03-16T12:30Z"), time.Hour), 1e-9)

	g, from = best(100*time.Minute, time.Minute)
	assert.InDelta(t, 75.1, g, 1e-9) // (10 min × 76 + 90 min × 75) / 100 min
	assert.Equal(t, utc(t, "2023-03-16T11:50Z"), from)
	g, from = best(100*time.Minute, step)
	assert.InDelta(t, 75.2, g, 1e-9) // (90 min × 75 + 10 min × 77) / 100 min
	assert.Equal(t, utc(t, "2023-03-16T12:00Z"), from)
}

func TestAMeanOfTheDayIsNotTheNight(t *testing.T) {
	s := actual(secondDay(t))
	assert.InDelta(t, 165.3, mean(price(s, s.From, s.To)), 0.05)
	assert.InDelta(t, 66.2, mean(price(s, utc(t, "2023-03-15T22:30Z"), utc(t, "2023-03-16T05:00Z"))), 0.05)
}

func FuzzDecode(f *testing.F) {
	files, err := filepath.Glob("testdata/*.json")
	require.NoError(f, err)
	require.NotEmpty(f, files)
	for _, file := range files {
		body, err := os.ReadFile(file)
		require.NoError(f, err)
		f.Add(body, "GB")
		f.Add(body, "3")
		f.Add(body, "RG10")
	}
	from := utc(f, "2023-03-15T14:10Z")
	f.Fuzz(func(t *testing.T, body []byte, name string) {
		if _, err := parseZone(name); err != nil {
			return // no provider asks for it
		}
		s, err := decode(body, with(t, name, from, from.Add(3*time.Hour), from.Add(time.Hour)))
		if err != nil {
			require.NotEmpty(t, err.Error())
			return
		}
		require.NoError(t, s.Check())
		require.NotEmpty(t, s.Slots)
	})
}
