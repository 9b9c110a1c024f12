package tables

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Names of the columns that the rules of a row mention.
const (
	columnProvider  = "cloud.provider"
	columnRegion    = "cloud.region"
	columnLifecycle = "lifecycle_carbon_intensity_g_per_kwh"
	columnDirect    = "direct_carbon_intensity_g_per_kwh"
	columnChosen    = "grid_carbon_intensity_g_per_kwh"
	columnBoundary  = "grid_carbon_intensity_boundary"
)

// maxIntensity is the largest believable intensity, in g/kWh, of a user's table: an
// old lignite plant emits about 1200, small diesel sets 1500 and more.
const maxIntensity = 3000

// A cloudColumn reads one cell that is not empty into the row, and returns what is
// wrong with it, worded to follow the quoted cell.
type cloudColumn struct {
	name     string
	required bool
	read     func(c *Cloud, v string) (wrong string)
}

// cloudColumns are the columns of clouds.csv in the order of the file.
var cloudColumns = []cloudColumn{
	{columnProvider, true, readProvider},
	{columnRegion, true, readRegion},
	{"display_name", false, asText(func(c *Cloud) *string { return &c.Name })},
	{"location", false, asText(func(c *Cloud) *string { return &c.Location })},
	{"region_status", false, asOneOf(func(c *Cloud) *string { return &c.Status }, "operational", "restricted", "announced", "retired")},
	{"country_code", false, readCountry},
	{"subdivision_code", false, asText(func(c *Cloud) *string { return &c.Subdivision })},
	{"latitude_deg", false, asLocated(90, func(c *Cloud) *float64 { return &c.Lat })},
	{"longitude_deg", false, asLocated(180, func(c *Cloud) *float64 { return &c.Lon })},
	{"coordinates_source", false, ignored},
	{"electricity_maps_zone", false, readZone},
	{"electricity_maps_zone_basis", false, asText(func(c *Cloud) *string { return &c.ZoneBasis })},
	{"watttime_region", false, ignored}, // LICENCES.md: carried, not used
	{"egrid_subregion", false, readEGRID},
	{columnChosen, false, asFigure(0, maxIntensity, "g/kWh", chosenOf)},
	{"grid_carbon_intensity_year", false, asYear(chosenOf)},
	{columnBoundary, false, asOneOf(func(c *Cloud) *string { return &c.ChosenBoundary }, "lifecycle", "direct")},
	{"grid_carbon_intensity_area", false, asArea(chosenOf)},
	{"grid_carbon_intensity_source", false, asSource(chosenOf)},
	{columnLifecycle, false, asFigure(0, maxIntensity, "g/kWh", lifecycleOf)},
	{"lifecycle_carbon_intensity_year", false, asYear(lifecycleOf)},
	{"lifecycle_carbon_intensity_area", false, asArea(lifecycleOf)},
	{"lifecycle_carbon_intensity_source", false, asSource(lifecycleOf)},
	{columnDirect, false, asFigure(0, maxIntensity, "g/kWh", directOf)},
	{"direct_carbon_intensity_year", false, asYear(directOf)},
	{"direct_carbon_intensity_area", false, asArea(directOf)},
	{"direct_carbon_intensity_source", false, asSource(directOf)},
	{"provider_grid_carbon_intensity_g_per_kwh", false, asFigure(0, maxIntensity, "g/kWh", publishedOf)},
	{"provider_grid_carbon_intensity_year", false, asYear(publishedOf)},
	{"provider_grid_carbon_intensity_source", false, asSource(publishedOf)},
	{"carbon_intensity_min_g_per_kwh", false, asBound(func(c *Cloud) *float64 { return &c.Min })},
	{"carbon_intensity_max_g_per_kwh", false, asBound(func(c *Cloud) *float64 { return &c.Max })},
	{"carbon_intensity_source_count", false, ignored},
	{"carbon_free_energy_fraction", false, asFigure(0, 1, "(a fraction, not percent)", carbonFreeOf)},
	{"carbon_free_energy_basis", false, asOneOf(func(c *Cloud) *string { return &c.CarbonFreeBasis }, "hourly", "annual")},
	{"carbon_free_energy_year", false, asYear(carbonFreeOf)},
	{"carbon_free_energy_source", false, asSource(carbonFreeOf)},
	{"market_based_carbon_intensity_g_per_kwh", false, asFigure(0, maxIntensity, "g/kWh", marketOf)},
	{"market_based_carbon_intensity_year", false, asYear(marketOf)},
	{"market_based_carbon_intensity_source", false, asSource(marketOf)},
	{"pue_ratio", false, asFigure(1, 5, "(facility ÷ IT energy)", pueOf)},
	{"pue_year", false, asYear(pueOf)},
	{"pue_scope", false, asText(func(c *Cloud) *string { return &c.PUEScope })},
	{"pue_source", false, asSource(pueOf)},
	{"wue_l_per_kwh", false, asFigure(0, 100, "L/kWh", wueOf)},
	{"wue_year", false, asYear(wueOf)},
	{"wue_scope", false, asText(func(c *Cloud) *string { return &c.WUEScope })},
	{"wue_source", false, asSource(wueOf)},
	{"region_list_source", false, ignored},
	{"notes", false, asText(func(c *Cloud) *string { return &c.Notes })},
}

