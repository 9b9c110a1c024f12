package tables

import "slices"

// semanticProviders are the values of cloud.provider in the table: members of the
// semantic conventions, and ovh and digitalocean, which have none.
var semanticProviders = []string{
	"alibaba_cloud", "aws", "azure", "gcp", "hetzner", "ibm_cloud", "oracle_cloud", "scaleway_cloud", "tencent_cloud",
	"digitalocean", "ovh",
}

func (c *checker) checkZones() {
	for _, e := range c.tables["data/zones.csv"].entries {
		e.country("country_code")
		e.oneOf("status", "current", "retired")
		minLon, a := e.number("bbox_min_lon_deg", -180, 180)
		minLat, b := e.number("bbox_min_lat_deg", -90, 90)
		maxLon, x := e.number("bbox_max_lon_deg", -180, 180)
		maxLat, y := e.number("bbox_max_lat_deg", -90, 90)
		switch {
		case a != b || a != x || a != y:
			e.wrong("incomplete bounding box")
		case a && (minLon >= maxLon || minLat >= maxLat):
			e.wrong("empty bounding box")
		}
		_, lon := e.number("centroid_lon_deg", -180, 180)
		_, lat := e.number("centroid_lat_deg", -90, 90)
		if lon != lat {
			e.wrong("incomplete center")
		}
		e.source("source")
	}
}

func (c *checker) checkGrids() {
	type zoneYear struct{ zone, year string }
	preferred := make(map[zoneYear]int)
	latest := make(map[string]int)
	entries := c.tables["data/grids.csv"].entries
	for _, e := range entries {
		if e.country("country_code") == "" {
			e.oneOf("zone_type", "world", "region")
		} else if a3 := e.get("country_code_alpha3"); len(a3) != 3 || !all(a3, isUpper) {
			e.wrong("country_code_alpha3 %q", a3)
		}
		e.subdivision()
		if z := e.get("electricity_maps_zone"); z != "" && c.zones[z] == nil {
			e.wrong("electricity_maps_zone %q is not in data/zones.csv", z)
		}
		if g, ok := e.required("g_per_kwh", 0, 1500); ok && g == 0 {
			e.wrong("zero intensity")
		}
		if e.get("year") == "" {
			e.wrong("year is empty")
		}
		e.year("year")
		e.oneOf("boundary", "lifecycle", "direct")
		e.oneOf("basis", "generation", "consumption")
		e.oneOf("preferred", "0", "1")
		e.oneOf("latest", "0", "1")
		if e.get("preferred") == "1" {
			preferred[zoneYear{e.get("zone"), e.get("year")}]++
		} else if e.get("latest") == "1" {
			e.wrong("latest but not preferred")
		}
		if e.get("latest") == "1" {
			latest[e.get("zone")]++
		}
		e.source("source")
	}
	for i, e := range entries { // at the last row of each group
		last := i == len(entries)-1
		zy := zoneYear{e.get("zone"), e.get("year")}
		if last || entries[i+1].get("zone") != zy.zone || entries[i+1].get("year") != zy.year {
			if n := preferred[zy]; n != 1 {
				e.wrong("%s %s has %d preferred rows instead of 1", zy.zone, zy.year, n)
			}
		}
		if last || entries[i+1].get("zone") != zy.zone {
			if n := latest[zy.zone]; n != 1 {
				e.wrong("%s has %d latest rows instead of 1", zy.zone, n)
			}
		}
	}
}

