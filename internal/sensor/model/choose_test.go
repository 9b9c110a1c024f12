package model

import (
	"errors"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/unit"
)

// Figures from the tables: m5.large 4.4, 7, 14.1 and 20 W; EPYC 4th Gen 0.7391 and
// 2.2822 W per thread; Broadwell 0.7128 and 3.6853 W; Graviton2 0.4743 and 1.693 W;
// Neoverse N1 0.7351 and 1.7059 W; Coffee Lake 1.1384 and 5.4218 W; the mean of AWS
// 0.74 and 3.5 W, of Azure 0.74 and 3.54 W; TDP of a Ryzen 7 7840HS 35 W at 16
// threads, of a Core i7-8750H 45 W; memory 0.392 W/GiB.
func TestChoose(t *testing.T) {
	for _, c := range []struct {
		name       string
		host       Host
		idle, full float64 // W
		withMemory bool
		why        string
	}{
		{
			"an instance type of the tables comes before its CPU",
			Host{CPUModel: "Intel(R) Xeon(R) Platinum 8175M CPU @ 2.50GHz", LogicalCPUs: 2, Virtual: true, CloudProvider: "aws", InstanceType: "m5.large"},
			4.4, 20, true, "instance type m5.large (teads-2021)",
		},
		{
			"an instance type needs no CPU count",
			Host{CloudProvider: "aws", InstanceType: "m5.large"},
			4.4, 20, true, "instance type m5.large (teads-2021)",
		},
		{
			"the figures of a type with a GPU, 57.4 to 379.8 W, are not the CPU's",
			Host{CPUModel: "Intel(R) Xeon(R) CPU E5-2686 v4 @ 2.30GHz", LogicalCPUs: 8, Virtual: true, CloudProvider: "aws", InstanceType: "p3.2xlarge"},
			5.7024, 29.4824, true, "8 CPUs by Broadwell servers (ccf-coefficients)",
		},
		{
			"a hypervisor that shows only the brand is seen through by CPUID",
			Host{CPUVendor: "AuthenticAMD", CPUModel: "AMD EPYC", CPUFamily: 25, CPUModelID: 17, CPUStepping: 1, LogicalCPUs: 2, Virtual: true},
			1.4782, 4.5644, true, "2 CPUs by EPYC 4th Gen servers (ccf-coefficients)",
		},
		{
			"Google shows only a frequency",
			Host{CPUVendor: "GenuineIntel", CPUModel: "Intel(R) Xeon(R) CPU @ 2.20GHz", CPUFamily: 6, CPUModelID: 79, LogicalCPUs: 1, Virtual: true, CloudProvider: "gcp"},
			0.7128, 3.6853, true, "1 CPU by Broadwell servers (ccf-coefficients)",
		},
		{
			"an Arm core is a Graviton at Amazon",
			Host{CPUVendor: "ARM", CPUModel: "Neoverse-N1", LogicalCPUs: 10, CloudProvider: "aws"},
			4.743, 16.93, true, "10 CPUs by Graviton2 servers (ccf-coefficients)",
		},
		{
			"and an Altra elsewhere",
			Host{CPUVendor: "ARM", CPUModel: "Neoverse-N1", LogicalCPUs: 10},
			7.351, 17.059, true, "10 CPUs by Neoverse N1 servers (ccf-coefficients)",
		},
		{
			"a server's sockets are in its threads",
			Host{CPUModel: "AMD EPYC 7763 64-Core Processor", LogicalCPUs: 256, Sockets: 2},
			256 * 0.4556, 256 * 1.9573, true, "256 CPUs by EPYC 3rd Gen servers (ccf-coefficients)",
		},
		{
			"a laptop has 9 to 75 % of its TDP",
			Host{CPUModel: "AMD Ryzen 7 7840HS w/ Radeon 780M Graphics", LogicalCPUs: 16, Sockets: 1},
			3.15, 26.25, false, "TDP of AMD Ryzen 7 7840HS (35 W), 1 socket, amd-specs+codecarbon-cpu",
		},
		{
			"figures of servers are not for a laptop of the same generation",
			Host{CPUModel: "Intel(R) Core(TM) i7-8750H CPU @ 2.20GHz", LogicalCPUs: 12, Sockets: 1},
			4.05, 33.75, false, "TDP of Intel Core i7-8750H Processor (45 W), 1 socket, intel-ark+codecarbon-cpu",
		},
		{
			"a desktop CPU seen in a virtual machine stands for a server",
			Host{CPUModel: "Intel(R) Core(TM) i7-8750H CPU @ 2.20GHz", LogicalCPUs: 4, Virtual: true},
			4.5536, 21.6872, true, "4 CPUs by Coffee Lake servers (ccf-coefficients)",
		},
		{
			"a virtual machine has a share of the TDP", // 4 of 16 threads: 8.75 W
			Host{CPUModel: "AMD Ryzen 7 7840HS w/ Radeon 780M Graphics", LogicalCPUs: 4, Sockets: 4, Virtual: true},
			0.7875, 6.5625, false, "TDP of AMD Ryzen 7 7840HS (35 W), 4 of 16 threads, amd-specs+codecarbon-cpu",
		},
		{
			"a share needs the number of threads",
			Host{CPUModel: "Intel Core i9-13900K", LogicalCPUs: 4, Virtual: true},
			2.96, 14, true, "4 CPUs by the mean server of aws, for want of a known CPU (ccf-2024)",
		},
		{
			"an unknown CPU at Azure",
			Host{CPUModel: "Neoverse-N9", LogicalCPUs: 4, CloudProvider: "azure", Virtual: true},
			2.96, 14.16, true, "4 CPUs by the mean server of azure, for want of a known CPU (ccf-2024)",
		},
		{
			"an unknown CPU nowhere",
			Host{LogicalCPUs: 1},
			0.74, 3.5, true, "1 CPU by the mean server of aws, for want of a known CPU (ccf-2024)",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := configured(&Config{Host: c.host})
			require.NoError(t, err)
			require.NoError(t, got.check())
			assert.InDelta(t, c.idle, got.idle().Watts(), 1e-6)
			assert.InDelta(t, c.full, got.full().Watts(), 1e-6)
			assert.Equal(t, c.withMemory, got.withMemory)
			assert.Equal(t, c.why, got.why)
		})
	}
}

