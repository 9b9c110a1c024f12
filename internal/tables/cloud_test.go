package tables

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Values copied by hand from clouds.csv, two regions for the large providers, one
// for each of the others.
func TestRegionsHaveTheValuesOfTheFile(t *testing.T) {
	type want struct {
		line                                  int
		zone, country, subdivision, egrid     string
		lifecycle, direct, pue, wue           float64 // 0: unknown
		lifecycleYear, directYear             int
		lifecycleArea, directArea, boundary   string
		lifecycleSource, directSource, pueSrc string
	}
	for _, c := range []struct {
		provider, region string
		want             want
	}{
		{"aws", "us-east-1", want{67, "US-MIDA-PJM", "US", "US-VA", "SRVC", 327.17, 270.49, 1.15, 0.06, 2025, 2023, "US-VA", "US-eGRID-SRVC", "direct", "ember-2026", "epa-egrid", "aws-pue"}},
		{"aws", "eu-central-1", want{53, "DE", "DE", "DE-HE", "", 329.65, 275.82, 1.24, 0.17, 2025, 2024, "DE", "DE (gcp europe-west10)", "lifecycle", "ember-2026", "google-rci", "aws-pue"}},
		{"aws", "ca-central-1", want{49, "CA-QC", "CA", "CA-QC", "", 0, 1.7, 1.19, 0.06, 0, 2022, "", "CA-QC", "direct", "", "eccc-nir-2024", "aws-pue"}},
		{"azure", "eastus", want{94, "US-MIDA-PJM", "US", "US-VA", "SRVC", 327.17, 270.49, 1.14, 0.17, 2025, 2023, "US-VA", "US-eGRID-SRVC", "direct", "ember-2026", "epa-egrid", "gsf-rtc"}},
		{"azure", "swedencentral", want{129, "SE-SE3", "SE", "SE-X", "", 35.35, 2.73, 1.16, 0.16, 2025, 2024, "SE", "SE-SE3 (gcp europe-north2)", "lifecycle", "ember-2026", "google-rci", "gsf-rtc"}},
		{"gcp", "us-central1", want{198, "US-MIDW-MISO", "US", "US-IA", "MROW", 275.36, 420.28, 1.1, 0, 2025, 2023, "US-IA", "US-eGRID-MROW", "direct", "ember-2026", "epa-egrid", "gsf-rtc"}},
		{"gcp", "europe-west1", want{181, "BE", "BE", "BE-WHT", "", 109.3, 103.37, 1.09, 0, 2025, 2024, "BE", "BE (gcp europe-west1)", "direct", "ember-2026", "google-rci", "gsf-rtc"}},
		{"oracle_cloud", "us-ashburn-1", want{277, "US-MIDA-PJM", "US", "US-VA", "SRVC", 327.17, 270.49, 0, 0, 2025, 2023, "US-VA", "US-eGRID-SRVC", "direct", "ember-2026", "epa-egrid", ""}},
		{"alibaba_cloud", "cn-hangzhou", want{15, "CN", "CN", "CN-ZJ", "", 526.19, 0, 0, 0, 2025, 0, "CN", "", "lifecycle", "ember-2026", "", ""}},
		{"tencent_cloud", "ap-guangzhou", want{310, "CN", "CN", "CN-GD", "", 526.19, 0, 0, 0, 2025, 0, "CN", "", "lifecycle", "ember-2026", "", ""}},
		{"ibm_cloud", "us-south", want{230, "US-TEX-ERCO", "US", "US-TX", "ERCT", 342.52, 334.13, 0, 0, 2025, 2023, "US-TX", "US-eGRID-ERCT", "direct", "ember-2026", "epa-egrid", ""}},
		{"hetzner", "fsn1", want{212, "DE", "DE", "DE-SN", "", 329.65, 275.82, 0, 0, 2025, 2024, "DE", "DE (gcp europe-west10)", "lifecycle", "ember-2026", "google-rci", ""}},
		{"scaleway_cloud", "fr-par", want{302, "FR", "FR", "FR-IDF", "", 41.45, 16.3, 0, 0, 2025, 2024, "FR", "FR (gcp europe-west9)", "lifecycle", "ember-2026", "google-rci", ""}},
		{"ovh", "gra", want{294, "FR", "FR", "FR-HDF", "", 41.45, 16.3, 0, 0, 2025, 2024, "FR", "FR (gcp europe-west9)", "lifecycle", "ember-2026", "google-rci", ""}},
		{"digitalocean", "nyc3", want{157, "US-NY-NYIS", "US", "", "", 383.55, 349.67, 0, 0, 2024, 2023, "US", "US", "lifecycle", "owid-ember-2025", "epa-egrid", ""}},
		{"hetzner", "eu-central", want{line: 211}},
	} {
		t.Run(c.provider+" "+c.region, func(t *testing.T) {
			r := Clouds().Lookup(c.provider, c.region)
			require.NotNil(t, r)
			require.Equal(t, c.provider, r.Provider)
			require.Equal(t, c.region, r.Region)
			require.Equal(t, c.want, want{
				r.Line, r.Zone, r.Country, r.Subdivision, r.EGRID,
				r.Lifecycle.V, r.Direct.V, r.PUE.V, r.WUE.V,
				r.Lifecycle.Year, r.Direct.Year, r.Lifecycle.Area, r.Direct.Area, r.ChosenBoundary,
				r.Lifecycle.Source, r.Direct.Source, r.PUE.Source,
			})
			require.Equal(t, c.want.lifecycle != 0, r.Lifecycle.OK)
			require.Equal(t, c.want.direct != 0, r.Direct.OK)
			require.Equal(t, c.want.pue != 0, r.PUE.OK)
			require.Equal(t, c.want.wue != 0, r.WUE.OK)
		})
	}
}

