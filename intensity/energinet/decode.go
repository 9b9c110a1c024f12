package energinet

import (
	"time"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/intensity/internal/rows"
	"github.com/otelcarbon/otelcarbon/intensity/internal/wire"
)

// record is five minutes of a price area. The column Minutes5DK is not read: at the end
// of summer time an hour of it comes twice.
type record struct {
	Minutes5UTC string
	PriceArea   string
	CO2Emission *float64 // g/kWh
}

// timeLayout has no zone; the column is UTC.
const timeLayout = "2006-01-02T15:04:05"

// decoder is what an answer is read with.
type decoder struct {
	rows.Ask

	area     string
	forecast bool
	widths   intensity.HalfWidths
	origin   intensity.Origin // of every slot, as far as it is the same
}

// decode returns what an answer has for what was asked. It is pure.
func decode(body []byte, d decoder) (intensity.Series, error) {
	var answer struct {
		Records *[]record `json:"records"`
		Error   string    `json:"error"`
		Message string    `json:"message"`
	}
	if err := wire.Unmarshal(body, &answer); err != nil {
		return intensity.Series{}, d.Error(intensity.KindMalformed, "%v", err)
	}
	if answer.Records == nil {
		if text := answer.Error + answer.Message; text != "" {
			return intensity.Series{}, d.Error(intensity.KindUpstream, "status 200 with an error: %s", text)
		}
		return intensity.Series{}, d.Error(intensity.KindMalformed, "the answer has no records")
	}
	var slots []*intensity.Slot
	for i := range *answer.Records {
		s, err := d.slot(&(*answer.Records)[i])
		if err != nil {
			return intensity.Series{}, err
		}
		if s != nil {
			slots = append(slots, s)
		}
	}
	return d.Series(slots)
}

// slot reads a record; one without a number is no slot.
func (d *decoder) slot(r *record) (*intensity.Slot, error) {
	start, err := time.Parse(timeLayout, r.Minutes5UTC)
	switch {
	case err != nil:
		return nil, d.Error(intensity.KindMalformed, "Minutes5UTC is %q, want a time like 2006-01-02T15:04:05", r.Minutes5UTC)
	case !start.Equal(start.Truncate(step)):
		return nil, d.Error(intensity.KindMalformed, "Minutes5UTC is %q, want a multiple of 5 minutes", r.Minutes5UTC)
	case r.PriceArea != d.area:
		return nil, d.Error(intensity.KindMismatch, "the answer is for price area %q, want %s", r.PriceArea, d.area)
	case r.CO2Emission == nil:
		return nil, nil
	}
	s := &intensity.Slot{
		Start: start, End: start.Add(step), GramsPerKWh: *r.CO2Emission, Basis: basis(),
		Quality: d.Quality(start, start.Add(step), settle), Origin: d.origin,
	}
	if d.forecast {
		s.Quality = intensity.Predicted
	}
	if s.Quality == intensity.Predicted {
		// A forecast of the past was made before the past.
		s.Origin.IssuedAt = d.Now
		if start.Before(d.Now) {
			s.Origin.IssuedAt = start
		}
	}
	s.Spread = d.widths.Spread(s.Quality, intensity.Circumstances{Length: step, Lead: start.Sub(d.Now)})
	return s, nil
}