func TestConfiguredWattsComeFirst(t *testing.T) {
	m5 := Host{CloudProvider: "aws", InstanceType: "m5.large"} // 4.4 to 20 W
	for _, c := range []struct {
		name       string
		config     Config
		idle, full float64
		why        string
	}{
		{"both", Config{Host: m5, IdleWatts: 3, MaxWatts: 30}, 3, 30, "configured"},
		{"both, on a machine of which nothing is known", Config{IdleWatts: 3, MaxWatts: 30}, 3, 30, "configured"},
		{"idle alone", Config{Host: m5, IdleWatts: 3}, 3, 20, "idle_watts configured, full from instance type m5.large (teads-2021)"},
		{"full alone", Config{Host: m5, MaxWatts: 30}, 4.4, 30, "max_watts configured, idle from instance type m5.large (teads-2021)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := configured(&c.config)
			require.NoError(t, err)
			assert.InDelta(t, c.idle, got.idle().Watts(), 1e-9)
			assert.InDelta(t, c.full, got.full().Watts(), 1e-9)
			assert.InDelta(t, (c.idle+c.full)/2, got.at(0.5).Watts(), 1e-6, "a straight line")
			assert.True(t, got.withMemory)
			assert.Equal(t, c.why, got.why)
		})
	}
}

