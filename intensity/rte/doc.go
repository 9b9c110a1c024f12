// Package rte is the intensity provider for France: the estimate of direct CO2 in
// éCO2mix, which the grid operator RTE publishes every 15 minutes on the platform ODRÉ.
// It needs no key and has no forecast.
//
// Values are averages of direct emissions of CO2 by generation inside France; imports
// and exports are not traced. They must not be added to or compared with lifecycle
// values or with values of consumption, and they are no marginal values. Corsica and
// the overseas departments are not included.
//
// The newest value is some 15 to 30 minutes old; the quarters of an hour after it exist
// in the data set without a value, and are gaps here. All values are Preliminary,
// because RTE replaces them by consolidated ones in the course of the next month, and
// by final ones a year later, in another data set that this package does not read.
//
// The data are licensed under the Licence Ouverte; show Caps().Attribution where they
// are shown.
package rte
