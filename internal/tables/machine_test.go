package tables

import (
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/data"
	"github.com/otelcarbon/otelcarbon/internal/unit"
)

func TestMatchKey(t *testing.T) {
	for model, want := range map[string]string{
		"Intel(R) Xeon(R) Platinum 8375C CPU @ 2.90GHz":      "intel xeon platinum 8375c",
		"Intel(R) Core(TM)2 Duo CPU     T9300  @ 2.50GHz":    "intel core 2 duo t9300",
		"13th Gen Intel(R) Core(TM) i7-13700K":               "intel core i7-13700k",
		"Intel(R) Xeon(R) CPU E5-2683 v4 @ 2.10GHz":          "intel xeon e5-2683 v4",
		"AMD Ryzen 9 5950X 16-Core Processor":                "amd ryzen 9 5950x",
		"AMD EPYC 9654 96-Core Processor":                    "amd epyc 9654",
		"Quad-Core AMD Opteron(tm) Processor 2376":           "amd opteron 2376",
		"AMD Ryzen AI 9 HX 370 w/ Radeon 890M":               "amd ryzen ai 9 hx 370",
		"AMD Ryzen 5 PRO 2400GE with Radeon Vega 11 Graphic": "amd ryzen 5 pro 2400ge",
		"Intel Xeon Processor (Skylake, IBRS)":               "intel xeon",
		"Intel® Xeon® Gold 6130":                             "intel xeon gold 6130",
		"Apple M1":                                           "apple m1",
		"((x) y":                                             "y",
		"(unclosed":                                          "(unclosed",
		"":                                                   "",
		" @ 2 GHz":                                           "",
	} {
		require.Equal(t, want, matchKey(model), "%q", model)
	}
}

// Values copied by hand from cpus.csv and microarchitectures.csv.
func TestCPU(t *testing.T) {
	c := CPUs().Lookup("Intel(R) Xeon(R) Platinum 8375C CPU @ 2.90GHz")
	require.NotNil(t, c)
	require.Equal(t, "Intel Xeon Platinum 8375C", c.Name)
	require.Equal(t, "Intel", c.Vendor)
	require.Equal(t, 300*unit.Watt, c.TDP)
	require.Zero(t, c.Cores)
	require.Equal(t, "codecarbon-cpu", c.Source)
	require.Equal(t, Microarchitecture{
		Name: "Ice Lake", Vendor: "Intel", MinPerThread: 766_800, MaxPerThread: 3_758_200,
		MemoryGBPerChip: 136, Results: 16, Method: "ccf-published", Source: "ccf-coefficients",
	}, *c.Family)

	c = CPUs().Lookup("AMD EPYC 9654 96-Core Processor")
	require.Equal(t, CPU{
		Key: "amd epyc 9654", Name: "AMD EPYC 9654", Vendor: "AMD", TDP: 360 * unit.Watt, Cores: 96, Threads: 192,
		Launched: "2022-11-10", Source: "amd-specs+codecarbon-cpu", Family: LookupMicroarchitecture("EPYC 4th Gen"),
	}, *c)

	require.Equal(t, 105*unit.Watt, CPUs().Lookup("AMD Ryzen 9 5950X 16-Core Processor").TDP)
	require.Nil(t, CPUs().Lookup("AMD Ryzen 9 5950X 16-Core Processor").Family)
	require.Equal(t, "amd a10 micro-6700t", CPUs().Lookup("A10 Micro-6700T").Key)
	require.Nil(t, CPUs().Lookup("Intel Xeon Processor (Skylake, IBRS)"))
	require.Nil(t, CPUs().Lookup("zzz"), "behind the last row")
	require.Nil(t, CPUs().Lookup("\x00"), "before the first row")
	require.Nil(t, CPUs().Lookup(""))
	require.Nil(t, CPUs().Lookup(strings.Repeat("x", 1<<20)))
	require.Nil(t, LookupMicroarchitecture("Zen"))
}

func TestEveryCPUIsFoundByItsName(t *testing.T) {
	n := 0
	for r := range rows(data.CPUs()) {
		c := CPUs().Lookup(r.text("model_name"))
		require.NotNil(t, c, "%s", r.text("model_name"))
		require.Equal(t, r.text("match_key"), c.Key)
		n++
	}
	require.Equal(t, 4671, n)
}

func FuzzMatchKey(f *testing.F) {
	for _, s := range []string{
		"Intel(R) Xeon(R) Platinum 8375C CPU @ 2.90GHz", "AMD Ryzen 7 5700U with Radeon Graphics", "13th Gen Intel(R) Core(TM) i7-13700K",
		"ARMv8 Processor rev 0 (v8l)", "Quad-Core AMD Opteron(tm) Processor 2376", "((R))", "(", ")", "1st gen", "with radeon", "-core", "\xff",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, model string) {
		k := matchKey(model)
		if strings.Contains(k, "  ") || k != strings.TrimSpace(k) || strings.ContainsFunc(k, func(r rune) bool { return r < 0x80 && unicode.IsUpper(r) }) {
			t.Errorf("matchKey(%q) = %q is not normal", model, k)
		}
		if c := CPUs().Lookup(model); c != nil && c.TDP == 0 {
			t.Errorf("Lookup(%q) = %+v without power", model, c)
		}
	})
}