func (c *checker) checkClouds() {
	for _, e := range c.tables["clouds.csv"].entries {
		if p := e.get("cloud.provider"); !slices.Contains(semanticProviders, p) {
			e.wrong("cloud.provider %q is not a known value", p)
		}
		if r := e.get("cloud.region"); !all(r, func(b byte) bool { return isLower(b) || isDigit(b) || b == '-' }) {
			e.wrong("cloud.region %q is not in lower case letters, digits and -", r)
		}
		e.oneOf("region_status", "operational", "restricted", "announced", "retired")
		e.country("country_code")
		e.subdivision()
		c.checkPlace(e)
		if s := e.get("egrid_subregion"); s != "" && c.gridZones["US-eGRID-"+s] == nil {
			e.wrong("egrid_subregion %q is not in data/grids.csv", s)
		}
		c.checkIntensities(e)
		e.number("carbon_free_energy_fraction", 0, 1)
		e.together("carbon_free_energy_fraction", "carbon_free_energy_year", "carbon_free_energy_source", true)
		e.number("market_based_carbon_intensity_g_per_kwh", 0, 1500)
		e.together("market_based_carbon_intensity_g_per_kwh", "market_based_carbon_intensity_year", "market_based_carbon_intensity_source", true)
		e.number("pue_ratio", 1, 3)
		e.together("pue_ratio", "pue_year", "pue_source", false)
		e.number("wue_l_per_kwh", 0, 10)
		e.together("wue_l_per_kwh", "wue_year", "wue_source", false)
		e.source("region_list_source")
	}
	// The reader of users' tables must accept the table that users start from.
	if _, err := parseClouds("clouds.csv", c.files["clouds.csv"]); err != nil {
		c.errs = append(c.errs, err)
	}
}

// checkPlace checks that coordinates, country and zone agree.
func (c *checker) checkPlace(e *entry) {
	lat, okLat := e.number("latitude_deg", -90, 90)
	lon, okLon := e.number("longitude_deg", -180, 180)
	from := e.get("coordinates_source")
	if okLat != okLon || okLat != (from != "") {
		e.wrong("coordinates incomplete: latitude, longitude and source go together")
	}
	if from != "approx-0.1deg" {
		e.source("coordinates_source")
	}
	key := e.get("electricity_maps_zone")
	if key == "" {
		return
	}
	z := c.zones[key]
	switch {
	case z == nil || z.get("status") != "current":
		e.wrong("electricity_maps_zone %q is not a current zone", key)
	case z.get("country_code") != e.get("country_code"):
		e.wrong("zone %s is not in %s", key, e.get("country_code"))
	case okLat && okLon && z.get("bbox_min_lon_deg") != "":
		box := Box{ // a degree of margin: coasts are simplified in the geometry
			MinLon: z.value("bbox_min_lon_deg") - 1, MinLat: z.value("bbox_min_lat_deg") - 1,
			MaxLon: z.value("bbox_max_lon_deg") + 1, MaxLat: z.value("bbox_max_lat_deg") + 1,
		}
		if !box.contains(lat, lon) {
			e.wrong("coordinates %g, %g are outside the box of %s", lat, lon, key)
		}
	}
}

func (c *checker) checkIntensities(e *entry) {
	for _, p := range []string{"grid_", "lifecycle_", "direct_", "provider_grid_"} {
		p += "carbon_intensity_"
		e.number(p+"g_per_kwh", 0, 1500)
		e.together(p+"g_per_kwh", p+"year", p+"source", true)
	}
	chosen := e.get(columnChosen)
	switch chosen {
	case "":
		if e.get("country_code") != "" {
			e.wrong("no grid intensity")
		}
	case e.get(columnLifecycle), e.get(columnDirect), e.get("provider_grid_carbon_intensity_g_per_kwh"):
	default:
		e.wrong("chosen intensity %s is none of the three candidates", chosen)
	}
	lo, okLo := e.number("carbon_intensity_min_g_per_kwh", 0, 1500)
	hi, okHi := e.number("carbon_intensity_max_g_per_kwh", 0, 1500)
	g := e.value(columnChosen)
	if okLo != okHi {
		e.wrong("range has only one end")
	} else if okLo && (chosen == "" || g < lo || g > hi) {
		e.wrong("range %g..%g does not contain the chosen value %s", lo, hi, chosen)
	}
}
