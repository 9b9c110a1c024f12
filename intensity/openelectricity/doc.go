// Package openelectricity is an intensity provider for Australia: the five regions of the
// National Electricity Market and the South West of Western Australia, by the hour, from
// the service Open Electricity.
//
// # What the values are
//
// Average, direct, CO2e, of what is generated in a region: imports do not count. The
// service has no intensities, so they are made here: the emissions of all technologies of
// an hour over their energy, which are meter readings times a factor of each unit. What
// batteries and pumps take is no generation, and what batteries give was generated before;
// neither counts. An hour in which a technology is missing that mattered around it is a
// gap: without its coal it would be a clean hour.
//
// Values are preliminary for a week. Those of Western Australia come a day late. There are
// no forecasts.
//
// # Hours
//
// Both networks run on standard time all year, UTC+10 and UTC+8, and the service wants
// and gives times of the network. An hour is the one that the service names. In the
// National Electricity Market it sums up twelve dispatch intervals by the time at which they
// end, so that it really holds the 60 minutes until five minutes before its end. That is less
// than the range of a value, and stays as it is, since hours of all providers should meet.
//
// # Terms
//
// The data are licensed for non-commercial use, with attribution (CC BY-NC 4.0, February
// 2026); commercial use needs a contract with Open Electricity.
package openelectricity
