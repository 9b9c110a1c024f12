package openelectricity

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/intensity/internal/rows"
	"github.com/otelcarbon/otelcarbon/intensity/internal/wire"
)

// decoder is what an answer is read with.
type decoder struct {
	rows.Ask

	network network
	widths  intensity.HalfWidths
	origin  intensity.Origin // of every slot
}

// series is a metric, by region and technology.
type series struct {
	Network  string `json:"network_code"`
	Metric   string `json:"metric"`
	Unit     string `json:"unit"`
	Interval string `json:"interval"`
	Offset   string `json:"network_timezone_offset"`
	Results  []struct {
		Columns columns `json:"columns"`
		Data    []row   `json:"data"`
	} `json:"results"`
}

type columns struct {
	Region        string `json:"region"`
	NetworkRegion string `json:"network_region"` // another spelling of the same
	Technology    string `json:"fueltech"`
}

func (c columns) region() string {
	if c.Region != "" {
		return c.Region
	}
	return c.NetworkRegion
}

// row is [time, value], of which the value may be null.
type row struct {
	time  string
	value *float64
}

// UnmarshalJSON reads the two fields of the array.
func (r *row) UnmarshalJSON(b []byte) error {
	var fields []json.RawMessage
	if err := json.Unmarshal(b, &fields); err != nil {
		return err
	}
	if len(fields) != 2 {
		return errors.New("a row is not of the form [time, value]")
	}
	if err := json.Unmarshal(fields[0], &r.time); err != nil {
		return err
	}
	return json.Unmarshal(fields[1], &r.value)
}

// amounts of an hour, by technology; "" is all of them.
type amounts map[string]float64

// hours have amounts by their start, in ns since 1970.
type hours map[int64]amounts

// decode returns what an answer has for what was asked. It is pure.
func decode(body []byte, d decoder) (intensity.Series, error) {
	var answer struct {
		Success *bool           `json:"success"`
		Error   json.RawMessage `json:"error"`
		Data    []series        `json:"data"`
	}
	if err := wire.Unmarshal(body, &answer); err != nil {
		return intensity.Series{}, d.Error(intensity.KindMalformed, "%v", err)
	}
	if answer.Success != nil && !*answer.Success {
		return intensity.Series{}, d.Error(intensity.KindUpstream, "status 200 without success: %s", intensity.Scrub(string(answer.Error)))
	}
	if answer.Data == nil {
		return intensity.Series{}, d.Error(intensity.KindMalformed, "the answer has no data")
	}
	energy, emissions := hours{}, hours{}
	for i := range answer.Data {
		s := &answer.Data[i]
		var err error
		switch s.Metric {
		case "energy":
			err = d.read(energy, s, "MWh")
		case "emissions":
			err = d.read(emissions, s, "t")
		}
		if err != nil {
			return intensity.Series{}, err
		}
	}
	return d.Series(d.slots(energy, emissions))
}

// read adds a metric to by.
func (d *decoder) read(by hours, s *series, unit string) error {
	switch {
	case s.Network != d.network.code:
		return d.Error(intensity.KindMismatch, "the answer is for network %q, want %s", s.Network, d.network.code)
	case s.Interval != "1h":
		return d.Error(intensity.KindMismatch, "the answer is in steps of %q, want 1h", s.Interval)
	case s.Offset != d.network.offset:
		return d.Error(intensity.KindMismatch, "the answer is in times of UTC%s, want %s", s.Offset, d.network.offset)
	case s.Unit != unit:
		return d.Error(intensity.KindMalformed, "%s is in %q, want %s", s.Metric, s.Unit, unit)
	}
	other := ""
	mine := len(s.Results) == 0
	for i := range s.Results {
		r := &s.Results[i]
		if r.Columns.region() != d.Zone {
			other = r.Columns.region()
			continue
		}
		mine = true
		if !generates(r.Columns.Technology) {
			continue
		}
		for _, row := range r.Data {
			at, err := d.time(row.time)
			if err != nil {
				return err
			}
			if row.value == nil {
				continue
			}
			hour := by[at.UnixNano()]
			if hour == nil {
				hour = amounts{}
				by[at.UnixNano()] = hour
			}
			hour[r.Columns.Technology] = *row.value
		}
	}
	if !mine {
		return d.Error(intensity.KindMismatch, "the answer is for region %q", other)
	}
	return nil
}

