package carbonprocessor

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/processor/processortest"

	"github.com/otelcarbon/otelcarbon/processor/carbonprocessor/internal/metadata"
)

// One kWh in an hour of 2025 gives PUE × intensity grams. Figures are copied by
// hand from clouds.csv (lifecycle, pue_ratio) and from the rows of grids.csv for
// 2025: FR 41.45, DE 329.65; the world's newest is 2024: 473.01.
func TestPlaceOfAResource(t *testing.T) {
	const fr, de, world = 41.45, 329.65, 473.01
	paris := map[string]any{"cloud.provider": "aws", "cloud.region": "eu-west-3"} // 41.45, PUE 1.35
	with := func(base map[string]any, more ...any) map[string]any {
		all := maps.Clone(base)
		for i := 0; i < len(more); i += 2 {
			all[more[i].(string)] = more[i+1]
		}
		return all
	}
	for _, tc := range []struct {
		name         string
		edit         func(*Config)
		resource     map[string]any
		grams        float64
		zone, source string
		boundary     string // lifecycle where left out
		unknown      int64
		warning      string
	}{
		{name: "nothing is known", grams: world, zone: "WORLD", source: "world_average"},
		{name: "a cloud region", resource: paris, grams: 1.35 * fr, zone: "FR", source: "clouds_csv"},
		{
			name:     "an availability zone without its region",
			resource: map[string]any{"cloud.provider": "aws", "cloud.availability_zone": "eu-west-3a"},
			grams:    1.35 * fr, zone: "FR", source: "clouds_csv",
		},
		{
			name:     "only direct figures exist in Quebec, and the label says so",
			resource: map[string]any{"cloud.provider": "aws", "cloud.region": "ca-central-1"},
			grams:    1.19 * 1.7, zone: "CA-QC", source: "clouds_csv", boundary: "direct",
		},
		{
			name:     "only direct figures exist in New South Wales, too",
			resource: map[string]any{"cloud.provider": "aws", "cloud.region": "ap-southeast-2"},
			grams:    1.14 * 660, zone: "AU-NSW", source: "clouds_csv", boundary: "direct",
		},
		{name: "a country", resource: map[string]any{"geo.country.iso_code": "DE"}, grams: de, zone: "DE", source: "grids_csv"},
		{
			name:     "a subdivision without figures of its own",
			resource: map[string]any{"geo.region.iso_code": "DE-BY"}, grams: de, zone: "DE", source: "grids_csv",
		},
		{
			name:     "a position",
			resource: map[string]any{"geo.location.lat": 46.6, "geo.location.lon": 2.4}, grams: fr, zone: "FR", source: "grids_csv",
		},
		{
			name:     "a zone of the resource goes before its cloud region, whose PUE is that of another country",
			resource: with(paris, "carbon.grid.zone", "DE"), grams: de, zone: "DE", source: "grids_csv",
		},
		{
			name:     "a zone of the resource in the country of its cloud region keeps the PUE",
			resource: with(paris, "carbon.grid.zone", "FR"), grams: 1.35 * fr, zone: "FR", source: "grids_csv",
		},
		{
			name: "the zone of the configuration goes before everything", edit: func(c *Config) { c.Location.Zone = "FR" },
			resource: map[string]any{"carbon.grid.zone": "DE"}, grams: fr, zone: "FR", source: "grids_csv",
		},
		{
			name: "the default goes after everything", edit: func(c *Config) { c.Location.Default = "FR" },
			resource: map[string]any{"geo.country.iso_code": "DE"}, grams: de, zone: "DE", source: "grids_csv",
		},
		{
			name: "the default is for those that say nothing", edit: func(c *Config) { c.Location.Default = "FR" },
			resource: map[string]any{"host.id": "x"}, grams: fr, zone: "FR", source: "grids_csv",
		},
		{
			name: "the default may be a cloud region, with its PUE", edit: func(c *Config) { c.Location.Default = "aws:eu-west-3" },
			grams: 1.35 * fr, zone: "FR", source: "clouds_csv",
		},
		{
			name: "a configured PUE goes before the table's", edit: func(c *Config) { c.PUE = 2 },
			resource: paris, grams: 2 * fr, zone: "FR", source: "clouds_csv",
		},
		{
			name: "an unknown region leads to the default", edit: func(c *Config) { c.Location.Default = "DE" },
			resource: map[string]any{"cloud.provider": "aws", "cloud.region": "mars-north-1"},
			grams:    de, zone: "DE", source: "grids_csv", unknown: 1, warning: "mars-north-1",
		},
		{
			name:     "an unknown region leads to the country",
			resource: map[string]any{"cloud.provider": "aws", "cloud.region": "mars-north-1", "geo.country.iso_code": "FR"},
			grams:    fr, zone: "FR", source: "grids_csv", unknown: 1, warning: "mars-north-1",
		},
		{
			name:     "an unknown zone leads to the cloud region",
			resource: with(paris, "carbon.grid.zone", "ATLANTIS"),
			grams:    1.35 * fr, zone: "FR", source: "clouds_csv", unknown: 1, warning: "ATLANTIS",
		},
		{
			name:     "a provider alone says nothing about the place",
			resource: map[string]any{"cloud.provider": "aws"}, grams: world, zone: "WORLD", source: "world_average",
		},
		{
			name:     "words that are no words are unknown",
			resource: map[string]any{"geo.country.iso_code": strings.Repeat("X", 10_000)},
			grams:    world, zone: "WORLD", source: "world_average", unknown: 1, warning: "XXX",
		},
		{
			name: "a lifecycle value of Quebec does not exist: that of Canada stands in", edit: func(c *Config) { c.Boundary = "lifecycle" },
			resource: map[string]any{"cloud.provider": "aws", "cloud.region": "ca-central-1"},
			grams:    1.19 * 190.73, zone: "CA", source: "grids_csv",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRig(t, func(c *Config) {
				c.Providers = nil
				if tc.edit != nil {
					tc.edit(c)
				}
			})
			for range 2 { // what is unknown is counted and warned about once
				i := in{resource: tc.resource, temporality: delta}
				out := r.send(energy(t, i, func(dp pmetric.NumberDataPoint) {
					dp.SetStartTimestamp(1_750_000_000_000_000_000) // in June 2025
					dp.SetTimestamp(dp.StartTimestamp() + 3_600_000_000_000)
					dp.SetDoubleValue(3.6e6)
				}))
				if got := found(out, "carbon.host.emissions"); len(got) > 0 {
					require.Len(t, got, 1)
					assert.InEpsilon(t, tc.grams, got[0].DoubleValue(), 1e-9)
					assert.Equal(t, tc.zone, str(got[0], "carbon.grid.zone"))
					assert.Equal(t, tc.source, str(got[0], "carbon.grid.source"))
					want := tc.boundary
					if want == "" {
						want = "lifecycle"
					}
					assert.Equal(t, want, str(got[0], "carbon.grid.boundary"))
				}
			}
			assert.Equal(t, int64(1), r.total("otelcol_processor_carbon_points_converted"))
			assert.Equal(t, tc.unknown, r.total("otelcol_processor_carbon_places_unknown"))
			if tc.warning == "" {
				assert.Zero(t, r.logs.Len(), "%v", r.logs.All())
				return
			}
			require.Equal(t, 1, r.logs.Len(), "%v", r.logs.All())
			assert.Contains(t, r.logs.All()[0].ContextMap()["error"], tc.warning)
		})
	}
}

