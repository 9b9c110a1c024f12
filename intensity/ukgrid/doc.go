// Package ukgrid is the intensity provider for Great Britain: the Carbon Intensity API
// of the National Energy System Operator, half-hourly, with a forecast of 48 hours, for
// the country and for its regions. It needs no key.
//
// Values are averages of direct emissions of CO2, imports and grid losses included,
// nuclear and renewable power at 0. They must not be added to or compared with
// lifecycle values, and they are no marginal values. Northern Ireland is not included.
//
// A half hour of Great Britain has an actual value 30 to 90 minutes after its end; it
// is Preliminary for 48 hours, because it is revised, and Measured thereafter. Where
// there is none yet, the slot has the forecast, and is Predicted. Regions have no
// actual values at all: theirs are Predicted for ever. A program that wants no
// forecasts sets intensity.Query.Worst.
//
// The forecast that the service returns for a past slot is not the one that it gave
// before: it goes on changing until the slot begins. To judge forecasts, keep what
// FetchForecast returned.
//
// The data are licensed under CC BY 4.0; show Caps().Attribution where they are shown.
package ukgrid
