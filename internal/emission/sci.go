package emission

// SCI returns the software carbon intensity in g per functional unit, a request or
// a job or a user: what running emitted and the embodied share, both in g, by the
// number of units (SCI 1.1, ISO/IEC 21031:2024: ((E × I) + M) per R). It is not ok
// where there is no unit to divide by, or an amount is not a number.
func SCI(operational, embodied, units float64) (gramsPerUnit float64, ok bool) {
	g := (operational + embodied) / units
	if !(units > 0) || !finite(g) {
		return 0, false
	}
	return g, true
}
