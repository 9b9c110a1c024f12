// Package watttime is an intensity provider for WattTime, whose model says how much a
// grid would emit more if it had to deliver more: marginal intensity, in 5-minute steps,
// with forecasts for up to 72 h. With Options.Signal Average it reads the hourly average
// signal instead, which has history only and is not in every plan. One Provider reads
// one signal; nothing converts between them.
//
// # What the values are
//
// Direct emissions of CO2. Marginal values are a model's answer to "what if", whose
// truth nobody can meter: their quality is estimated, however old they are, and they are
// for decisions, such as when or where to run something. They do not add up to the
// emissions of a grid or a company, and are wrong in an inventory. Where the provider
// filled in its inputs, slots carry the flag Imputed. A new date of the model, in
// Origin.Model, begins a new series: do not compare across it.
//
// The percentile of [Provider.Index], the only value that accounts without a plan get
// outside of California, is a rank among the next hours, and never becomes grams.
//
// # Where
//
// Regions are WattTime's own and change, so a position is asked for (region-from-loc),
// not looked up in a table: that of Location.Point, or that of a cloud region. A
// Location.Zone that is spelled as a region of WattTime (CAISO_NORTH, PSCO) is used as it
// is; for others there is Options.Regions. A country alone is never enough.
//
// # Credentials
//
// Name and password of an account, for which a login gives a token for 30 minutes. The
// Provider renews it in time, with one login at once. Errors, slots and whatever package
// fmt prints of a Provider hold neither.
package watttime
