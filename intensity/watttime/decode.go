package watttime

import (
	"fmt"
	"time"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/intensity/internal/rows"
	"github.com/otelcarbon/otelcarbon/intensity/internal/wire"
)

// gramsPerKWh of 1 lb/MWh: the international pound of 1959 is 0.45359237 kg by
// definition, and 1 kg/MWh is 1 g/kWh.
const gramsPerKWh = 0.45359237

// The only units that are an intensity. The index has "percentile", other signals others.
const (
	unitsIntensity = "lbs_co2_per_mwh"
	unitsIndex     = "percentile"
)

// signal is one of those that WattTime has, in its own word.
type signal string

const (
	moer signal = "co2_moer" // marginal operating emissions rate
	aoer signal = "co2_aoer" // average operating emissions rate
)

func signalOf(s intensity.Signal) signal {
	if s == intensity.Average {
		return aoer
	}
	return moer
}

func (s signal) signal() intensity.Signal {
	switch s {
	case moer:
		return intensity.Marginal
	case aoer:
		return intensity.Average
	}
	return 0
}

// basis leaves the flow open: the provider does not say how imports count.
func (s signal) basis() intensity.Basis {
	return intensity.Basis{Signal: s.signal(), Boundary: intensity.Direct, Gas: intensity.CO2}
}

func (s signal) step() time.Duration {
	if s == aoer {
		return time.Hour
	}
	return 5 * time.Minute
}

func (s signal) latency() time.Duration {
	if s == aoer {
		return latencyAOER
	}
	return latency
}

// meta says what the numbers beside it are.
type meta struct {
	Region string `json:"region"`
	Signal string `json:"signal_type"`
	Units  string `json:"units"`
	Period int64  `json:"data_point_period_seconds"`
	Issued string `json:"generated_at"`
	Model  struct {
		Date string `json:"date"`
	} `json:"model"`
	Warnings []struct {
		Type    string `json:"type"`
		Message string `json:"message"`
	} `json:"warnings"`
}

type point struct {
	Time    string   `json:"point_time"`
	Value   *float64 `json:"value"`
	Updated string   `json:"last_updated"`
	Imputed *bool    `json:"imputed_data_used"`
}

// decoder is what an answer is read with.
type decoder struct {
	rows.Ask

	signal signal
	widths intensity.HalfWidths
	origin intensity.Origin // of every slot, as far as it is the same
	period time.Duration
}

// check compares what was asked for with what the answer says it is, and takes over what
// all slots have in common. Where its period matters it has to be stated.
func (d *decoder) check(m *meta, units string) error {
	switch {
	case m == nil:
		return d.Error(intensity.KindMalformed, "the answer does not say what it is: it has no meta")
	case m.Units != units:
		return d.Error(intensity.KindMalformed, "the unit is %q, want %s", m.Units, units)
	case m.Region != d.Zone:
		return d.Error(intensity.KindMismatch, "the answer is for region %q", m.Region)
	case m.Signal != string(d.signal):
		return d.Error(intensity.KindMismatch, "the answer is of signal %q, want %s", m.Signal, d.signal)
	}
	d.period = time.Duration(m.Period) * time.Second
	if m.Period < 60 || m.Period > 3600 || 3600%m.Period != 0 {
		return d.Error(intensity.KindMalformed, "a period of %d s, want one between 60 and 3600 that divides an hour", m.Period)
	}
	d.origin.ZoneServed = m.Region
	d.origin.Model = m.Model.Date
	for i, w := range m.Warnings {
		if i > 0 {
			d.origin.Why += "; "
		}
		d.origin.Why += "WattTime warns: " + intensity.Scrub(w.Type+": "+w.Message)
		if i == 2 {
			break // more than three say no more
		}
	}
	return nil
}

// points are those of an answer that is about this signal in grams.
func (d *decoder) points(body []byte) ([]point, *meta, error) {
	var answer struct {
		Data []point `json:"data"`
		Meta *meta   `json:"meta"`
	}
	if err := wire.Unmarshal(body, &answer); err != nil {
		return nil, nil, d.Error(intensity.KindMalformed, "%v", err)
	}
	if err := d.check(answer.Meta, unitsIntensity); err != nil {
		return nil, nil, err
	}
	return answer.Data, answer.Meta, nil
}

