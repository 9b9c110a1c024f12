package ukgrid

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/intensity/internal/rows"
	"github.com/otelcarbon/otelcarbon/intensity/internal/wire"
)

// row is a half hour of Great Britain, a half hour with all regions, or a region with
// its half hours: the service nests them as the path of the request has it.
type row struct {
	From      string `json:"from"`
	To        string `json:"to"`
	Intensity *value `json:"intensity"`
	RegionID  *int   `json:"regionid"`
	Postcode  string `json:"postcode"`
	Data      []row  `json:"data"`
	Regions   []row  `json:"regions"`
}

// value has no actual for regions, and null for what is not known yet. 0 is a value.
type value struct {
	Forecast *float64 `json:"forecast"`
	Actual   *float64 `json:"actual"`
}

// list is an array of rows, or one row as an object: the same field has both forms.
type list []row

// UnmarshalJSON reads both forms.
func (l *list) UnmarshalJSON(b []byte) error {
	if strings.HasPrefix(strings.TrimSpace(string(b)), "{") {
		*l = make(list, 1)
		return json.Unmarshal(b, &(*l)[0])
	}
	return json.Unmarshal(b, (*[]row)(l))
}

// decoder is what an answer is read with.
type decoder struct {
	rows.Ask

	zone   zone
	widths intensity.HalfWidths
	origin intensity.Origin // of every slot, as far as it is the same
	region int              // that the answer is for, once it has said so
}

// decode returns what an answer has for what was asked. It is pure.
func decode(body []byte, d decoder) (intensity.Series, error) {
	var answer struct {
		Data  list     `json:"data"`
		Error *failure `json:"error"`
	}
	if err := wire.Unmarshal(body, &answer); err != nil {
		return intensity.Series{}, d.Error(intensity.KindMalformed, "%v", err)
	}
	if len(answer.Data) == 0 && answer.Error != nil {
		return intensity.Series{}, d.Error(answer.Error.kind(), "status 200 with an error: %s: %s", answer.Error.Code, answer.Error.Message)
	}
	var slots []*intensity.Slot
	for i := range answer.Data {
		more, err := d.slots(&answer.Data[i])
		if err != nil {
			return intensity.Series{}, err
		}
		slots = append(slots, more...)
	}
	return d.Series(slots)
}

// failure is what the service sends with 400 and 500, and may send with 200.
type failure struct {
	Code    string `json:"code"` // "400 Bad Request"
	Message string `json:"message"`
}

func (f *failure) kind() intensity.Kind {
	if strings.HasPrefix(f.Code, "4") {
		return intensity.KindConfig
	}
	return intensity.KindUpstream
}

// slots reads a row of the outermost list.
func (d *decoder) slots(r *row) ([]*intensity.Slot, error) {
	if d.zone.national() {
		if r.Regions != nil || r.RegionID != nil {
			return nil, d.Error(intensity.KindMismatch, "the answer is for regions, want that for Great Britain")
		}
		return d.slot(r, nationalKey)
	}
	if r.Regions != nil { // a half hour with its regions
		for i := range r.Regions {
			region := r.Regions[i]
			if region.RegionID != nil && *region.RegionID == d.zone.region {
				region.From, region.To = r.From, r.To
				return d.slot(&region, regionKey(d.zone.region))
			}
		}
		return nil, nil
	}
	served, err := d.served(r)
	if err != nil {
		return nil, err
	}
	var slots []*intensity.Slot
	for i := range r.Data {
		more, err := d.slot(&r.Data[i], regionKey(served))
		if err != nil {
			return nil, err
		}
		slots = append(slots, more...)
	}
	return slots, nil
}

// served returns the region that a row of the outermost list is for.
func (d *decoder) served(r *row) (int, error) {
	switch {
	case r.RegionID == nil || *r.RegionID < 1 || *r.RegionID > lastRegion:
		return 0, d.Error(intensity.KindMalformed, "the answer does not say its region, want a regionid from 1 to %d", lastRegion)
	case d.zone.region != 0 && *r.RegionID != d.zone.region:
		return 0, d.Error(intensity.KindMismatch, "the answer is for region %d, want %d", *r.RegionID, d.zone.region)
	case r.Postcode != "" && d.zone.postcode != "" && !strings.EqualFold(r.Postcode, d.zone.postcode):
		return 0, d.Error(intensity.KindMismatch, "the answer is for postcode %s, want %s", r.Postcode, d.zone.postcode)
	case d.region != 0 && *r.RegionID != d.region:
		return 0, d.Error(intensity.KindMalformed, "the answer is for regions %d and %d at once", d.region, *r.RegionID)
	}
	d.region = *r.RegionID
	return *r.RegionID, nil
}

// slot reads a half hour. One without any number is no slot.
func (d *decoder) slot(r *row, served string) ([]*intensity.Slot, error) {
	start, err := d.time("from", r.From)
	if err != nil {
		return nil, err
	}
	end, err := d.time("to", r.To)
	switch {
	case err != nil:
		return nil, err
	case end.Sub(start) != step:
		return nil, d.Error(intensity.KindMalformed, "the slot from %s lasts %s, want %s", r.From, end.Sub(start), step)
	case r.Intensity == nil:
		return nil, d.Error(intensity.KindMalformed, "the slot from %s has no intensity", r.From)
	}
	s := &intensity.Slot{Start: start, End: end, Basis: basis(), Origin: d.origin}
	s.Origin.ZoneServed = served
	switch v := r.Intensity; {
	case v.Actual != nil && !start.After(d.Now):
		s.GramsPerKWh, s.Quality, s.Origin.Method = *v.Actual, d.Quality(start, end, settle), "actual"
	case v.Forecast != nil:
		s.GramsPerKWh, s.Quality, s.Origin.Method = *v.Forecast, intensity.Predicted, "forecast"
		// The forecast of a slot is made anew until the slot begins.
		s.Origin.IssuedAt = d.Now
		if start.Before(d.Now) {
			s.Origin.IssuedAt = start
		}
	default:
		return nil, nil
	}
	s.Spread = d.widths.Spread(s.Quality, intensity.Circumstances{Length: step, Lead: start.Sub(d.Now)})
	return []*intensity.Slot{s}, nil
}

// timeLayout has no seconds, which is neither RFC 3339 nor ISO 8601's usual form.
const timeLayout = "2006-01-02T15:04Z07:00"

func (d *decoder) time(field, text string) (time.Time, error) {
	t, err := time.Parse(timeLayout, text)
	if err != nil {
		return time.Time{}, d.Error(intensity.KindMalformed, "%s is %q, want a time like 2006-01-02T15:04Z", field, text)
	}
	return t.UTC(), nil
}

func regionKey(region int) string { return nationalKey + "-" + strconv.Itoa(region) }