func TestAPlaceWithoutAValueOfTheWantedBoundaryHasNoPrice(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Providers, c.Boundary = nil, "direct" })
	i := in{resource: map[string]any{"geo.country.iso_code": "FR"}, temporality: delta}
	out := r.send(energy(t, i, func(dp pmetric.NumberDataPoint) { r.fill(dp, point{0, 10, 1000.0}) }))
	assert.Empty(t, found(out, "carbon.host.emissions"))
	assert.Equal(t, map[string]int64{"no_intensity": 1}, r.dropped())
	assert.Equal(t, 1, r.logs.Len(), "a person can do something about it")
}

func TestWarningsAboutPlacesAreBounded(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Providers = nil })
	for i := range maxWarnings + 100 {
		name := "region-" + strings.Repeat("x", i%50) + string(rune('a'+i%26)) + strings.Repeat("y", i/50)
		resource := map[string]any{"cloud.provider": "aws", "cloud.region": name}
		r.send(energy(t, in{resource: resource, temporality: delta}, func(dp pmetric.NumberDataPoint) { r.fill(dp, point{0, 10, 1.0}) }))
	}
	assert.LessOrEqual(t, r.logs.Len(), maxWarnings+1)
	assert.Greater(t, r.total("otelcol_processor_carbon_places_unknown"), int64(maxWarnings))
}