// decodeHistorical reads values that were published after the fact. It is pure, as all
// that follow are.
func decodeHistorical(body []byte, d decoder) (intensity.Series, error) {
	points, _, err := d.points(body)
	if err != nil {
		return intensity.Series{}, err
	}
	slots := make([]*intensity.Slot, 0, len(points))
	for i := range points {
		pt := &points[i]
		s, err := d.slot(pt)
		if err != nil {
			return intensity.Series{}, err
		}
		if s == nil {
			continue
		}
		s.Quality = d.quality(s, pt.Imputed)
		if pt.Imputed != nil && *pt.Imputed {
			s.Flags |= intensity.Imputed
		}
		if pt.Updated != "" {
			if s.Origin.UpdatedAt, err = d.time("last_updated", pt.Updated); err != nil {
				return intensity.Series{}, err
			}
		}
		s.Spread = d.widths.Spread(s.Quality, intensity.Circumstances{Rough: s.Flags.Has(intensity.Imputed)})
		slots = append(slots, s)
	}
	return d.Series(slots)
}

// quality of a historical value. What a marginal plant would have emitted is never
// metered; an average is, unless its inputs were filled in, or nobody says that they were
// not.
func (d *decoder) quality(s *intensity.Slot, imputed *bool) intensity.Quality {
	q := d.Quality(s.Start, s.End, settle)
	if q != intensity.Predicted && (d.signal == moer || imputed == nil || *imputed) {
		q = intensity.Estimated
	}
	return q
}

// decodeForecast reads the newest forecast.
func decodeForecast(body []byte, d decoder) (intensity.Series, error) {
	points, m, err := d.points(body)
	if err != nil {
		return intensity.Series{}, err
	}
	issued, err := d.time("generated_at", m.Issued)
	if err != nil {
		return intensity.Series{}, err
	}
	return d.forecast(issued, points)
}

// decodeIssued reads forecasts as they were made, each of which becomes a Series of its own.
func decodeIssued(body []byte, d decoder, ahead time.Duration) ([]intensity.Series, error) {
	var answer struct {
		Data []struct {
			Issued   string  `json:"generated_at"`
			Forecast []point `json:"forecast"`
		} `json:"data"`
		Meta *meta `json:"meta"`
	}
	if err := wire.Unmarshal(body, &answer); err != nil {
		return nil, d.Error(intensity.KindMalformed, "%v", err)
	}
	if err := d.check(answer.Meta, unitsIntensity); err != nil {
		return nil, err
	}
	from, to := d.From, d.To
	var all []intensity.Series
	for _, f := range answer.Data {
		issued, err := d.time("generated_at", f.Issued)
		if err != nil {
			return nil, err
		}
		if issued.Before(from) || !issued.Before(to) {
			continue // the end is part of the answer, but not of what was asked
		}
		d.From = issued.Truncate(d.period)
		d.To = d.From.Add(ahead)
		s, err := d.forecast(issued, f.Forecast)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	if len(all) == 0 {
		return nil, d.Error(intensity.KindNoData, "no forecast was made from %s to %s", stamp(from), stamp(to))
	}
	return all, nil
}

func (d *decoder) forecast(issued time.Time, points []point) (intensity.Series, error) {
	slots := make([]*intensity.Slot, 0, len(points))
	for i := range points {
		s, err := d.slot(&points[i])
		if err != nil {
			return intensity.Series{}, err
		}
		if s == nil {
			continue
		}
		s.Quality = intensity.Predicted
		s.Origin.IssuedAt = issued
		s.Spread = d.widths.Spread(s.Quality, intensity.Circumstances{Lead: s.Start.Sub(issued)})
		slots = append(slots, s)
	}
	return d.Series(slots)
}

// slot reads what all points have. It is nil for a point without a value.
func (d *decoder) slot(pt *point) (*intensity.Slot, error) {
	start, err := d.time("point_time", pt.Time)
	switch {
	case err != nil:
		return nil, err
	case !start.Equal(start.Truncate(d.period)):
		return nil, d.Error(intensity.KindMalformed, "point_time %s is not on a step of %s", stamp(start), d.period)
	case pt.Value == nil:
		return nil, nil
	}
	return &intensity.Slot{
		Start: start, End: start.Add(d.period), GramsPerKWh: *pt.Value * gramsPerKWh,
		Basis: d.signal.basis(), Origin: d.origin,
	}, nil
}

func (d *decoder) time(field, text string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, d.Error(intensity.KindMalformed, "%s %q is no time, want one like 2022-07-15T00:00:00+00:00", field, text)
	}
	return t.UTC(), nil
}

