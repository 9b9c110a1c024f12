// Package electricitymaps is the intensity provider of Electricity Maps, versions 3 and
// 4 of its API: hourly values for zones all over the world, with forecasts of up to 72
// hours. It needs a key.
//
//	p, err := electricitymaps.New(electricitymaps.Config{Key: key})
//
// Values are averages by location, of the electricity that is used in the zone, imports
// traced, in CO2e: lifecycle emissions, or direct ones with Config.EmissionFactorType.
// The two must not be added to or compared with each other, and neither is a marginal
// value.
//
// # What is asked
//
// Fetch asks for the history where the time lies in the last 24 hours, since one request
// for it returns all of them as corrected so far, where a request for the latest value
// costs as much and returns a guess. Older times come from past-range, which free keys
// may not ask for. Provider.Latest is there for those who want the guess. What a key may do,
// Provider.Access finds out in one request; without it, the first refusal of past-range is
// remembered.
//
// # Whose value it is
//
// Electricity Maps answers for the zone of the caller's address where it does not know
// the place. That is switched off in every request, a zone is always sent, and an answer
// for another zone, or of another emission factor, is refused (intensity.KindMismatch).
// Sandbox data are refused too.
//
// # How sure
//
// An hour is Estimated where the provider says so, which the newest ones nearly always are;
// they may be off by more than half. It is Preliminary when it has been measured, and
// Measured 72 hours after its end. An hour that has not begun is Predicted, whatever it is
// called. A null is a gap, never 0. The zone of a country that is the sum of others (AU BR CA
// DK FO IN IT JP MY NO PH RU SE US) is nobody's grid: its values are flagged ZoneWidened.
//
// # Terms
//
// The data belong to Electricity Maps, whose terms forbid to publish them or to pass
// them on to others; read them before values leave your house, in a dashboard or in
// telemetry. Free keys are for non-commercial use.
package electricitymaps
