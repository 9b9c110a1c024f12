// Package energinet is the intensity provider for Denmark: the data sets CO2Emis and
// CO2EmisProg of Energinet's Energi Data Service, for the price areas DK1 (west of the
// Great Belt) and DK2 (east of it), every five minutes, with a forecast that reaches to
// the end of the day after the auction. It needs no key.
//
// Values are averages of direct emissions of CO2 for the electricity that is used in
// the area, imports included. They must not be added to or compared with lifecycle
// values, and they are no marginal values. The two areas differ by half on many days:
// Denmark as a whole is no zone here.
//
// The values come minutes after their time, from what the control room sees, and are
// corrected later: they are Preliminary for a week and Measured thereafter. The forecast
// is Predicted.
//
// Energinet asks users not to serve others from its service, and to keep what they have
// fetched. The data are open, under CC BY 4.0 by Energinet's own statement; show
// Caps().Attribution where they are shown.
package energinet
