package tables

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon"
)

const smallHead = "cloud.provider,cloud.region,lifecycle_carbon_intensity_g_per_kwh\n"

func TestUsersTableIsRead(t *testing.T) {
	for _, c := range []struct{ name, text string }{
		{"as little as possible", smallHead + "aws,us-east-1,12.5\n"},
		{"CRLF and byte order mark, as Excel writes it", "\ufeff" + strings.ReplaceAll(smallHead+"aws,us-east-1,12.5\n", "\n", "\r\n")},
		{"no line end at the end", smallHead + "aws,us-east-1,12.5"},
		{"quotes around everything", `"cloud.provider","cloud.region","lifecycle_carbon_intensity_g_per_kwh"` + "\n" + `"aws","us-east-1","12.5"`},
		{"columns in another order", "lifecycle_carbon_intensity_g_per_kwh,cloud.region,cloud.provider\n12.5,us-east-1,aws\n"},
		{"capitals and an alias", smallHead + "Amazon,US-EAST-1,12.5\n"},
		{"empty lines and a spreadsheet's empty rows", smallHead + "\n,,\naws,us-east-1,12.5\n,,\n\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			table, err := ReadClouds("my.csv", strings.NewReader(c.text))
			require.NoError(t, err)
			require.Equal(t, 1, table.Len())
			r := table.Lookup("aws", "us-east-1")
			require.NotNil(t, r)
			require.Equal(t, Value{V: 12.5, OK: true}, r.Lifecycle)
			require.False(t, r.Direct.OK)
			require.Nil(t, table.Lookup("gcp", "us-central1"), "the embedded table is replaced, not extended")
		})
	}
}

func TestUsersTableMayHaveAllColumns(t *testing.T) {
	table, err := ReadClouds("clouds.csv", strings.NewReader(otelcarbon.CloudsCSV()))
	require.NoError(t, err)
	require.Equal(t, Clouds().Len(), table.Len())
	for c := range Clouds().All() {
		require.Equal(t, c, table.Lookup(c.Provider, c.Region))
	}
}

func TestUsersTableMayNameItsOwnProvidersAndZones(t *testing.T) {
	table, err := ReadClouds("my.csv", strings.NewReader("cloud.provider,cloud.region,direct_carbon_intensity_g_per_kwh\n"+
		"acme,berlin.dc_2,0\n"+ // 0 g/kWh is a value
		"aws,us-west-2,80\n"+
		"aws,us-west-2-lax-1,200\n")) // a local zone of its own
	require.NoError(t, err)
	require.Equal(t, Value{OK: true}, table.Lookup("ACME", "Berlin.DC_2").Direct)
	require.Equal(t, "aws us-west-2-lax-1", key(table.LookupZone("aws", "us-west-2-lax-1a")))
	require.Equal(t, "aws us-west-2", key(table.LookupZone("aws", "us-west-2b")))
}