func TestAllOfARowIsRead(t *testing.T) {
	r := Clouds().Lookup("gcp", "us-east1")
	require.NotNil(t, r)
	require.Equal(t, Cloud{
		Provider: "gcp", Region: "us-east1", Name: "South Carolina", Location: "Moncks Corner", Status: "operational", Line: 200,
		Country: "US", Subdivision: "US-SC", Zone: "US-CAR-SC", ZoneBasis: "provider", EGRID: "SRVC",
		Lat: 32.981, Lon: -80.0326, Located: true,
		Lifecycle:      Value{259.37, 2025, "ember-2026", "US-SC", true},
		Direct:         Value{270.49, 2023, "epa-egrid", "US-eGRID-SRVC", true},
		Published:      Value{575.77, 2024, "google-rci", "", true},
		Chosen:         Value{575.77, 2024, "google-rci", "US-CAR-SC", true},
		ChosenBoundary: "direct",
		Min:            259.37, Max: 575.77, HasRange: true,
		CarbonFree: Value{0.31, 2024, "google-rci", "", true}, CarbonFreeBasis: "hourly",
		Market: Value{0, 2023, "gsf-rtc", "", true},
		PUE:    Value{1.1, 2023, "gsf-rtc", "", true}, PUEScope: "campus",
		Notes: "coordinates of Goose Creek (nearest listed city)",
	}, *r)
}

// The counts that PROVENANCE.md states.
func TestCoverageIsThatOfTheDocument(t *testing.T) {
	require.Equal(t, 326, Clouds().Len())
	regions := map[string]int{}
	lifecycle, either := 0, 0
	for c := range Clouds().All() {
		regions[c.Provider]++
		if c.Lifecycle.OK {
			lifecycle++
		}
		if c.Lifecycle.OK || c.Direct.OK {
			either++
		}
	}
	require.Equal(t, map[string]int{
		"aws": 39, "azure": 76, "gcp": 45, "oracle_cloud": 57, "alibaba_cloud": 32, "tencent_cloud": 22,
		"digitalocean": 15, "ovh": 14, "ibm_cloud": 12, "hetzner": 10, "scaleway_cloud": 4,
	}, regions)
	require.Equal(t, 297, lifecycle)
	require.Equal(t, 325, either, "all but Hetzner's eu-central")
}

func TestEachRegionIsFoundByWhatDetectorsReport(t *testing.T) {
	for c := range Clouds().All() {
		require.Same(t, c, Clouds().Lookup(c.Provider, c.Region))
		require.Same(t, c, Clouds().Lookup(strings.ToUpper(c.Provider), strings.ToUpper(c.Region)))
		require.Same(t, c, Clouds().LookupZone(c.Provider, c.Region), "a zone that is a region")
		for _, suffix := range []string{"-a", "-1", "-dc14"} {
			require.Same(t, c, Clouds().LookupZone(c.Provider, c.Region+suffix))
		}
		if c.Provider == "aws" {
			require.Same(t, c, Clouds().LookupZone("aws", c.Region+"b"))
		}
	}
}

