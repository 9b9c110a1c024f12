package electricitymaps

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/intensity/internal/rows"
	"github.com/otelcarbon/otelcarbon/intensity/internal/wire"
)

// answer has its rows under one of three names, or is a row itself.
type answer struct {
	row

	History     json.RawMessage `json:"history"`
	Data        json.RawMessage `json:"data"`
	Forecast    json.RawMessage `json:"forecast"`
	Granularity string          `json:"temporalGranularity"`
	Status      string          `json:"status"`
}

type row struct {
	Zone            string  `json:"zone"`
	CarbonIntensity reading `json:"carbonIntensity"`
	Datetime        string  `json:"datetime"` // of the beginning
	UpdatedAt       string  `json:"updatedAt"`
	FactorType      string  `json:"emissionFactorType"`
	FlowTraced      *bool   `json:"flowTraced"` // since v4
	Estimated       *bool   `json:"isEstimated"`
	Method          string  `json:"estimationMethod"`
	Disclaimer      string  `json:"_disclaimer"`
	// createdAt is when the row was first forecast, which says nothing about the value.
}

// reading tells null, which is a gap, from nothing, which is the answer of another route.
type reading struct {
	given bool
	value *float64
}

// UnmarshalJSON reads a number or null.
func (r *reading) UnmarshalJSON(b []byte) error {
	r.given = true
	return json.Unmarshal(b, &r.value)
}

// decoder is what an answer is read with.
type decoder struct {
	rows.Ask

	basis  intensity.Basis
	whole  bool // the zone is the sum of others, none of which it is
	widths *intensity.HalfWidths
	origin intensity.Origin // of every slot, as far as it is the same
}

// decode returns what an answer has for what was asked. It is pure.
func decode(body []byte, d decoder) (intensity.Series, error) {
	slots, err := d.slots(body)
	if err != nil {
		return intensity.Series{}, err
	}
	// Of rows for one hour, the newest counts.
	slices.SortStableFunc(slots, func(a, b *intensity.Slot) int { return a.Origin.UpdatedAt.Compare(b.Origin.UpdatedAt) })
	return d.Series(slots)
}

// decodeLatest returns the one slot of an answer. It is pure.
func decodeLatest(body []byte, d decoder) (*intensity.Slot, error) {
	slots, err := d.slots(body)
	switch {
	case err != nil:
		return nil, err
	case len(slots) == 0:
		return nil, d.Error(intensity.KindNoData, "the newest hour has no value")
	case len(slots) > 1:
		return nil, d.Error(intensity.KindMalformed, "%d hours, want the newest", len(slots))
	}
	if err := slots[0].Check(); err != nil {
		return nil, d.Error(intensity.KindMalformed, "%v", err)
	}
	return slots[0], nil
}

// slots returns those of all rows that have a value.
func (d *decoder) slots(body []byte) ([]*intensity.Slot, error) {
	var a answer
	if err := wire.Unmarshal(body, &a); err != nil {
		return nil, d.Error(intensity.KindMalformed, "%v", err)
	}
	list, predicted, err := d.rows(&a)
	if err != nil {
		return nil, err
	}
	if err := d.fits(&a, list); err != nil {
		return nil, err
	}
	slots := make([]*intensity.Slot, 0, len(list))
	for i := range list {
		s, err := d.slot(&list[i], a.FactorType, predicted)
		if err != nil {
			return nil, err
		}
		if s != nil {
			slots = append(slots, s)
		}
	}
	return slots, nil
}

// rows finds the rows, and tells whether they are a forecast.
func (d *decoder) rows(a *answer) (list []row, predicted bool, err error) {
	var raw json.RawMessage
	n := 0
	for _, l := range []json.RawMessage{a.History, a.Data, a.Forecast} {
		if len(l) > 0 && !bytes.Equal(l, []byte("null")) {
			raw = l
			n++
		}
	}
	switch {
	case a.Status == "no-data":
		return nil, false, d.Error(intensity.KindNoData, "the answer says that there are none")
	case n > 1:
		return nil, false, d.Error(intensity.KindMalformed, "more than one of history, data and forecast")
	case n == 0 && a.Datetime == "":
		return nil, false, d.Error(intensity.KindMalformed, "want an hour, or a list of hours as history, data or forecast")
	case n == 0:
		return []row{a.row}, false, nil
	}
	if err := wire.Unmarshal(raw, &list); err != nil {
		return nil, false, d.Error(intensity.KindMalformed, "want a list of hours: %v", err)
	}
	return list, len(a.Forecast) > 0 && n == 1 && bytes.Equal(raw, a.Forecast), nil
}