func TestUsersTableErrorsNameThePlaceAndTheRemedy(t *testing.T) {
	row := func(column, cell string) string {
		return "cloud.provider,cloud.region," + columnLifecycle + "," + column + "\naws,us-east-1,12.5," + cell + "\n"
	}
	// In row(…) the fourth cell begins at character 20: "aws,us-east-1,12.5," has 19.
	for _, c := range []struct{ name, text, want string }{
		{"empty file", "", "my.csv:1:1: the table is empty: the first line names the columns, as in clouds.csv"},
		{"only a header", smallHead, "my.csv:1:1: the table has no rows below its header"},
		{"required column missing", "cloud.provider,lifecycle_carbon_intensity_g_per_kwh\naws,1\n", "my.csv:1:1: cloud.region: required column is missing"},
		{"no intensity column", "cloud.provider,cloud.region\naws,us-east-1\n", "my.csv:1:1: lifecycle_carbon_intensity_g_per_kwh: this column or direct_carbon_intensity_g_per_kwh is required"},
		{"column misspelled", row("pue", "1.2"), "my.csv:1:66: pue: unknown column: remove it, or name it as clouds.csv does"},
		{"column nearly right", row("PUE_Ratio", "1.2"), "my.csv:1:66: PUE_Ratio: unknown column: did you mean pue_ratio?"},
		{"column with a space", row(" pue_ratio", "1.2"), "my.csv:1:66:  pue_ratio: unknown column: did you mean pue_ratio?"},
		{"column without a name", row("", ""), "my.csv:1:66: unknown column: every column needs a name"},
		{"column twice", row("cloud.region", "x"), "my.csv:1:66: cloud.region: column appears twice, as number 2 and 4: remove one"},
		{"semicolons", strings.ReplaceAll(smallHead, ",", ";") + "aws;us-east-1;1\n", "my.csv:1:1: columns are separated by semicolons: separate them by commas"},
		{"tabs", strings.ReplaceAll(smallHead, ",", "\t"), "my.csv:1:1: columns are separated by tabs: separate them by commas"},
		{"too few cells", smallHead + "aws,us-east-1\n", "my.csv:2:1: 2 cells, but the header has 3: a comma inside a cell needs quotes around the cell"},
		{"decimal comma without quotes", smallHead + "aws,us-east-1,12,5\n", "my.csv:2:1: 4 cells, but the header has 3: a comma inside a cell needs quotes around the cell"},
		{"decimal comma", smallHead + `aws,us-east-1,"12,5"`, `my.csv:2:15: lifecycle_carbon_intensity_g_per_kwh: "12,5" has a decimal comma: write 12.5`},
		{"thousands", smallHead + `aws,us-east-1,"1,012.5"`, `my.csv:2:15: lifecycle_carbon_intensity_g_per_kwh: "1,012.5" is not a plain decimal number between 0 and 3000 g/kWh`},
		{"unit in the cell", smallHead + "aws,us-east-1,12 g", `my.csv:2:15: lifecycle_carbon_intensity_g_per_kwh: "12 g" is not a plain decimal number between 0 and 3000 g/kWh`},
		{"not a number", smallHead + "aws,us-east-1,NaN", `my.csv:2:15: lifecycle_carbon_intensity_g_per_kwh: "NaN" is not a plain decimal number between 0 and 3000 g/kWh`},
		{"infinite", smallHead + "aws,us-east-1,+Inf", `"+Inf" is not a plain decimal number between 0 and 3000 g/kWh`},
		{"exponent", smallHead + "aws,us-east-1,1e9", `"1e9" is not a plain decimal number between 0 and 3000 g/kWh`},
		{"hexadecimal", smallHead + "aws,us-east-1,0x1p4", `"0x1p4" is not a plain decimal number between 0 and 3000 g/kWh`},
		{"underscore", smallHead + "aws,us-east-1,1_0", `"1_0" is not a plain decimal number between 0 and 3000 g/kWh`},
		{"other digits", smallHead + "aws,us-east-1,१२", `"१२" is not a plain decimal number between 0 and 3000 g/kWh`},
		{"negative", smallHead + "aws,us-east-1,-1", `my.csv:2:15: lifecycle_carbon_intensity_g_per_kwh: "-1" is not between 0 and 3000 g/kWh`},
		{"in kg/MWh of lignite, in g/MJ, in mg", smallHead + "aws,us-east-1,3000.1", `"3000.1" is not between 0 and 3000 g/kWh`},
		{"hundred digits", smallHead + "aws,us-east-1," + strings.Repeat("9", 400), `9…" is not between 0 and 3000 g/kWh`},
		{"space around a number", smallHead + "aws,us-east-1, 12.5", `my.csv:2:15: lifecycle_carbon_intensity_g_per_kwh: " 12.5" is not a plain decimal number`},
		{"no provider", smallHead + ",us-east-1,1", "my.csv:2:1: cloud.provider: empty: every row names its provider and region"},
		{"no region", smallHead + "aws,,1", "my.csv:2:5: cloud.region: empty: every row names its provider and region"},
		{"provider with a space", smallHead + "my cloud,x,1", `my.csv:2:1: cloud.provider: "my cloud" is not a value of cloud.provider: letters, digits and _ only, such as aws, azure, gcp`},
		{"region as displayed", smallHead + "azure,East US,1", `my.csv:2:7: cloud.region: "East US" is not a value of cloud.region: letters, digits and - only, such as us-east-1, eastus`},
		{"column counted in characters", smallHead + "gcp,zürich,x", `my.csv:2:12: lifecycle_carbon_intensity_g_per_kwh: "x" is not`},
		{"region twice", smallHead + "aws,us-east-1,1\naws,us-east-2,1\nAWS,US-East-1,1\n", "my.csv:4:5: cloud.region: aws us-east-1 stands in line 2 already: keep one of the two"},
		{"region twice under an alias", smallHead + "gcp,us-central1,1\ngoogle,us-central1,1\n", "my.csv:3:8: cloud.region: gcp us-central1 stands in line 2 already: keep one of the two"},
		{"country", row("country_code", "de"), `my.csv:2:20: country_code: "de" is not an ISO 3166-1 alpha-2 code in capitals, such as DE`},
		{"country that does not exist", row("country_code", "UK"), `"UK" is not an ISO 3166-1 alpha-2 code in capitals, such as DE`},
		{"subdivision without its country", row("subdivision_code", "US-VA"), `my.csv:2:20: subdivision_code: "US-VA" is not an ISO 3166-2 code of the country "", such as US-VA`},
		{"zone", row("electricity_maps_zone", "Germany"), `my.csv:2:20: electricity_maps_zone: "Germany" is not a zone key of Electricity Maps: capitals, digits and - only, such as US-MIDA-PJM`},
		{"eGRID", row("egrid_subregion", "US-eGRID-SRVC"), `"US-eGRID-SRVC" is not an eGRID subregion: four capitals, such as SRVC`},
		{"status", row("region_status", "open"), `"open" is none of operational, restricted, announced, retired`},
		{"boundary", row("grid_carbon_intensity_boundary", "both"), `"both" is none of lifecycle, direct`},
		{"PUE in percent", row("pue_ratio", "115"), `my.csv:2:20: pue_ratio: "115" is not between 1 and 5 (facility ÷ IT energy)`},
		{"PUE below one", row("pue_ratio", "0.9"), `my.csv:2:20: pue_ratio: "0.9" is not between 1 and 5 (facility ÷ IT energy)`},
		{"WUE", row("wue_l_per_kwh", "-0.1"), `"-0.1" is not between 0 and 100 L/kWh`},
		{"share in percent", row("carbon_free_energy_fraction", "50"), `"50" is not between 0 and 1 (a fraction, not percent)`},
		{"latitude", row("latitude_deg", "90.1"), `"90.1" is not between -90 and 90 degrees`},
		{"latitude alone", row("latitude_deg", "50"), "my.csv:2:20: latitude_deg: is given without longitude_deg"},
		{"maximum alone", row("carbon_intensity_max_g_per_kwh", "50"), "my.csv:2:20: carbon_intensity_max_g_per_kwh: is given without carbon_intensity_min_g_per_kwh"},
		{"minimum above maximum", row("carbon_intensity_min_g_per_kwh,carbon_intensity_max_g_per_kwh", "50,40"), "my.csv:2:20: carbon_intensity_min_g_per_kwh: 50 is above the maximum 40 of the same row"},
		{"year", row("lifecycle_carbon_intensity_year", "25"), `my.csv:2:20: lifecycle_carbon_intensity_year: "25" is not a year between 1990 and 2099`},
		{"year with a sign", row("lifecycle_carbon_intensity_year", "+202"), `"+202" is not a year between 1990 and 2099`},
		{"year of nothing", row("pue_year", "2025"), "my.csv:2:20: pue_year: is given without pue_ratio"},
		{"source of nothing", row("direct_carbon_intensity_source", "me"), "my.csv:2:20: direct_carbon_intensity_source: is given without direct_carbon_intensity_g_per_kwh"},
		{"area of nothing", row("direct_carbon_intensity_area", "DE"), "my.csv:2:20: direct_carbon_intensity_area: is given without direct_carbon_intensity_g_per_kwh"},
		{"chosen without boundary", row("grid_carbon_intensity_g_per_kwh", "5"), "my.csv:2:20: grid_carbon_intensity_g_per_kwh: is given without grid_carbon_intensity_boundary: say lifecycle or direct"},
		{"space around a text", row("notes", " x"), `my.csv:2:20: notes: " x" has spaces around it: remove them`},
		{"line end in a text", row("notes", "\"a\nb\""), `my.csv:2:20: notes: "a\nb" has a line end inside: remove it`},
		{"NUL", smallHead + "aws,us-east-1,\x00", "my.csv:2:15: NUL byte: this is not a text file"},
		{"old Mac line ends", strings.ReplaceAll(smallHead+"aws,us-east-1,1\n", "\n", "\r"), "my.csv:1:65: carriage return inside a line: end lines with LF or CRLF"},
		{"UTF-16", "\xff\xfec\x00l\x00", "my.csv:1:1: the file is UTF-16: save it as UTF-8"},
		{"Latin-1", smallHead + "aws,z\xfcrich,1", "my.csv:2:6: not UTF-8: save the file as UTF-8"},
		{"a picture", "\x89PNG\r\n\x1a\n\x00", "my.csv:1:1: not UTF-8: save the file as UTF-8"},
		{"quote in a cell", smallHead + `aws,us"east,1`, `my.csv:2:7: a " inside a cell that does not begin with one: put the whole cell in quotes and write it as ""`},
		{"quote not closed", smallHead + "aws,\"us-east-1,1\naws,x,1\n", `my.csv:3:9: a quoted cell, opened in line 2, is not closed by a single ": write a " inside it as ""`},
		{"very long line", smallHead + strings.Repeat("x", 1<<20+1), "my.csv:2:1: line of 1048577 bytes: the longest allowed has 1048576"},
		{"long cell is cut", smallHead + "aws,us-east-1," + strings.Repeat("ü", 1000), `"` + strings.Repeat("ü", 30) + `…" is not a plain decimal`},
	} {
		t.Run(c.name, func(t *testing.T) {
			table, err := ReadClouds("my.csv", strings.NewReader(c.text))
			require.Nil(t, table)
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestUsersTableErrorsAreAllNamedUpToTwenty(t *testing.T) {
	var b strings.Builder
	b.WriteString(smallHead)
	for i := range 25 {
		fmt.Fprintf(&b, "aws,r-%d,x\n", i)
	}
	_, err := ReadClouds("my.csv", strings.NewReader(b.String()))
	lines := strings.Split(err.Error(), "\n")
	require.Len(t, lines, 21)
	require.Equal(t, `my.csv:2:9: lifecycle_carbon_intensity_g_per_kwh: "x" is not a plain decimal number between 0 and 3000 g/kWh`, lines[0])
	require.Equal(t, "my.csv: and 5 more", lines[20])

	_, err = ReadClouds("my.csv", strings.NewReader(smallHead+"aws,,x\n,y,1\n"))
	require.Len(t, strings.Split(err.Error(), "\n"), 3, "two mistakes in one row, one in the next")
}

func TestUsersTableIsBounded(t *testing.T) {
	_, err := ReadClouds("my.csv", io.MultiReader(strings.NewReader(smallHead), bytes.NewReader(make([]byte, 17<<20))))
	require.EqualError(t, err, "my.csv: larger than 16 MiB: this is not a table of cloud regions")

	var b strings.Builder
	b.WriteString(smallHead)
	for i := range maxTableRows {
		fmt.Fprintf(&b, "a,%d,1\n", i)
	}
	table, err := ReadClouds("my.csv", strings.NewReader(b.String()))
	require.NoError(t, err)
	require.Equal(t, maxTableRows, table.Len())
	b.WriteString("a,one-more,1\n")
	_, err = ReadClouds("my.csv", strings.NewReader(b.String()))
	require.EqualError(t, err, "my.csv:100002:1: more than 100000 rows: this is not a table of cloud regions")

	broken := errors.New("disk on fire")
	_, err = ReadClouds("my.csv", iotest.ErrReader(broken))
	require.ErrorIs(t, err, broken)
	require.ErrorContains(t, err, "my.csv: ")
}

func FuzzReadClouds(f *testing.F) {
	lines := strings.SplitAfter(otelcarbon.CloudsCSV(), "\r\n")
	f.Add(lines[0] + lines[66] + lines[198] + lines[210])
	f.Add(smallHead + "aws,us-east-1,12.5\nacme,x,0\n")
	f.Add("\ufeff" + smallHead + "aws,us-east-1,\"12,5\"\n")
	f.Add(smallHead + "aws,us-east-1,1\ngcp,\"x\n")
	f.Add("cloud.provider;cloud.region\n")
	f.Add(smallHead + "a,b,1\r\r\n\x00")
	f.Add(smallHead + "é,\xff,1\n")
	f.Fuzz(func(t *testing.T, text string) {
		table, err := ReadClouds("f", strings.NewReader(text))
		if err != nil {
			if n := strings.Count(err.Error(), "\nf:"); table != nil || n > maxProblems {
				t.Errorf("table %v, %d errors: %v", table, n, err)
			}
			return
		}
		if table.Len() == 0 {
			t.Error("an empty table without an error")
		}
		for c := range table.All() {
			if table.Lookup(c.Provider, c.Region) != c || table.LookupZone(c.Provider, c.Region) == nil {
				t.Errorf("%s %s is in the table and not found", c.Provider, c.Region)
			}
			for _, v := range []Value{c.Lifecycle, c.Direct, c.Chosen, c.Published, c.Market} {
				if !(v.V >= 0 && v.V <= maxIntensity) || !v.OK && v != (Value{}) {
					t.Errorf("%s %s: %+v", c.Provider, c.Region, v)
				}
			}
			if c.PUE.OK && !(c.PUE.V >= 1 && c.PUE.V <= 5) {
				t.Errorf("%s %s: PUE %+v", c.Provider, c.Region, c.PUE)
			}
		}
	})
}

func FuzzLookups(f *testing.F) {
	for _, s := range [][2]string{
		{"aws", "us-west-2-lax-1a"}, {"oracle_cloud", "Uocm:PHX-AD-1"}, {"ovh", "GRA11"}, {"azure", "East US"}, {"gcp", "projects/1/zones/us-central1-a"}, {"", "\xff"},
	} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, provider, name string) {
		c := Clouds().LookupZone(provider, name)
		if r := Clouds().Lookup(provider, name); r != nil && c == nil {
			t.Errorf("%q %q is a region and not a zone of it", provider, name)
		}
		Clouds().Nearest(provider, name)
		Grids().Lookup(name, "", len(name))
		_ = Zones().Problem(name)
		GPUs().Lookup(name)
		Instances().Lookup(provider, name)
	})
}