// decodeIndex reads a percentile, which is none of the numbers above.
func decodeIndex(body []byte, d decoder) (Index, error) {
	var answer struct {
		Data []point `json:"data"`
		Meta *meta   `json:"meta"`
	}
	if err := wire.Unmarshal(body, &answer); err != nil {
		return Index{}, d.Error(intensity.KindMalformed, "%v", err)
	}
	if err := d.check(answer.Meta, unitsIndex); err != nil {
		return Index{}, err
	}
	if len(answer.Data) == 0 || answer.Data[0].Value == nil {
		return Index{}, d.Error(intensity.KindNoData, "the answer has no value")
	}
	at, err := d.time("point_time", answer.Data[0].Time)
	if err != nil {
		return Index{}, err
	}
	v := *answer.Data[0].Value
	if !(v >= 0 && v <= 100) {
		return Index{}, d.Error(intensity.KindMalformed, "a percentile of %v, want one between 0 and 100", v)
	}
	return Index{At: at, Percentile: v, Region: answer.Meta.Region}, nil
}

func decodeRegion(body []byte, s signal) (string, error) {
	fail := func(kind intensity.Kind, format string, args ...any) (string, error) {
		return "", &intensity.Error{Kind: kind, Provider: id, Detail: fmt.Sprintf(format, args...)}
	}
	var answer struct {
		Region string `json:"region"`
		Signal string `json:"signal_type"`
	}
	switch err := wire.Unmarshal(body, &answer); {
	case err != nil:
		return fail(intensity.KindMalformed, "%v", err)
	case !isRegion(answer.Region):
		return fail(intensity.KindMalformed, "%q is no region, want one like CAISO_NORTH", answer.Region)
	case answer.Signal != string(s):
		return fail(intensity.KindMismatch, "the region is one of signal %q, want %s", answer.Signal, s)
	}
	return answer.Region, nil
}

func decodeAccess(body []byte) (*Access, error) {
	var answer struct {
		Signals []struct {
			Signal  string `json:"signal_type"`
			Regions []struct {
				Region    string `json:"region"`
				Name      string `json:"region_full_name"`
				Endpoints []struct {
					Endpoint string `json:"endpoint"`
					Models   []struct {
						Model string `json:"model"`
					} `json:"models"`
				} `json:"endpoints"`
			} `json:"regions"`
		} `json:"signal_types"`
	}
	if err := wire.Unmarshal(body, &answer); err != nil {
		return nil, &intensity.Error{Kind: intensity.KindMalformed, Provider: id, Detail: err.Error()}
	}
	if answer.Signals == nil {
		return nil, &intensity.Error{Kind: intensity.KindMalformed, Provider: id, Detail: "the answer does not list what the account has: no signal_types"}
	}
	a := &Access{}
	for _, s := range answer.Signals {
		for _, r := range s.Regions {
			for _, e := range r.Endpoints {
				g := Grant{Signal: signal(s.Signal).signal(), Word: s.Signal, Region: r.Region, Name: r.Name, Path: "/" + e.Endpoint}
				for _, m := range e.Models {
					g.Models = append(g.Models, m.Model)
				}
				a.Grants = append(a.Grants, g)
			}
		}
	}
	return a, nil
}