// fits refuses an answer that is not for what was asked: an invented one, one of another
// zone, which is what an unknown place gets, or one of other steps.
func (d *decoder) fits(a *answer, list []row) error {
	named := false
	for _, r := range append(slices.Clip(list), a.row) {
		if strings.Contains(r.Method, "SANDBOX") || strings.Contains(strings.ToUpper(r.Disclaimer), "SANDBOX") {
			return d.Error(intensity.KindSynthetic, "the answer is sandbox data: want a key that is none of a sandbox")
		}
		switch r.Zone {
		case "":
		case d.Zone:
			named = true
		default:
			return d.Error(intensity.KindMismatch, "the answer is for zone %q", r.Zone)
		}
	}
	switch {
	case !named:
		return d.Error(intensity.KindMalformed, "the answer does not say its zone")
	case a.Granularity != "" && a.Granularity != "hourly":
		return d.Error(intensity.KindMismatch, "the answer is %q, want hourly", a.Granularity)
	}
	return nil
}

// slot reads a row, nil if it has no value.
func (d *decoder) slot(r *row, factorType string, predicted bool) (*intensity.Slot, error) {
	start, err := d.time("datetime", r.Datetime)
	if err != nil {
		return nil, err
	}
	if !start.Equal(start.Truncate(step)) {
		return nil, d.Error(intensity.KindMalformed, "%s is no whole hour", r.Datetime)
	}
	if !r.CarbonIntensity.given {
		return nil, d.Error(intensity.KindMalformed, "%s has no carbonIntensity, not even null", r.Datetime)
	}
	if r.FactorType != "" {
		factorType = r.FactorType
	}
	if factorType == "" {
		factorType = intensity.Lifecycle.String() // the provider's default, where it does not say: forecasts
	}
	switch {
	case factorType != d.basis.Boundary.String():
		return nil, d.Error(intensity.KindMismatch, "the answer is of emission factor type %q, want %s", factorType, d.basis.Boundary)
	case r.FlowTraced != nil && !*r.FlowTraced:
		return nil, d.Error(intensity.KindMismatch, "the answer is for production, want consumption: flowTraced")
	case r.CarbonIntensity.value == nil:
		return nil, nil
	}
	s := &intensity.Slot{Start: start, End: start.Add(step), GramsPerKWh: *r.CarbonIntensity.value, Basis: d.basis, Origin: d.origin}
	s.Origin.ZoneServed, s.Origin.Method = d.Zone, r.Method
	if r.UpdatedAt != "" && !predicted {
		if s.Origin.UpdatedAt, err = d.time("updatedAt", r.UpdatedAt); err != nil {
			return nil, err
		}
	}
	switch {
	case predicted || start.After(d.Now):
		s.Quality, s.Origin.IssuedAt = intensity.Predicted, d.Now
		if u := s.Origin.UpdatedAt; !u.IsZero() && u.Before(d.Now) {
			s.Origin.IssuedAt = u
		}
	case r.Estimated == nil || *r.Estimated || r.Method != "": // who does not say, has not measured
		s.Quality = intensity.Estimated
	default:
		s.Quality = d.Quality(s.Start, s.End, settle)
	}
	s.Spread = d.widths.Spread(s.Quality, intensity.Circumstances{
		Length: step, Lead: start.Sub(d.Now),
		Rough:   r.Method == "CONSTRUCT_BREAKDOWN", // of zones without any live source
		Widened: d.whole,
	})
	if d.whole {
		s.Flags |= intensity.ZoneWidened
	}
	return s, nil
}

func (d *decoder) time(field, text string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, d.Error(intensity.KindMalformed, "%s is %q, want a time like 2006-01-02T15:04:05Z", field, text)
	}
	return t.UTC(), nil
}