func TestOpenNamesTheKeyThatCannotBe(t *testing.T) {
	m5 := Host{CloudProvider: "aws", InstanceType: "m5.large", LogicalCPUs: 2, MemoryBytes: 8 << 30}
	with := func(change func(*Config)) Config {
		c := Config{Host: m5, Times: still}
		change(&c)
		return c
	}
	for name, c := range map[string]struct {
		config Config
		want   string
	}{
		"negative idle":            {with(func(c *Config) { c.IdleWatts = -1 }), "model: idle_watts: -1 is not between 0 and 1e+06 W"},
		"idle NaN":                 {with(func(c *Config) { c.IdleWatts = math.NaN() }), "model: idle_watts: NaN"},
		"infinite full":            {with(func(c *Config) { c.MaxWatts = math.Inf(1) }), "model: max_watts: +Inf"},
		"huge full":                {with(func(c *Config) { c.MaxWatts = 1e7 }), "model: max_watts: 1e+07"},
		"idle above full":          {with(func(c *Config) { c.IdleWatts, c.MaxWatts = 20, 10 }), "model: idle_watts: 20 W is more than max_watts, 10 W"},
		"idle above the table":     {with(func(c *Config) { c.IdleWatts = 25 }), "set max_watts too"},
		"full below the table":     {with(func(c *Config) { c.MaxWatts = 4 }), "set idle_watts too"},
		"negative memory":          {with(func(c *Config) { c.MemoryWattsPerGiB = -0.1 }), "model: memory_watts_per_gib: -0.1"},
		"huge memory watts":        {with(func(c *Config) { c.MemoryWattsPerGiB = 1000 }), "model: memory_watts_per_gib: 1000"},
		"memory of unknown size":   {with(func(c *Config) { c.MemoryWattsPerGiB, c.Host.MemoryBytes = 0.4, 0 }), "memory_watts_per_gib: the size of memory is unknown"},
		"all memory of the world":  {with(func(c *Config) { c.Host.MemoryBytes = math.MaxUint64 }), "model: memory_bytes"},
		"memory of a megawatt":     {with(func(c *Config) { c.MemoryWattsPerGiB, c.Host.MemoryBytes = 100, 1<<44 }), "more than 1e+06 W"},
		"negative CPUs":            {with(func(c *Config) { c.Host.LogicalCPUs = -1 }), "model: logical_cpus: -1"},
		"too many CPUs":            {with(func(c *Config) { c.Host.LogicalCPUs = math.MaxInt }), "model: logical_cpus"},
		"negative sockets":         {with(func(c *Config) { c.Host.Sockets = -1 }), "model: sockets"},
		"no CPUs and nothing else": {Config{Times: still}, "model: logical_cpus: the number of CPUs is unknown, so the tables have nothing to say: unsupported operation (set idle_watts and max_watts)"},
		"no times":                 {with(func(c *Config) { c.Times = nil }), "set idle_watts and max_watts to the same value"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := Open(c.config)
			require.ErrorContains(t, err, c.want)
			assert.Equal(t, sensor.Sensor(nil), s, "an interface without value")
			assert.Equal(t, c.config.Host == Host{}, errors.Is(err, errors.ErrUnsupported), "only ignorance is no mistake")
		})
	}
}

func TestMemoryWatts(t *testing.T) {
	for _, c := range []struct {
		name   string
		config Config
		want   unit.Microwatts
		why    string
	}{
		{"8 GiB by the tables", Config{Host: Host{MemoryBytes: 8 << 30}}, 3_136_000, "8 GiB × 0.392 W/GiB, ccf-2024"},
		{"8 GiB as configured", Config{MemoryWattsPerGiB: 0.25, Host: Host{MemoryBytes: 8 << 30}}, 2 * unit.Watt, "8 GiB × 0.25 W/GiB, configured"},
		{"of unknown size", Config{}, 0, "0 GiB × 0.392 W/GiB, ccf-2024"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := chooseMemory(&c.config)
			require.NoError(t, err)
			assert.Equal(t, c.want, m.power)
			assert.Equal(t, c.why, m.why)
		})
	}
}

func TestGenerationByCPUID(t *testing.T) {
	for _, c := range []struct {
		name string
		host Host
		want string
	}{
		{"Skylake by its low stepping", Host{CPUVendor: "GenuineIntel", CPUFamily: 6, CPUModelID: 85, CPUStepping: 4, Virtual: true}, "Skylake"},
		{"Cascade Lake by its high stepping", Host{CPUVendor: "GenuineIntel", CPUFamily: 6, CPUModelID: 85, CPUStepping: 7, Virtual: true}, "Cascade Lake"},
		{"a desktop number in a virtual machine is QEMU's", Host{CPUVendor: "GenuineIntel", CPUModel: "Intel Core Processor (Haswell, no TSX)", CPUFamily: 6, CPUModelID: 60, Virtual: true}, "Haswell"},
		{"a desktop number on a desktop", Host{CPUVendor: "GenuineIntel", CPUModel: "Intel(R) Core(TM) i7-4770 CPU", CPUFamily: 6, CPUModelID: 60}, ""},
		{"a desktop that shares its number with a server", Host{CPUVendor: "AuthenticAMD", CPUModel: "AMD Ryzen Threadripper 1950X", CPUFamily: 23, CPUModelID: 1}, ""},
		{"an unnamed server on bare metal", Host{CPUVendor: "AuthenticAMD", CPUModel: "AMD Eng Sample EPYC", CPUFamily: 26, CPUModelID: 2}, "EPYC 5th Gen"},
		{"the same numbers of another maker", Host{CPUVendor: "HygonGenuine", CPUFamily: 23, CPUModelID: 1, Virtual: true}, ""},
		{"nothing known", Host{Virtual: true}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			assert.Equal(t, c.want, familyOf(&c.host))
		})
	}
	for _, g := range x86Families() {
		assert.NotNil(t, generation(&Host{CPUVendor: g.vendor, CPUFamily: g.family, CPUModelID: g.model, CPUStepping: g.stepping, Virtual: true}, nil),
			"%s stands in microarchitectures.csv", g.name)
	}
}