// Values copied by hand from instances.csv.
func TestInstance(t *testing.T) {
	require.Equal(t, Instance{
		Provider: "aws", Type: "m5.large", VCPUs: 2, MemoryGB: 8, CPUModel: "Xeon Platinum 8175M", Microarchitectures: "Skylake", PlatformVCPUs: 96,
		Idle: 4_400_000, At10: 7_000_000, At50: 14_100_000, At100: 20_000_000, PowerMethod: "teads", PowerSource: "teads-2021",
		ServerEmbodiedKg: 1610.79, LifetimeYears: 4, EmbodiedGramsPerHour: 0.9577, EmbodiedSource: "ccf-coefficients",
	}, *Instances().Lookup("aws", "m5.large"))
	p4 := Instances().Lookup("aws", "p4d.24xlarge")
	require.Equal(t, "NVIDIA A100", p4.GPUModel)
	require.Equal(t, 8, p4.GPUCount)
	require.Equal(t, unit.FromWatts(5245), p4.At100)
	require.Empty(t, Instances().Lookup("azure", "Standard_B12MS").PowerMethod)
	require.Equal(t, unit.FromWatts(32.51), Instances().Lookup("gcp", "n2-standard-8").At100)
	require.Equal(t, "Standard_D2s_v3", Instances().Lookup("Azure", "standard_d2s_v3").Type)
	require.Equal(t, "m5.large", Instances().Lookup("amazon", "M5.Large").Type)

	for _, c := range [][2]string{
		{"aws", "m5"},
		{"aws", ""},
		{"", "m5.large"},
		{"gcp", "m5.large"},
		{"aws", "zz"},
		{"zz", "zz"},
		{"", ""},
		{"aws", strings.Repeat("m", 1<<20)},
		{strings.Repeat("a", 1<<20), "m5.large"},
	} {
		require.Nil(t, Instances().Lookup(c[0], c[1]), "%.20q", c)
	}
}

func TestEveryInstanceIsFound(t *testing.T) {
	n := 0
	for r := range rows(data.Instances()) {
		i := Instances().Lookup(r.text("cloud.provider"), r.text("instance_type"))
		require.NotNil(t, i, "%s", r.text("instance_type"))
		require.Equal(t, r.text("instance_type"), i.Type)
		require.Equal(t, r.text("cloud.provider"), i.Provider)
		n++
	}
	require.Equal(t, 2124, n)
}

// Values copied by hand from gpus.csv.
func TestGPU(t *testing.T) {
	require.Equal(t, GPU{
		Model: "NVIDIA A100 SXM4 40GB", Vendor: "NVIDIA", Aliases: []string{"NVIDIA A100-SXM4-40GB"},
		TDP: 400 * unit.Watt, TDPSource: "ccf-coefficients", Idle: 46 * unit.Watt, IdleSource: "ccf-coefficients", MemoryGB: 40,
		EmbodiedKg: Value{V: 127.6, Source: "falk-2025", OK: true},
		Notes:      "TDP from the upstream maximum of 407 W rounded to the family value of 400 W",
	}, *GPUs().Lookup("nvidia a100-sxm4-40gb"))
	require.Equal(t, "NVIDIA T4", GPUs().Lookup("Tesla T4").Model)
	require.Equal(t, "NVIDIA Titan Xp", GPUs().Lookup("TITAN Xp").Model)
	require.Zero(t, GPUs().Lookup("AMD Instinct MI300X").Idle)
	require.False(t, GPUs().Lookup("AMD Instinct MI300X").EmbodiedKg.OK)
	require.Nil(t, GPUs().Lookup("NVIDIA H100 PCIe"))
	require.Nil(t, GPUs().Lookup(""))
	require.Len(t, GPUs().rows, 53)
}

func TestConstants(t *testing.T) {
	require.Equal(t, Value{V: 0.000392, Source: "ccf-2024", OK: true}, Coefficient("memory"))
	require.Equal(t, Value{V: 35040, Source: "ccf-2024", OK: true}, Coefficient("server_lifetime"))
	require.Zero(t, Coefficient("nothing"))

	require.Equal(t, EmbodiedFactor{
		Component: "memory", Variant: "DRAM", V: 1.388, Unit: "kgCO2e/GB", LifetimeYears: 4, Stage: "manufacturing",
		Method: "Dell PowerEdge R740 LCA: 533 kgCO2e for 384 GB", Source: "ccf-coefficients", Notes: "added per GB above 16 GB",
	}, *Embodied().Lookup("memory", "DRAM"))
	require.Nil(t, Embodied().Lookup("memory", "SRAM"))
	n := 0
	for range Embodied().All() {
		n++
	}
	require.Equal(t, 11, n)
}

func TestSources(t *testing.T) {
	s := Sources().Lookup("google-rci")
	require.NotNil(t, s)
	require.Equal(t, "Google", s.Publisher)
	require.Equal(t, "Apache-2.0", s.DataLicense)
	require.Nil(t, Sources().Lookup("nobody"))
	require.Equal(t, "Google LLC, region-carbon-info, Apache-2.0", Sources().Attribution("google-rci"))
	require.Equal(t,
		"CodeCarbon, MIT, (c) 2019 Mila, BCG Gamma, CometML, Haverford College; (c) 2023 Code Carbon NGO; CodeCarbon, MIT",
		Sources().Attribution("amd-specs+codecarbon-cpu"))
	require.Equal(t, "our own meter", Sources().Attribution("our own meter"))
	require.Empty(t, Sources().Attribution(""))
	n := 0
	for range Sources().All() {
		n++
	}
	require.Equal(t, 35, n)
}