// cloudFigures says which columns belong to one figure.
var cloudFigures = []struct {
	of                        func(*Cloud) *Value
	value, year, source, area string
}{
	{chosenOf, columnChosen, "grid_carbon_intensity_year", "grid_carbon_intensity_source", "grid_carbon_intensity_area"},
	{lifecycleOf, columnLifecycle, "lifecycle_carbon_intensity_year", "lifecycle_carbon_intensity_source", "lifecycle_carbon_intensity_area"},
	{directOf, columnDirect, "direct_carbon_intensity_year", "direct_carbon_intensity_source", "direct_carbon_intensity_area"},
	{publishedOf, "provider_grid_carbon_intensity_g_per_kwh", "provider_grid_carbon_intensity_year", "provider_grid_carbon_intensity_source", ""},
	{carbonFreeOf, "carbon_free_energy_fraction", "carbon_free_energy_year", "carbon_free_energy_source", ""},
	{marketOf, "market_based_carbon_intensity_g_per_kwh", "market_based_carbon_intensity_year", "market_based_carbon_intensity_source", ""},
	{pueOf, "pue_ratio", "pue_year", "pue_source", ""},
	{wueOf, "wue_l_per_kwh", "wue_year", "wue_source", ""},
}

func chosenOf(c *Cloud) *Value     { return &c.Chosen }
func lifecycleOf(c *Cloud) *Value  { return &c.Lifecycle }
func directOf(c *Cloud) *Value     { return &c.Direct }
func publishedOf(c *Cloud) *Value  { return &c.Published }
func carbonFreeOf(c *Cloud) *Value { return &c.CarbonFree }
func marketOf(c *Cloud) *Value     { return &c.Market }
func pueOf(c *Cloud) *Value        { return &c.PUE }
func wueOf(c *Cloud) *Value        { return &c.WUE }

func cloudColumnNamed(name string) *cloudColumn {
	for i := range cloudColumns {
		if cloudColumns[i].name == name {
			return &cloudColumns[i]
		}
	}
	return nil
}

func readProvider(c *Cloud, v string) string {
	if len(v) > maxName || !all(lower(v), func(b byte) bool { return isLower(b) || isDigit(b) || b == '_' || b == '-' }) {
		return "is not a value of cloud.provider: letters, digits and _ only, such as aws, azure, gcp"
	}
	var buf [maxName]byte
	if name, ok := providerAliases[string(fold(&buf, v, " -_"))]; ok {
		c.Provider = name
	} else {
		c.Provider = lower(v)
	}
	return ""
}

func readRegion(c *Cloud, v string) string {
	if len(v) > maxName || !all(lower(v), func(b byte) bool { return isLower(b) || isDigit(b) || b == '-' || b == '_' || b == '.' }) {
		return "is not a value of cloud.region: letters, digits and - only, such as us-east-1, eastus"
	}
	c.Region = lower(v)
	return ""
}