func TestProvidersHaveOtherNames(t *testing.T) {
	for _, c := range []struct{ provider, region, want string }{
		{"AWS", "us-east-1", "aws us-east-1"},
		{"Amazon", "us-east-1", "aws us-east-1"},
		{"google", "us-central1", "gcp us-central1"},
		{"Google Cloud", "us-central1", "gcp us-central1"},
		{"gce", "us-central1", "gcp us-central1"},
		{"Azure", "EastUS", "azure eastus"},
		{"azure", "East US", "azure eastus"},
		{"azure", "East US 2", "azure eastus2"},
		{"microsoft", "westeurope", "azure westeurope"},
		{"alibaba-cloud", "cn-beijing", "alibaba_cloud cn-beijing"},
		{"aliyun", "cn-beijing", "alibaba_cloud cn-beijing"},
		{"oracle_cloud", "iad", "oracle_cloud us-ashburn-1"},
		{"oci", "PHX", "oracle_cloud us-phoenix-1"},
		{"tencentcloud", "ap-tokyo", "tencent_cloud ap-tokyo"},
		{"scaleway", "pl-waw", "scaleway_cloud pl-waw"},
		{"hcloud", "nbg1", "hetzner nbg1"},
		{"ibm", "eu-de", "ibm_cloud eu-de"},
		{"ovhcloud", "GRA11", "ovh gra"},
		{"ovh", "BHS5", "ovh bhs"},
		{"ovh", "SYD1", "ovh ap-southeast-syd"},
		{"ovh", "EU-WEST-PAR", "ovh eu-west-par"},

		{"aws", "us-east-9", ""},
		{"aws", "us-east-1a", ""}, // a zone is not a region
		{"aws", "eastus", ""},     // another provider's
		{"heroku", "us", ""},
		{"", "us-east-1", ""},
		{"aws", "", ""},
		{"", "", ""},
		{"aws", strings.Repeat("a", 1<<20), ""},
		{strings.Repeat("a", 1<<20), "us-east-1", ""},
	} {
		require.Equal(t, c.want, key(Clouds().Lookup(c.provider, c.region)), "%.40q %.40q", c.provider, c.region)
	}
}

func TestZonesLeadToTheirRegion(t *testing.T) {
	for _, c := range []struct{ provider, zone, want string }{
		{"aws", "us-east-1a", "aws us-east-1"},
		{"aws", "us-gov-west-1b", "aws us-gov-west-1"},
		{"aws", "us-west-2-lax-1a", "aws us-west-2"}, // local zone: the parent's row, see LookupZone
		{"aws", "us-east-1-wl1-bos-wlz-1", "aws us-east-1"},
		{"aws", "use1-az1", ""}, // the id of a zone, which does not name its region
		{"aws", "us-east-9a", ""},
		{"gcp", "us-central1-a", "gcp us-central1"},
		{"gcp", "projects/123456/zones/europe-west10-b", "gcp europe-west10"}, // as the metadata server says it
		{"gcp", "europe-west1-b", "gcp europe-west1"},
		{"azure", "eastus-1", "azure eastus"}, // topology.kubernetes.io/zone
		{"azure", "1", ""},
		{"azure", "", ""},
		{"alibaba_cloud", "cn-hangzhou-b", "alibaba_cloud cn-hangzhou"},
		{"alibaba_cloud", "ap-southeast-1c", "alibaba_cloud ap-southeast-1"},
		{"alibaba_cloud", "cn-wuhan-lr-a", "alibaba_cloud cn-wuhan-lr"},
		{"tencent_cloud", "ap-guangzhou-3", "tencent_cloud ap-guangzhou"},
		{"tencent_cloud", "ap-shanghai-fsi-1", "tencent_cloud ap-shanghai-fsi"},
		{"oracle_cloud", "Uocm:US-ASHBURN-AD-1", "oracle_cloud us-ashburn-1"},
		{"oracle_cloud", "Uocm:PHX-AD-3", "oracle_cloud us-phoenix-1"},
		{"oracle_cloud", "REZA:US-SANJOSE-1-AD-1", "oracle_cloud us-sanjose-1"},
		{"oracle_cloud", "EU-FRANKFURT-1-AD-2", "oracle_cloud eu-frankfurt-1"},
		{"scaleway_cloud", "fr-par-1", "scaleway_cloud fr-par"},
		{"hetzner", "fsn1-dc14", "hetzner fsn1"},
		{"hetzner", "hel1-dc2", "hetzner hel1"},
		{"hetzner", "ash", "hetzner ash"},
		{"ibm_cloud", "us-south-1", "ibm_cloud us-south"},
		{"ibm_cloud", "us-east-3", "ibm_cloud us-east"},
		{"ovh", "GRA11", "ovh gra"},
		{"ovh", "eu-west-par-a", "ovh eu-west-par"},
		{"ovh", "nova", ""},
		{"digitalocean", "nyc3", "digitalocean nyc3"},
		{"heroku", "us-east-1a", ""},
		{"aws", strings.Repeat("-", 1<<20), ""},
		{"oracle_cloud", "-AD-1", ""},
		{"oracle_cloud", ":", ""},
	} {
		require.Equal(t, c.want, key(Clouds().LookupZone(c.provider, c.zone)), "%.40q %.40q", c.provider, c.zone)
	}
}

