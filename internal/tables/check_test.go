package tables

import (
	"encoding/csv"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEmbeddedTablesKeepTheRules(t *testing.T) {
	for _, err := range Check() {
		t.Error(err)
	}
}

// Each rule is shown to bite: one cell is changed, and Check names it. Lines and
// the cells that stand there are those of the files; line 2 is the first row.
func TestCheckFindsAWrongCell(t *testing.T) {
	for _, c := range []struct {
		name   string
		file   string
		line   int
		column string
		cell   string
		want   string
	}{
		{"placeholder for unknown", "data/gpus.csv", 2, "idle_w", "N/A", `data/gpus.csv:2: placeholder "N/A" in idle_w: leave the cell empty`},
		{"space around a cell", "data/gpus.csv", 2, "notes", " a", "data/gpus.csv:2: space around notes"},
		{"line end inside a cell", "data/gpus.csv", 2, "notes", "a\nb", "data/gpus.csv:2: line end inside notes"},
		{"repeated key", "data/coefficients.csv", 3, "name", "cpu_max_w_per_vcpu_alibaba_cloud", "data/coefficients.csv:3: repeated key cpu_max_w_per_vcpu_alibaba_cloud, first in line 2"},
		{"row in the wrong place", "data/coefficients.csv", 3, "name", "a", "data/coefficients.csv:3: not sorted by name: belongs further up"},
		{"double quote in a key", "data/cpus.csv", 2, "match_key", `amd "x"`, "data/cpus.csv:2: double quote in the key match_key"},
		{"decimal comma", "data/gpus.csv", 2, "tdp_w", "7,5", `data/gpus.csv:2: tdp_w is not a plain decimal: "7,5"`},
		{"exponent", "data/gpus.csv", 2, "tdp_w", "1e3", `data/gpus.csv:2: tdp_w is not a plain decimal: "1e3"`},

		{"country of a zone", "data/zones.csv", 2, "country_code", "AB", `data/zones.csv:2: country_code "AB" is not an ISO 3166-1 alpha-2 code`},
		{"status of a zone", "data/zones.csv", 2, "status", "old", `data/zones.csv:2: status "old" is none of current, retired`},
		{"half a box", "data/zones.csv", 2, "bbox_max_lat_deg", "", "data/zones.csv:2: incomplete bounding box"},
		{"box turned over", "data/zones.csv", 2, "bbox_max_lat_deg", "1", "data/zones.csv:2: empty bounding box"},
		{"latitude above the pole", "data/zones.csv", 2, "bbox_max_lat_deg", "91", "data/zones.csv:2: bbox_max_lat_deg = 91 is outside -90..90"},
		{"half a center", "data/zones.csv", 2, "centroid_lat_deg", "", "data/zones.csv:2: incomplete center"},
		{"center beyond the date line", "data/zones.csv", 2, "centroid_lon_deg", "181", "data/zones.csv:2: centroid_lon_deg = 181 is outside -180..180"},
		{"unknown source", "data/zones.csv", 2, "source", "me", `data/zones.csv:2: source "me" is not in data/sources.csv`},

		{"country of a grid", "data/grids.csv", 2, "country_code", "XY", `data/grids.csv:2: country_code "XY" is not an ISO 3166-1 alpha-2 code`},
		{"alpha-3 code", "data/grids.csv", 2, "country_code_alpha3", "are", `data/grids.csv:2: country_code_alpha3 "are"`},
		{"grid without a country", "data/grids.csv", 2, "country_code", "", `data/grids.csv:2: zone_type "country" is none of world, region`},
		{"subdivision of another country", "data/grids.csv", 2, "subdivision_code", "DE-BE", `data/grids.csv:2: subdivision_code "DE-BE" is not one of "AE"`},
		{"zone key that does not exist", "data/grids.csv", 2, "electricity_maps_zone", "AE-X", `data/grids.csv:2: electricity_maps_zone "AE-X" is not in data/zones.csv`},
		{"intensity missing", "data/grids.csv", 2, "g_per_kwh", "", "data/grids.csv:2: g_per_kwh is empty"},
		{"intensity zero", "data/grids.csv", 2, "g_per_kwh", "0", "data/grids.csv:2: zero intensity"},
		{"intensity in kg/MWh mistaken for lb", "data/grids.csv", 2, "g_per_kwh", "4711", "data/grids.csv:2: g_per_kwh = 4711 is outside 0..1500"},
		{"year missing", "data/grids.csv", 2, "year", "", "data/grids.csv:2: year is empty"},
		{"year out of range", "data/grids.csv", 2, "year", "1998", `data/grids.csv:2: year = "1998" is not a year from 2010 to 2029`},
		{"boundary", "data/grids.csv", 2, "boundary", "both", `data/grids.csv:2: boundary "both" is none of lifecycle, direct`},
		{"basis", "data/grids.csv", 2, "basis", "sales", `data/grids.csv:2: basis "sales" is none of generation, consumption`},
		{"preferred is a flag", "data/grids.csv", 2, "preferred", "yes", `data/grids.csv:2: preferred "yes" is none of 0, 1`},
		{"latest is a flag", "data/grids.csv", 2, "latest", "", `data/grids.csv:2: latest "" is none of 0, 1`},
		{"no preferred row", "data/grids.csv", 2, "preferred", "0", "data/grids.csv:2: AE 2018 has 0 preferred rows instead of 1"},
		{"two preferred rows", "data/grids.csv", 475, "preferred", "1", "data/grids.csv:475: DE 2022 has 2 preferred rows instead of 1"},
		{"latest without preferred", "data/grids.csv", 475, "latest", "1", "data/grids.csv:475: latest but not preferred"},
		{"two latest rows", "data/grids.csv", 479, "latest", "1", "data/grids.csv:480: DE has 2 latest rows instead of 1"},
		{"source of a grid", "data/grids.csv", 2, "source", "owid", `data/grids.csv:2: source "owid" is not in data/sources.csv`},

		{"provider outside the conventions", "clouds.csv", 2, "cloud.provider", "alibaba", `clouds.csv:2: cloud.provider "alibaba" is not a known value`},
		{"region in capitals", "clouds.csv", 2, "cloud.region", "AP-1", `clouds.csv:2: cloud.region "AP-1" is not in lower case letters, digits and -`},
		{"status of a region", "clouds.csv", 2, "region_status", "", `clouds.csv:2: region_status "" is none of operational, restricted, announced, retired`},
		{"country of a region", "clouds.csv", 2, "country_code", "JA", `clouds.csv:2: country_code "JA" is not an ISO 3166-1 alpha-2 code`},
		{"subdivision of a region", "clouds.csv", 2, "subdivision_code", "JP-1234", `clouds.csv:2: subdivision_code "JP-1234" is not one of "JP"`},
		{"half a position", "clouds.csv", 2, "latitude_deg", "", "clouds.csv:2: coordinates incomplete: latitude, longitude and source go together"},
		{"position without source", "clouds.csv", 2, "coordinates_source", "", "clouds.csv:2: coordinates incomplete: latitude, longitude and source go together"},
		{"position in another country", "clouds.csv", 67, "latitude_deg", "19.0437", "clouds.csv:67: coordinates 19.0437, -77.4875 are outside the box of US-MIDA-PJM"},
		{"unknown zone", "clouds.csv", 2, "electricity_maps_zone", "JP-XX", `clouds.csv:2: electricity_maps_zone "JP-XX" is not a current zone`},
		{"retired zone", "clouds.csv", 2, "electricity_maps_zone", "IN-KA", `clouds.csv:2: electricity_maps_zone "IN-KA" is not a current zone`},
		{"zone of another country", "clouds.csv", 2, "electricity_maps_zone", "KR", "clouds.csv:2: zone KR is not in JP"},
		{"eGRID subregion", "clouds.csv", 67, "egrid_subregion", "SRVX", `clouds.csv:67: egrid_subregion "SRVX" is not in data/grids.csv`},
		{"figure without source", "clouds.csv", 2, "lifecycle_carbon_intensity_source", "", "clouds.csv:2: lifecycle_carbon_intensity_g_per_kwh and lifecycle_carbon_intensity_source must be given together"},
		{"figure without year", "clouds.csv", 2, "direct_carbon_intensity_year", "", "clouds.csv:2: direct_carbon_intensity_g_per_kwh without direct_carbon_intensity_year"},
		{"year without figure", "clouds.csv", 2, "provider_grid_carbon_intensity_year", "2024", "clouds.csv:2: provider_grid_carbon_intensity_year without provider_grid_carbon_intensity_g_per_kwh"},
		{"year of a figure", "clouds.csv", 2, "lifecycle_carbon_intensity_year", "25", `clouds.csv:2: lifecycle_carbon_intensity_year = "25" is not a year from 2010 to 2029`},
		{"intensity of a region", "clouds.csv", 2, "lifecycle_carbon_intensity_g_per_kwh", "-1", "clouds.csv:2: lifecycle_carbon_intensity_g_per_kwh = -1 is outside 0..1500"},
		{"nothing chosen", "clouds.csv", 2, "grid_carbon_intensity_g_per_kwh", "", "clouds.csv:2: no grid intensity"},
		{"chosen from nowhere", "clouds.csv", 2, "grid_carbon_intensity_g_per_kwh", "460", "clouds.csv:2: chosen intensity 460 is none of the three candidates"},
		{"range beside the value", "clouds.csv", 2, "carbon_intensity_min_g_per_kwh", "477.5", "clouds.csv:2: range 477.5..477.37 does not contain the chosen value 477.37"},
		{"half a range", "clouds.csv", 2, "carbon_intensity_max_g_per_kwh", "", "clouds.csv:2: range has only one end"},
		{"carbon-free share in percent", "clouds.csv", 67, "carbon_free_energy_fraction", "100", "clouds.csv:67: carbon_free_energy_fraction = 100 is outside 0..1"},
		{"carbon-free share without year", "clouds.csv", 67, "carbon_free_energy_year", "", "clouds.csv:67: carbon_free_energy_fraction without carbon_free_energy_year"},
		{"market-based claim", "clouds.csv", 67, "market_based_carbon_intensity_g_per_kwh", "1501", "clouds.csv:67: market_based_carbon_intensity_g_per_kwh = 1501 is outside 0..1500"},
		{"market-based claim without source", "clouds.csv", 67, "market_based_carbon_intensity_source", "", "clouds.csv:67: market_based_carbon_intensity_g_per_kwh and market_based_carbon_intensity_source must be given together"},
		{"PUE below one", "clouds.csv", 67, "pue_ratio", "0.9", "clouds.csv:67: pue_ratio = 0.9 is outside 1..3"},
		{"PUE without source", "clouds.csv", 67, "pue_source", "", "clouds.csv:67: pue_ratio and pue_source must be given together"},
		{"WUE", "clouds.csv", 67, "wue_l_per_kwh", "11", "clouds.csv:67: wue_l_per_kwh = 11 is outside 0..10"},
		{"WUE year without WUE", "clouds.csv", 67, "wue_l_per_kwh", "", "clouds.csv:67: wue_year without wue_l_per_kwh"},
		{"source of the region list", "clouds.csv", 67, "region_list_source", "boto", `clouds.csv:67: region_list_source "boto" is not in data/sources.csv`},
		{"what a user's table may not have either", "clouds.csv", 67, "grid_carbon_intensity_boundary", "stack", `"stack" is none of lifecycle, direct`},

		{"TDP missing", "data/cpus.csv", 2, "tdp_w", "", "data/cpus.csv:2: tdp_w is empty"},
		{"TDP in milliwatts", "data/cpus.csv", 2, "tdp_w", "6000", "data/cpus.csv:2: tdp_w = 6000 is outside 0.1..600"},
		{"cores", "data/cpus.csv", 2, "cores", "0", "data/cpus.csv:2: cores = 0 is outside 1..1024"},
		{"threads", "data/cpus.csv", 2, "threads", "4096", "data/cpus.csv:2: threads = 4096 is outside 1..2048"},
		{"launch date", "data/cpus.csv", 2, "launched", "2021-Q5", `data/cpus.csv:2: launched "2021-Q5" is not 2019, 2019-Q3 or 2019-08-07`},
		{"key in capitals", "data/cpus.csv", 2, "match_key", "AMD 3015ce", `data/cpus.csv:2: match_key "AMD 3015ce" is not in lower case`},
		{"key of another name", "data/cpus.csv", 2, "model_name", "AMD 3016Ce", `data/cpus.csv:2: match_key "amd 3015ce" is not the one of "AMD 3016Ce": "amd 3016ce"`},
		{"family of a processor", "data/cpus.csv", 2, "microarchitecture", "Zen", `data/cpus.csv:2: microarchitecture "Zen" is not in data/microarchitectures.csv`},
		{"second source of two", "data/cpus.csv", 2, "source", "amd-specs+x", `data/cpus.csv:2: source "x" is not in data/sources.csv`},
		{"idle above full load", "data/microarchitectures.csv", 2, "min_w_per_vcpu", "2.7", "data/microarchitectures.csv:2: min is not below max"},
		{"watts per thread", "data/microarchitectures.csv", 2, "max_w_per_vcpu", "260", "data/microarchitectures.csv:2: max_w_per_vcpu = 260 is outside 0.01..30"},
		{"family of two vendors", "data/microarchitectures.csv", 12, "microarchitecture", "Graviton4", `data/microarchitectures.csv:12: microarchitecture "Graviton4" is also one of AWS: look-ups go by the name alone`},

		{"idle of a card", "data/gpus.csv", 10, "idle_w", "251", "data/gpus.csv:10: idle is not below TDP"},
		{"idle without source", "data/gpus.csv", 10, "idle_source", "", "data/gpus.csv:10: idle_w and idle_source must be given together"},
		{"memory in bytes", "data/gpus.csv", 10, "memory_gb", "42949672960", "data/gpus.csv:10: memory_gb = 42949672960 is outside 1..1024"},
		{"embodied of a card in tonnes", "data/gpus.csv", 10, "embodied_kgco2e", "0.1276", "data/gpus.csv:10: embodied_kgco2e = 0.1276 is outside 1..5000"},

		{"no vCPUs", "data/instances.csv", 2, "vcpus", "", "data/instances.csv:2: vcpus is empty"},
		{"memory of an instance", "data/instances.csv", 2, "memory_gb", "65536", "data/instances.csv:2: memory_gb = 65536 is outside 0.1..40000"},
		{"curve with a hole", "data/instances.csv", 2, "power_50pct_w", "", "data/instances.csv:2: incomplete power curve"},
		{"curve that falls", "data/instances.csv", 2, "power_50pct_w", "15.1", "data/instances.csv:2: power does not rise with load"},
		{"curve without method", "data/instances.csv", 2, "power_method", "", "data/instances.csv:2: power and power_method must be given together"},
		{"embodied of a server in tonnes", "data/instances.csv", 2, "server_embodied_kgco2e", "1.02", "data/instances.csv:2: server_embodied_kgco2e = 1.02 is outside 100..60000"},
		{"embodied share", "data/instances.csv", 2, "embodied_g_per_h", "14586", "data/instances.csv:2: embodied_g_per_h = 14586 is outside 0..5000"},
		{"embodied share that is not one", "data/instances.csv", 2, "embodied_g_per_h", "29.1727", "data/instances.csv:2: embodied_g_per_h = 29.1727 is not the share of 1022.21 kg: 14.5863"},
		{"embodied share without lifetime", "data/instances.csv", 2, "embodied_lifetime_years", "", "data/instances.csv:2: embodied_g_per_h without embodied_lifetime_years and embodied_source"},
		{"one family of several", "data/instances.csv", 1465, "microarchitecture", "Haswell;Skylark", `data/instances.csv:1465: microarchitecture "Skylark" is not in data/microarchitectures.csv`},
		{"source of a curve", "data/instances.csv", 2, "power_source", "teads", `data/instances.csv:2: power_source "teads" is not in data/sources.csv`},
		{"source of a share", "data/instances.csv", 2, "embodied_source", "ccf", `data/instances.csv:2: embodied_source "ccf" is not in data/sources.csv`},

		{"embodied constant that look-ups need", "data/embodied.csv", 2, "variant", "another socket", "data/embodied.csv:1: no row cpu, additional socket with a lifetime: look-ups need it"},
		{"embodied constant without lifetime", "data/embodied.csv", 2, "lifetime_years", "", "data/embodied.csv:1: no row cpu, additional socket with a lifetime: look-ups need it"},
		{"embodied factor", "data/embodied.csv", 2, "value", "", "data/embodied.csv:2: value is empty"},
		{"coefficient", "data/coefficients.csv", 2, "value", "-3.5", "data/coefficients.csv:2: value = -3.5 is outside 0..1e+06"},
		{"coefficient without unit", "data/coefficients.csv", 2, "unit", "", "data/coefficients.csv:2: unit is empty"},
		{"source that nothing uses", "data/sources.csv", 2, "source", "aaa", "data/sources.csv:2: source aaa is not used"},
		{"source without attribution", "data/sources.csv", 2, "source", "aaa", "data/sources.csv:2: source aaa is not named in NOTICE"},
		{"source without license", "data/sources.csv", 2, "source", "aaa", "data/sources.csv:2: source aaa is not named in data/LICENCES.md"},
	} {
		t.Run(c.name, func(t *testing.T) {
			files := shortened(c.file)
			files[c.file] = withCell(t, files[c.file], c.line, c.column, c.cell)
			requireError(t, check(files), c.want)
		})
	}
}

// What is wrong with a file as a whole.
func TestCheckFindsAWrongFile(t *testing.T) {
	replace := func(old, with string) func(*testing.T, string) string {
		return func(t *testing.T, text string) string {
			t.Helper()
			require.Contains(t, text, old)
			return strings.Replace(text, old, with, 1)
		}
	}
	for _, c := range []struct {
		name string
		file string
		edit func(*testing.T, string) string
		want string
	}{
		{"byte order mark", "data/gpus.csv", replace("model,", "\ufeffmodel,"), "data/gpus.csv:1: byte order mark"},
		{"unix line end", "data/gpus.csv", replace("notes\r\n", "notes\n"), "data/gpus.csv:1: line does not end with CRLF"},
		{"no line end at the end", "data/gpus.csv", func(_ *testing.T, s string) string { return strings.TrimSuffix(s, "\r\n") }, "data/gpus.csv:54: line does not end with CRLF"},
		{"carriage return in a line", "data/gpus.csv", replace("MI300X,AMD", "MI300X\r,AMD"), "data/gpus.csv:2: carriage return inside the line"},
		{"Latin-1", "data/gpus.csv", replace("AMD", "AM\xe4"), "data/gpus.csv:2: not UTF-8"},
		{"ragged row", "data/gpus.csv", replace("750,", "750,,"), "data/gpus.csv:2: 12 cells, header has 11"},
		{"column twice", "data/gpus.csv", replace("vendor", "model"), "data/gpus.csv:1: column model appears twice"},
		{"column gone", "data/gpus.csv", replace("tdp_w", "watts"), "data/gpus.csv:1: no column tdp_w"},
		{"open quote", "data/gpus.csv", replace("750,", `"750,`), "data/gpus.csv:7: extraneous or missing \" in quoted-field"},
		{"no rows", "data/gpus.csv", func(_ *testing.T, s string) string { return s[:strings.Index(s, "\r\n")+2] }, "data/gpus.csv:1: no rows"},
		{"empty file", "data/gpus.csv", func(*testing.T, string) string { return "" }, "data/gpus.csv:1: no header: EOF"},
		{"path of somebody's machine", "data/PROVENANCE.md", replace("# Provenance", "# /home/me/Provenance"), "data/PROVENANCE.md:1: absolute path of a machine (/home/)"},
		{"attribution gone", "NOTICE", replace("falk-2025", "falk"), "data/sources.csv:19: source falk-2025 is not named in NOTICE"},
		{"too large", "data/PROVENANCE.md", func(*testing.T, string) string { return strings.Repeat("x\n", 4<<20) }, "more than 8 MiB"},
	} {
		t.Run(c.name, func(t *testing.T) {
			files := shortened(c.file)
			files[c.file] = c.edit(t, files[c.file])
			requireError(t, check(files), c.want)
		})
	}
}

func TestCheckSurvivesMissingFiles(t *testing.T) {
	require.NotEmpty(t, check(nil))
	for file := range embedded() {
		files := shortened(file)
		delete(files, file)
		require.NotPanics(t, func() { check(files) }, file)
	}
}

func TestNameIsAWord(t *testing.T) {
	require.True(t, names("a, ccf-2024\n", "ccf-2024"))
	require.False(t, names("ccf-2024-x", "ccf-2024"))
	require.False(t, names("xccf-2024", "ccf-2024"))
	require.True(t, names("ccf-2024-x ccf-2024", "ccf-2024"))
	require.False(t, names("", "ccf-2024"))
	require.False(t, names("x", ""))
}

// shortened returns the files with the largest tables cut to a few rows, unless
// the test is about them: the rules see one row at a time.
func shortened(except string) map[string]string {
	files := embedded()
	for _, file := range []string{"clouds.csv", "data/cpus.csv", "data/grids.csv", "data/instances.csv"} {
		if file != except && (file != "data/grids.csv" || except != "clouds.csv") {
			files[file] = strings.Join(strings.SplitAfterN(files[file], "\r\n", 6)[:5], "")
		}
	}
	return files
}

func requireError(t *testing.T, errs []error, want string) {
	t.Helper()
	var got []string
	for _, err := range errs {
		if strings.Contains(err.Error(), want) {
			return
		}
		got = append(got, err.Error())
	}
	require.Failf(t, "rule does not bite", "want %q\ngot %q", want, got[:min(len(got), 5)])
}

// withCell returns a table with one cell changed; the row keeps its line.
func withCell(t *testing.T, text string, line int, column, cell string) string {
	t.Helper()
	lines := strings.SplitAfter(text, "\r\n")
	head, err := csv.NewReader(strings.NewReader(lines[0])).Read()
	require.NoError(t, err)
	i := slices.Index(head, column)
	require.GreaterOrEqual(t, i, 0, "no column %s", column)
	cells, err := csv.NewReader(strings.NewReader(lines[line-1])).Read()
	require.NoError(t, err)
	require.NotEqual(t, cell, cells[i], "the cell is like that already")
	cells[i] = cell
	for j, v := range cells {
		if strings.ContainsAny(v, ",\"\n") {
			cells[j] = `"` + strings.ReplaceAll(v, `"`, `""`) + `"`
		}
	}
	lines[line-1] = strings.Join(cells, ",") + "\r\n"
	return strings.Join(lines, "")
}