// A static provider reports whatever zone it is asked for, and resources may ask
// for anything.
func TestInventedZonesDoNotFillTheMemory(t *testing.T) {
	r := newRig(t, nil)
	md := pmetric.NewMetrics()
	for i := range 3 * maxLabels {
		zone := "DE-" + strings.Repeat("z", i%200) + strings.Repeat("q", i/200) // leads to Germany, whatever follows
		e := energy(t, in{resource: map[string]any{"carbon.grid.zone": zone}, temporality: delta}, func(dp pmetric.NumberDataPoint) { r.fill(dp, point{0, 10, 1.0}) })
		e.ResourceMetrics().MoveAndAppendTo(md.ResourceMetrics())
		if md.ResourceMetrics().Len() == 1000 {
			_, err := r.p.processMetrics(t.Context(), md)
			require.NoError(t, err)
			md = pmetric.NewMetrics()
		}
	}
	assert.Greater(t, len(r.p.prices.labels), 100, "otherwise this test tests nothing")
	assert.LessOrEqual(t, len(r.p.prices.labels), maxLabels+1000)
	assert.LessOrEqual(t, len(r.p.prices.gauges), maxLabels+1000)
	assert.LessOrEqual(t, r.p.places.known.Len(), maxPlaces)
	assert.LessOrEqual(t, r.p.places.resources.Len(), maxResources)
}

func TestAWrongLocationIsRefusedAtStart(t *testing.T) {
	table := filepath.Join(t.TempDir(), "clouds.csv")
	require.NoError(t, os.WriteFile(table, []byte("cloud.provider,cloud.region,lifecycle_carbon_intensity_g_per_kwh\nacme,basement,lots\n"), 0o600))
	for _, tc := range []struct {
		name string
		edit func(*Config)
		want []string
	}{
		{"a zone that does not exist", func(c *Config) { c.Location.Zone = "FRR" }, []string{"location::zone", "FRR", "FR?"}},
		{"a retired zone", func(c *Config) { c.Location.Zone = "IN-KA" }, []string{"location::zone", "IN-KA", "retired"}},
		{"a default that does not exist", func(c *Config) { c.Location.Default = "US-MIDA-PJN" }, []string{"location::default", "US-MIDA-PJM"}},
		{"a region that does not exist", func(c *Config) { c.Location.Default = "aws:eu-west-33" }, []string{"location::default", "eu-west-3"}},
		{
			"a zone without a value of the wanted boundary",
			func(c *Config) { c.Location.Zone, c.Boundary = "FR", "direct" },
			[]string{"location::zone", "FR", "direct"},
		},
		{"a table that is not there", func(c *Config) { c.CloudsFile = "/does/not/exist.csv" }, []string{"clouds_file", "/does/not/exist.csv"}},
		{"a mistake in a table", func(c *Config) { c.CloudsFile = table }, []string{"clouds_file", table + ":2:", "lots"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := createDefaultConfig().(*Config)
			tc.edit(cfg)
			require.NoError(t, cfg.Validate())
			p := newProcessor(t, cfg, processortest.NewNopSettings(metadata.Type))
			err := p.start(t.Context(), componenttest.NewNopHost())
			require.Error(t, err)
			for _, w := range tc.want {
				require.ErrorContains(t, err, w)
			}
			require.NoError(t, p.shutdown(t.Context()))
		})
	}
}

func TestATableOfOnesOwnReplacesTheEmbeddedOne(t *testing.T) {
	table := filepath.Join(t.TempDir(), "clouds.csv")
	require.NoError(t, os.WriteFile(table, []byte("cloud.provider,cloud.region,lifecycle_carbon_intensity_g_per_kwh,pue_ratio,country_code\nacme,basement,100,1.5,FR\n"), 0o600))
	r := newRig(t, func(c *Config) { c.Providers, c.CloudsFile = nil, table })
	i := in{resource: map[string]any{"cloud.provider": "acme", "cloud.region": "basement"}, temporality: delta}
	out := r.send(energy(t, i, func(dp pmetric.NumberDataPoint) { r.fill(dp, point{0, 10, 3.6e6}) }))
	require.Len(t, found(out, "carbon.host.emissions"), 1)
	assert.InEpsilon(t, 150, found(out, "carbon.host.emissions")[0].DoubleValue(), 1e-12)
}
