package intensity

import (
	"math"
	"time"
)

// HalfWidths is the table of relative half-widths: 0.35 is ± 35 %. No provider
// publishes an error for its values, so these are assumptions, each set with an
// eye on the observations named at DefaultHalfWidths, and all can be changed.
type HalfWidths struct {
	Measured         float64
	Preliminary      float64
	Estimated        float64
	EstimatedRough   float64 // estimated, where wind and sun exceed half of the mix or no live source exists
	Predicted        float64 // at the moment of issue
	PredictedPerHour float64 // added for each hour of lead
	PredictedMost    float64 // and never more than this
	Monthly          float64 // periodic, slots up to 31 days
	Yearly           float64 // periodic, longer slots
	Assumed          float64 // a constant whose owner states no width
	StalePerHour     float64 // added for each hour that a value is carried forward
	Widened          float64 // added if a wider zone stands in
	World            float64 // periodic, in place of all others if the world stands in for an unknown place
}

// DefaultHalfWidths returns the table in use unless a configuration says otherwise.
func DefaultHalfWidths() HalfWidths {
	return HalfWidths{
		Measured:         0.05, // assumed; metered East Danish hour, already not flagged as estimated: 72 → 67 g (+7 %), 2026-08-22
		Preliminary:      0.10, // assumed; British first actuals moved by 0.4–2.4 % within a day (15 of 15), 2023-03-15
		Estimated:        0.30, // assumed; East Denmark 70 → 54 g (+30 %), US-MIDW-MISO 501 beside 419 g (+20 %)
		EstimatedRough:   0.60, // assumed; East Denmark 75 → 42 g (+79 %), 2026-08-22
		Predicted:        0.10, // assumed; British forecast as issued, 0–5 h: 3 %; near term 2017–2023: 7.1 % (nickmp.com)
		PredictedPerHour: 0.04, // assumed; British forecast as issued on a windy night: 20 % after 5–10 h, 53 % after 10–15 h
		PredictedMost:    0.60, // assumed, see above
		Monthly:          0.25, // assumed; monthly means hardly remove the bias of yearly ones (Miller et al. 2022)
		Yearly:           0.35, // assumed; bias of yearly against hourly factors up to 30 % (Miller et al. 2022), two publishers of 2023 differ by 9 % in the median
		Assumed:          0,    // the operator's own constant
		StalePerHour:     0.03, // assumed
		Widened:          0.20, // assumed; 90 % of 75 countries lie within 28 % between two issues of one publisher (2021)
		World:            0.88, // observed; 90 % of the 212 countries in grids.csv lie within 88 % of the world's 473.01 g, newest years
	}
}

// OrDefault returns w, or DefaultHalfWidths if w is the zero value.
func (w HalfWidths) OrDefault() HalfWidths {
	if w == (HalfWidths{}) {
		return DefaultHalfWidths()
	}
	return w
}

// Circumstances is what a half-width depends on besides the quality.
type Circumstances struct {
	Length  time.Duration // of the slot: tells a monthly from a yearly mean
	Lead    time.Duration // from the issue of a forecast to the slot
	Carried time.Duration // since the end of the slot from which the value was carried forward
	Rough   bool          // much wind and sun, or no live source: see EstimatedRough
	Widened bool          // a wider zone stands in
	World   bool          // the world stands in, because nothing is known of the place
}

// Spread returns the half-width of a value of quality q, with From "assumed"
// ("observed" for the world), or unknown (the zero Spread) if q is 0 or the table
// says 0 and nothing adds to it.
func (w HalfWidths) Spread(q Quality, c Circumstances) Spread {
	var half float64
	if q == Periodic && c.World {
		if w.World <= 0 {
			return Spread{}
		}
		return Spread{Half: w.World, From: "observed"}
	}
	switch q {
	case Measured:
		half = w.Measured
	case Preliminary:
		half = w.Preliminary
	case Estimated:
		half = w.Estimated
		if c.Rough {
			half = w.EstimatedRough
		}
	case Predicted:
		half = min(w.Predicted+w.PredictedPerHour*max(0, c.Lead.Hours()), w.PredictedMost)
	case Periodic:
		half = w.Yearly
		if c.Length > 0 && c.Length <= 31*24*time.Hour {
			half = w.Monthly
		}
	case Assumed:
		half = w.Assumed
	default:
		return Spread{}
	}
	half += w.StalePerHour * max(0, c.Carried.Hours())
	if c.Widened {
		half += w.Widened
	}
	if half <= 0 {
		return Spread{}
	}
	return Spread{Half: half, From: "assumed"}
}

// Check returns an error of KindConfig unless every half-width is a number of 0 or
// more.
func (w HalfWidths) Check() error {
	for _, h := range []float64{
		w.Measured, w.Preliminary, w.Estimated, w.EstimatedRough, w.Predicted, w.PredictedPerHour,
		w.PredictedMost, w.Monthly, w.Yearly, w.Assumed, w.StalePerHour, w.Widened, w.World,
	} {
		if !(h >= 0) || math.IsInf(h, 0) {
			return &Error{Kind: KindConfig, Detail: "a half-width is a number of 0 or more, such as 0.35 for ± 35 %"}
		}
	}
	return nil
}