func readCountry(c *Cloud, v string) string {
	if !isCountry(v) {
		return "is not an ISO 3166-1 alpha-2 code in capitals, such as DE"
	}
	c.Country = v
	return ""
}

func readZone(c *Cloud, v string) string {
	if len(v) > maxName || !all(v, func(b byte) bool { return isUpper(b) || isDigit(b) || b == '-' }) {
		return "is not a zone key of Electricity Maps: capitals, digits and - only, such as US-MIDA-PJM"
	}
	c.Zone = v
	return ""
}

func readEGRID(c *Cloud, v string) string {
	if len(v) != 4 || !all(v, isUpper) {
		return "is not an eGRID subregion: four capitals, such as SRVC"
	}
	c.EGRID = v
	return ""
}

func ignored(_ *Cloud, v string) string { return plain(v) }

// plain refuses what a spreadsheet or a careless join leaves behind.
func plain(v string) string {
	if v != strings.TrimSpace(v) {
		return "has spaces around it: remove them"
	}
	if strings.ContainsAny(v, "\r\n") {
		return "has a line end inside: remove it"
	}
	return ""
}

func asText(field func(*Cloud) *string) func(*Cloud, string) string {
	return func(c *Cloud, v string) string {
		*field(c) = v
		return plain(v)
	}
}

func asOneOf(field func(*Cloud) *string, words ...string) func(*Cloud, string) string {
	return func(c *Cloud, v string) string {
		for _, w := range words {
			if v == w {
				*field(c) = w
				return ""
			}
		}
		return "is none of " + strings.Join(words, ", ")
	}
}

func asFigure(lo, hi float64, unit string, field func(*Cloud) *Value) func(*Cloud, string) string {
	return func(c *Cloud, v string) string {
		f, wrong := decimal(v, lo, hi, unit)
		if wrong == "" {
			field(c).V, field(c).OK = f, true
		}
		return wrong
	}
}

func asLocated(limit float64, field func(*Cloud) *float64) func(*Cloud, string) string {
	return func(c *Cloud, v string) string {
		f, wrong := decimal(v, -limit, limit, "degrees")
		*field(c), c.Located = f, wrong == ""
		return wrong
	}
}

func asBound(field func(*Cloud) *float64) func(*Cloud, string) string {
	return func(c *Cloud, v string) string {
		f, wrong := decimal(v, 0, maxIntensity, "g/kWh")
		*field(c), c.HasRange = f, wrong == ""
		return wrong
	}
}

func asYear(field func(*Cloud) *Value) func(*Cloud, string) string {
	return func(c *Cloud, v string) string {
		y, err := strconv.Atoi(v)
		if err != nil || len(v) != 4 || y < 1990 || y > 2099 {
			return "is not a year between 1990 and 2099"
		}
		field(c).Year = y
		return ""
	}
}

func asArea(field func(*Cloud) *Value) func(*Cloud, string) string {
	return func(c *Cloud, v string) string {
		field(c).Area = v
		return plain(v)
	}
}

func asSource(field func(*Cloud) *Value) func(*Cloud, string) string {
	return func(c *Cloud, v string) string {
		field(c).Source = v
		return plain(v)
	}
}

func decimal(v string, lo, hi float64, unit string) (f float64, wrong string) {
	if !isDecimal(v) {
		if strings.Count(v, ",") == 1 && isDecimal(strings.Replace(v, ",", ".", 1)) {
			return 0, "has a decimal comma: write " + strings.Replace(v, ",", ".", 1)
		}
		return 0, fmt.Sprintf("is not a plain decimal number between %g and %g %s", lo, hi, unit)
	}
	f, err := strconv.ParseFloat(v, 64)
	if err != nil || math.IsInf(f, 0) || f < lo || f > hi {
		return 0, fmt.Sprintf("is not between %g and %g %s", lo, hi, unit)
	}
	return f, ""
}