func TestFindPrefersTheZone(t *testing.T) {
	for _, c := range []struct{ provider, region, zone, want string }{
		{"hetzner", "eu-central", "hel1-dc2", "hetzner hel1"}, // Finland, not the zone over two countries
		{"hetzner", "eu-central", "", "hetzner eu-central"},
		{"azure", "eastus", "1", "azure eastus"},
		{"aws", "", "eu-west-3c", "aws eu-west-3"},
		{"aws", "eu-west-3", "", "aws eu-west-3"},
		{"aws", "", "", ""},
	} {
		require.Equal(t, c.want, key(Clouds().Find(c.provider, c.region, c.zone)))
	}
}

func TestNearestNamesWhatMayHaveBeenMeant(t *testing.T) {
	for _, c := range []struct{ provider, region, want string }{
		{"aws", "us-eats-1", "us-east-1"}, // neighbors swapped
		{"aws", "useast1", "us-east-1"},
		{"gcp", "us-central-1", "us-central1"},
		{"azure", "East US 5", "eastus"},
		{"awz", "us-east-1", "aws"},
		{"azur", "eastus", "azure"},
		{"aws", "somewhere-else", ""},
		{"heroku", "us", ""},
		{"", "", ""},
		{"aws", strings.Repeat("x", 1<<16), ""},
	} {
		require.Equal(t, c.want, Clouds().Nearest(c.provider, c.region), "%.40q %.40q", c.provider, c.region)
	}
}

func TestDistanceCountsEdits(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"", "", 0},
		{"abc", "abc", 0},
		{"abc", "", 3},
		{"", "ab", 2},
		{"kitten", "sitting", 3}, // k→s, e→i, +g
		{"eats", "east", 1},      // one swap
		{"abcd", "acbd", 1},
		{"ab", "xy", 2},
	} {
		require.Equal(t, c.want, distance(c.a, c.b, 99), "%q %q", c.a, c.b)
		require.Equal(t, c.want, distance(c.b, c.a, 99), "%q %q", c.b, c.a)
		require.Equal(t, min(c.want, 2), distance(c.a, c.b, 2), "%q %q", c.a, c.b)
	}
}

func TestLookupsAllocateNothing(t *testing.T) {
	c, g, z, u, p, i := Clouds(), Grids(), Zones(), GPUs(), CPUs(), Instances()
	for name, f := range map[string]func() bool{
		"region":          func() bool { return c.Lookup("aws", "us-east-1") != nil },
		"region, capital": func() bool { return c.Lookup("Azure", "East US 2") != nil },
		"region, alias":   func() bool { return c.Lookup("oci", "iad") != nil },
		"region, ovh":     func() bool { return c.Lookup("ovh", "GRA11") != nil },
		"zone":            func() bool { return c.LookupZone("aws", "us-west-2-lax-1a") != nil },
		"zone, oracle":    func() bool { return c.LookupZone("oracle_cloud", "Uocm:US-ASHBURN-AD-1") != nil },
		"find":            func() bool { return c.Find("azure", "eastus", "1") != nil },
		"unknown region":  func() bool { return c.Lookup("aws", "Somewhere") == nil },
		"unknown zone":    func() bool { return c.LookupZone("aws", "Somewhere-or-other") == nil },
		"grid":            func() bool { return g.Lookup("US-VA", "any", 2024) != nil },
		"grid, lower":     func() bool { return g.Lookup("us-egrid-srvc", "direct", 0) != nil },
		"unknown grid":    func() bool { return g.Lookup("Atlantis", "any", 0) == nil },
		"zone key":        func() bool { return z.Lookup("US-MIDA-PJM") != nil },
		"zone key, lower": func() bool { return z.Lookup("us-mida-pjm") != nil },
		"cpu":             func() bool { return p.Lookup("AMD EPYC 7763 64-Core Processor") != nil },
		"unknown cpu":     func() bool { return p.Lookup("Pentium 5000") == nil },
		"instance":        func() bool { return i.Lookup("aws", "m5.large") != nil },
		"gpu":             func() bool { return u.Lookup("NVIDIA A100-SXM4-40GB") != nil },
	} {
		require.True(t, f(), name)
		require.Zero(t, testing.AllocsPerRun(100, func() { f() }), name)
	}
}

func key(c *Cloud) string {
	if c == nil {
		return ""
	}
	return c.Provider + " " + c.Region
}
