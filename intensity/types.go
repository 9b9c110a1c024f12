package intensity

import (
	"time"
)

// Signal says whether a value describes the mix of a grid or the response of
// that grid to a change of load. The zero value means "not stated".
type Signal uint8

const (
	Average  Signal = iota + 1 // attributional: emissions of the mix ÷ energy
	Marginal                   // consequential: change of emissions ÷ change of load
)

// Boundary says which emissions are inside a value.
type Boundary uint8

const (
	Direct    Boundary = iota + 1 // stack emissions only
	Lifecycle                     // plus construction, fuel chain and end of life
)

// Flow says whose electricity a value describes.
type Flow uint8

const (
	Production  Flow = iota + 1 // generation inside the zone
	Consumption                 // imports and exports traced
)

// Gas says what the grams are grams of.
type Gas uint8

const (
	CO2 Gas = iota + 1
	CO2e
)

// Basis must match between all values that are summed, compared or substituted.
// In a Query a zero field accepts anything.
type Basis struct {
	Signal   Signal
	Boundary Boundary
	Flow     Flow
	Gas      Gas
}

// Quality orders values from the most to the least trustworthy.
type Quality uint8

const (
	Measured    Quality = iota + 1 // from metered generation, past its settling time
	Preliminary                    // measured, still expected to be revised
	Estimated                      // the provider's model filled the slot
	Predicted                      // a forecast
	Periodic                       // a monthly or yearly mean spread over the slot
	Assumed                        // a constant chosen by the operator
)

// Flags tell how a value came to stand where it stands.
type Flags uint16

const (
	Stale        Flags = 1 << iota // served from cache after its refresh failed
	Extrapolated                   // the newest known slot carried forward
	FellBack                       // not the first provider of the chain
	ZoneWidened                    // a country or a parent zone stands in for the zone
	BasisRelaxed                   // the operator allowed another Basis
	Imputed                        // the provider marks its inputs as filled in
	Revised                        // differs from an earlier value of the same slot

	FilledNeighbor  // stands in for a gap: a slot next to it (see Fill)
	FilledDayBefore // stands in for a gap: the same hour of the day before
	FilledFallback  // stands in for a gap: a yearly value or whatever else is the last resort
)

// Spread is the relative half-width of a value's range.
type Spread struct {
	Half float64 // 0.10 is ± 10 %; 0 with From "" means unknown
	From string  // where Half comes from: "published", "observed", "assumed" or ""
}

// LatLon is a position in degrees, WGS 84.
type LatLon struct{ Lat, Lon float64 }

// Location holds what the caller knows about a place. The fields are used in
// the order in which they stand here; all may be empty.
type Location struct {
	Zone          string  // grid zone: Electricity Maps spelling ("US-MIDA-PJM") or a zone of grids.csv
	CloudProvider string  // OpenTelemetry cloud.provider: "aws"
	CloudRegion   string  // cloud.region: "us-east-1"
	CloudZone     string  // cloud.availability_zone: "us-east-1a"
	Country       string  // ISO 3166-1 alpha-2: "US"
	Subdivision   string  // ISO 3166-2: "US-VA"
	Point         *LatLon // a pointer, because 0,0 is a place
	Default       string  // zone or country that stands in when nothing above is known
}

// Origin says where a value comes from.
type Origin struct {
	Provider   string    // value of carbon.grid.source: "clouds_csv", "electricity_maps"
	Endpoint   string    // path of the request, never with a query; "" offline
	ZoneAsked  string    // after resolution, in the provider's spelling
	ZoneServed string    // what the answer says it is for; value of carbon.grid.zone
	Method     string    // the provider's own word for how it was obtained
	Model      string    // version of the provider's model or data set; the source id of a table
	IssuedAt   time.Time // of a forecast: when it was made
	UpdatedAt  time.Time // provider's last revision of the slot, if given
	FetchedAt  time.Time // zero for embedded tables
	Depth      int       // position in the chain, 0 is the first
	Why        string    // why this place and this source, for people to read
}

// Slot is one value and the half-open interval [Start, End) for which it holds.
// A slot that has been returned is never changed.
type Slot struct {
	Start, End  time.Time // UTC
	GramsPerKWh float64   // gCO2(e)/kWh; 0 is a legal value
	Basis       Basis
	Quality     Quality
	Flags       Flags
	Spread      Spread
	Origin      Origin
}

// Series is sorted and free of overlaps, and says where it has nothing.
type Series struct {
	From, To time.Time
	Slots    []*Slot
	Gaps     []Gap
}

// Gap is an interval without a value.
type Gap struct {
	Start, End time.Time
	Err        error // errors.Is finds one of the Kinds
}

// Query asks for the intensity of a place.
type Query struct {
	Location Location
	Want     Basis         // zero fields accept anything
	Worst    Quality       // refuse anything worse; zero means Assumed, that is everything
	MaxStale time.Duration // how long a last good value may stand in; zero means 6 h
}