// generates leaves out what is no generation: loads, flows, and storage, which gives back
// what was generated before. Technologies that are new count.
func generates(technology string) bool {
	switch technology {
	case "battery", "battery_charging", "battery_discharging", "pumps",
		"imports", "exports", "interconnector", "aggregator_dr":
		return false
	}
	return true
}

// time reads an hour. Times without zone are those of the network. Times in UTC are refused:
// an early version of the service made them from the clocks of Sydney, so that they are an
// hour off in summer, and nothing in the answer tells.
func (d *decoder) time(text string) (time.Time, error) {
	at, err := time.ParseInLocation("2006-01-02T15:04:05", text, d.network.clock)
	if err != nil {
		at, err = time.Parse("2006-01-02T15:04:05Z07:00", text)
		if err != nil || at.Format("-07:00") != d.network.offset {
			return time.Time{}, d.Error(intensity.KindMalformed, "a row is for %q, want a time of the network such as 2026-05-22T00:00:00%s", text, d.network.offset)
		}
	}
	if !at.Equal(at.Truncate(step)) {
		return time.Time{}, d.Error(intensity.KindMalformed, "a row is for %q, want whole hours", text)
	}
	if at.Year() < 1990 || at.Year() > 2200 { // beyond what UnixNano holds, or nearly so
		return time.Time{}, d.Error(intensity.KindMalformed, "a row is for %q", text)
	}
	return at.UTC(), nil
}

// slots divides emissions by energy, in the hours that are over and complete.
func (d *decoder) slots(energy, emissions hours) []*intensity.Slot {
	needed := matters(energy, emissions)
	var slots []*intensity.Slot
	for at, e := range energy {
		start := time.Unix(0, at).UTC()
		end := start.Add(step)
		if end.After(d.Now) {
			continue // the sum of the 5 minutes that have passed
		}
		c := emissions[at]
		if !complete(e, c, needed) {
			continue
		}
		mwh, tonnes := total(e), total(c)
		if mwh <= 0 {
			continue
		}
		s := &intensity.Slot{
			Start: start, End: end, GramsPerKWh: tonnes / mwh * 1000, // t/MWh is kg/kWh
			Basis: basis(), Quality: d.Quality(start, end, settle), Origin: d.origin,
		}
		s.Origin.Method = "emissions over energy, storage left out"
		if _, all := e[""]; all {
			s.Origin.Method = "emissions over energy, what storage takes included"
		}
		s.Spread = d.widths.Spread(s.Quality, intensity.Circumstances{})
		slots = append(slots, s)
	}
	return slots
}

// matters names the technologies without which an hour is not complete: those that have
// 2 % of the energy or of the emissions of any hour.
func matters(energy, emissions hours) map[string]bool {
	const enough = 0.02
	found := map[string]bool{}
	for _, by := range []hours{energy, emissions} {
		for _, hour := range by {
			all := total(hour)
			for technology, x := range hour {
				if x > 0 && x >= enough*all {
					found[technology] = true
				}
			}
		}
	}
	return found
}

// complete reports whether an hour has both numbers of all technologies that matter, and of
// whatever else it has a number.
func complete(energy, emissions amounts, needed map[string]bool) bool {
	for technology := range needed {
		if _, ok := energy[technology]; !ok {
			return false
		}
	}
	for technology := range energy {
		if _, ok := emissions[technology]; !ok {
			return false
		}
	}
	for technology := range emissions {
		if _, ok := energy[technology]; !ok {
			return false
		}
	}
	return true
}

// total adds up in one order, so that equal answers have equal sums.
func total(a amounts) (sum float64) {
	for _, technology := range slices.Sorted(maps.Keys(a)) {
		sum += a[technology]
	}
	return sum
}
