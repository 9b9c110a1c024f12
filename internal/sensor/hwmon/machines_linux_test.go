package hwmon

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/testfs"
)

const (
	gpu0 = "amdgpu/0000:03:00.0"
	gpu1 = "amdgpu/0000:0a:00.0"
	apu  = "amdgpu/0000:c1:00.0"
	arc  = "xe/0000:07:00.0"
	bmg  = "xe/0000:03:00.0"
	mod2 = "i915/0000:03:00.0"
	mod3 = "i915/0000:08:00.0"
	nx   = "ina3221/1-0040/"
	agx  = "ina3221/1-0041/"
	old  = "ina3221x/7-0040/"
)

func TestMachines(t *testing.T) {
	const (
		primary, breakdown, envelope = sensor.Primary, sensor.Breakdown, sensor.Envelope
		all                          = "cpu memory gpu"
	)
	for _, c := range []struct {
		name, machine string
		config        Config
		wants         map[string]want
	}{
		{"C36 discrete amdgpu, averaged before instantaneous, and no SSD", "amdgpu-cards", Config{}, map[string]want{
			gpu0: {hwType: "gpu", socket: -1, same: "gpu/0000:03:00.0", power: 41_000_000},
			gpu1: {hwType: "gpu", socket: -1, same: "gpu/0000:0a:00.0", power: 12_000_000},
		}},
		{"C36 amdgpu of an APU is the CPU package, behind perf and rapl; the sleeping GPU is left asleep", "apu", Config{}, map[string]want{
			apu: {hwType: "cpu", covers: "gpu", same: "package-0", rank: 4, power: 9_022_000},
		}},
		{"C35 xe: the package is inside the card, or stands for it", "xe", Config{}, map[string]want{
			bmg:              {hwType: "gpu", socket: -1, same: "gpu/0000:03:00.0", energy: 5_123_456_789},
			bmg + "/package": {hwType: "gpu", socket: -1, role: breakdown, parent: bmg, energy: 3_123_456_789},
			arc + "/package": {hwType: "gpu", socket: -1, same: "gpu/0000:07:00.0", energy: 777},
		}},
		{"C35 i915: the tiles are inside the card, or stand for it", "i915-tiles", Config{}, map[string]want{
			mod2:          {hwType: "gpu", socket: -1, same: "gpu/0000:03:00.0", energy: 900_000_000},
			mod2 + "/gt0": {hwType: "gpu", socket: -1, role: breakdown, parent: mod2, energy: 400_000_000},
			mod2 + "/gt1": {hwType: "gpu", socket: -1, role: breakdown, parent: mod2, energy: 300_000_000},
			mod3 + "/gt0": {hwType: "gpu", socket: -1, same: "gpu/0000:08:00.0/gt0", energy: 40},
			mod3 + "/gt1": {hwType: "gpu", socket: -1, same: "gpu/0000:08:00.0/gt1", energy: 30},
		}},
		{"C34 ACPI power meter of the system bus is the whole host", "power-meter", Config{}, map[string]want{
			"power_meter/ACPI000D:00": {hwType: "other", socket: -1, role: envelope, rank: 1, whole: true, power: 213_000_000},
		}},
		{"C34 of several power meters none is the whole, and a battery is none", "power-meters-3", Config{}, map[string]want{
			"power_meter/ACPI000D:00": {hwType: "other", socket: -1, role: envelope, rank: 1, power: 150_000_000},
			"power_meter/ACPI000D:01": {hwType: "other", socket: -1, role: envelope, rank: 1, power: 140_000_000},
		}},
		{"C38 Grace Hopper, two sockets: the Grace socket counts", "grace-2s", Config{}, map[string]want{
			"module-0": {hwType: "other", role: envelope, rank: 1, power: 400_000_000},
			"grace-0":  {hwType: "cpu", covers: "memory", same: "grace-0", power: 100_000_000},
			"cpu-0":    {hwType: "cpu", role: breakdown, parent: "grace-0", power: 50_000_000},
			"sysio-0":  {hwType: "other", role: breakdown, parent: "grace-0", power: 10_000_000},
			"module-1": {hwType: "other", socket: 1, role: envelope, rank: 1, power: 500_000_000},
			"grace-1":  {hwType: "cpu", socket: 1, covers: "memory", same: "grace-1", power: 200_000_000},
			"cpu-1":    {hwType: "cpu", socket: 1, role: breakdown, parent: "grace-1", power: 150_000_000},
			"sysio-1":  {hwType: "other", socket: 1, role: breakdown, parent: "grace-1", power: 110_000_000},
		}},
		{"C37 Jetson Orin NX: VDD_IN contains the rails; shunt channels are no rails", "jetson-orin-nx", Config{}, map[string]want{
			nx + "VDD_IN":         {hwType: "other", socket: -1, covers: all, power: 5_980_800},                          // 4984 mV × 1200 mA
			nx + "VDD_CPU_GPU_CV": {hwType: "cpu", socket: -1, role: breakdown, parent: nx + "VDD_IN", power: 1_592_320}, // 4976 × 320
			nx + "VDD_SOC":        {hwType: "other", socket: -1, role: breakdown, parent: nx + "VDD_IN", power: 1_490_400},
		}},
		{"C37 Jetson AGX Orin: no input, the rails count, one of them is inside another", "jetson-agx-orin", Config{}, map[string]want{
			nx + "VDD_GPU_SOC":      {hwType: "gpu", socket: -1, power: 3_996_800}, // 19984 × 200
			nx + "VDD_CPU_CV":       {hwType: "cpu", socket: -1, power: 999_200},
			nx + "VIN_SYS_5V0":      {hwType: "other", socket: -1, covers: "memory", power: 4_471_200},
			agx + "VDDQ_VDD2_1V8AO": {hwType: "memory", socket: -1, role: breakdown, parent: nx + "VIN_SYS_5V0", power: 596_160},
		}},
		{"C37 Jetson Xavier NX with the driver ina3221x", "jetson-xavier-iio", Config{}, map[string]want{
			old + "VDD_IN":         {hwType: "other", socket: -1, covers: all, power: 4_000_000},
			old + "VDD_CPU_GPU_CV": {hwType: "cpu", socket: -1, role: breakdown, parent: old + "VDD_IN", power: 500_000},
			old + "VDD_SOC":        {hwType: "other", socket: -1, role: breakdown, parent: old + "VDD_IN", power: 800_000},
		}},
		{"C39 Altra: gauges of CPU and IO", "altra-2s", Config{}, map[string]want{
			"apm_xgene/APMC0D29:00/cpu": {hwType: "cpu", socket: -1, power: 60_000_000},
			"apm_xgene/APMC0D29:00/io":  {hwType: "other", socket: -1, power: 20_000_000},
			"apm_xgene/APMC0D29:01/cpu": {hwType: "cpu", socket: -1, power: 61_000_000},
			"apm_xgene/APMC0D29:01/io":  {hwType: "other", socket: -1, power: 21_000_000},
		}},
		{"amd_energy shows a socket once for each NUMA node: nodes 1 and 3 are left out", "amd-energy", Config{}, map[string]want{
			"amd_energy/socket-0": {hwType: "cpu", same: "package-0", rank: 2, energy: 500_000_000},
			"amd_energy/socket-1": {hwType: "cpu", socket: 1, same: "package-1", rank: 2, energy: 700_000_000},
		}},
		{"amd_energy with cores inside the sockets", "amd-energy", Config{Cores: true}, map[string]want{
			"amd_energy/socket-0":        {hwType: "cpu", same: "package-0", rank: 2, energy: 500_000_000},
			"amd_energy/socket-0/core-0": {hwType: "cpu", role: breakdown, parent: "amd_energy/socket-0", energy: 1000},
			"amd_energy/socket-0/core-1": {hwType: "cpu", role: breakdown, parent: "amd_energy/socket-0", energy: 1001},
			"amd_energy/socket-0/core-2": {hwType: "cpu", role: breakdown, parent: "amd_energy/socket-0", energy: 1002},
			"amd_energy/socket-0/core-3": {hwType: "cpu", role: breakdown, parent: "amd_energy/socket-0", energy: 1003},
			"amd_energy/socket-1":        {hwType: "cpu", socket: 1, same: "package-1", rank: 2, energy: 700_000_000},
			"amd_energy/socket-1/core-4": {hwType: "cpu", socket: 1, role: breakdown, parent: "amd_energy/socket-1", energy: 1004},
			"amd_energy/socket-1/core-5": {hwType: "cpu", socket: 1, role: breakdown, parent: "amd_energy/socket-1", energy: 1005},
			"amd_energy/socket-1/core-6": {hwType: "cpu", socket: 1, role: breakdown, parent: "amd_energy/socket-1", energy: 1006},
			"amd_energy/socket-1/core-7": {hwType: "cpu", socket: 1, role: breakdown, parent: "amd_energy/socket-1", energy: 1007},
		}},
		{"amd_hsmp with ACPI: the unique ID names the socket", "hsmp-acpi", Config{}, map[string]want{
			"amd_hsmp_hwmon/socket-0": {hwType: "cpu", same: "package-0", rank: 3, power: 185_000_000},
			"amd_hsmp_hwmon/socket-1": {hwType: "cpu", socket: 1, same: "package-1", rank: 3, power: 211_000_000},
		}},
		{"amd_hsmp without ACPI: registered in the order of the sockets, 9 before 10", "hsmp-platform", Config{}, map[string]want{
			"amd_hsmp_hwmon/socket-0": {hwType: "cpu", same: "package-0", rank: 3, power: 185_000_000},
			"amd_hsmp_hwmon/socket-1": {hwType: "cpu", socket: 1, same: "package-1", rank: 3, power: 211_000_000},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := tree(t, c.machine)
			s := mustOpen(t, root, c.config)
			rs, problems := read(t, s)
			assert.Empty(t, problems)
			check(t, rs, c.wants)
			require.NoError(t, s.Close())
			assert.Zero(t, openBelow(t, root), "files left open")
		})
	}
}

func TestMachinesCountersOfAMDEnergyWrap(t *testing.T) {
	rs, _ := read(t, mustOpen(t, tree(t, "amd-energy"), Config{}))
	assert.EqualValues(t, 281_474_976_710_655, rs["amd_energy/socket-0"].Max) // 2⁴⁸ − 1
}

func TestMachinesC38GraceWithoutTheGraceDomain(t *testing.T) {
	root := tree(t, "grace-2s")
	remove(t, root, "sys/class/hwmon/hwmon1") // that of socket 1 in this tree
	rs, problems := read(t, mustOpen(t, root, Config{}))
	assert.Empty(t, problems)
	assert.Len(t, rs, 7)
	assert.Equal(t, sensor.Primary, rs["cpu-1"].Part.Role)
	assert.Equal(t, sensor.Primary, rs["sysio-1"].Part.Role)
	assert.Empty(t, rs["cpu-1"].Part.Parent)
	assert.Equal(t, sensor.Breakdown, rs["cpu-0"].Part.Role, "the other socket has it")
}

func TestMachinesC38DomainsNobodyKnows(t *testing.T) {
	root := tree(t, "grace-2s")
	const meters = "sys/devices/LNXSYSTM:00/LNXSYBUS:00/ACPI000D:0"
	set(t, root, meters+"0/power1_oem_info", "GPU Power Socket 1\n")   // was Module 1
	set(t, root, meters+"6/power1_oem_info", "Grace Power Socket 0\n") // was CPU 0; 5 is Grace 0
	rs, problems := read(t, mustOpen(t, root, Config{}))
	assert.Equal(t, []string{"cpu-1", "grace-0", "grace-1", "module-0", "sysio-0", "sysio-1"}, ids(rs))
	assert.EqualValues(t, 100_000_000, rs["grace-0"].Power)
	require.Len(t, problems, 2)
	require.ErrorContains(t, problems[meters+"0"], `"GPU Power Socket 1"`)
	require.ErrorContains(t, problems[meters+"6"], "this one is not counted")
}

func TestMachinesAPUsWhosePackagesCannotBeTold(t *testing.T) {
	root := tree(t, "amdgpu-cards")
	for n, device := range []string{"sys/devices/pci0000:00/0000:00:03.1/0000:03:00.0/", "sys/devices/pci0000:00/0000:00:03.2/0000:0a:00.0/"} {
		set(t, root, device+"device", "0x74a0\n") // MI300A
		set(t, root, device+"numa_node", []string{"1\n", "-1\n"}[n])
	}
	testfs.Write(t, root, "sys/devices/system/node/node1/cpulist", "24-47,120-143\n")
	testfs.Write(t, root, "sys/devices/system/cpu/cpu24/topology/physical_package_id", "1\n")
	rs, problems := read(t, mustOpen(t, root, Config{}))
	check(t, rs, map[string]want{
		gpu0: {hwType: "cpu", socket: 1, covers: "gpu memory", same: "package-1", rank: 4, power: 41_000_000},
	})
	require.Len(t, problems, 1)
	for _, p := range problems {
		require.ErrorContains(t, p, "which of the 2 CPU packages")
	}
}

func TestMachinesC37RailsOfAnUnknownBoard(t *testing.T) {
	root := tree(t, "jetson-agx-orin")
	const label = "sys/devices/platform/bus@0/c240000.i2c/i2c-1/1-0040/hwmon/hwmon3/in1_label"
	set(t, root, label, "VBAT_MAIN\n")
	rs, problems := read(t, mustOpen(t, root, Config{}))
	assert.Len(t, rs, 3, "it may contain the others, or be inside one")
	require.Len(t, problems, 1)
	for _, p := range problems {
		require.ErrorContains(t, p, "VBAT_MAIN")
		assert.Contains(t, p.Remedy, "chips")
	}
}

func TestMachinesC40SwitchedOffInput(t *testing.T) {
	root := tree(t, "jetson-orin-nx")
	const chip = "sys/devices/platform/bus@0/c240000.i2c/i2c-1/1-0040/hwmon/hwmon2/"
	set(t, root, chip+"in1_enable", "0\n")
	s := mustOpen(t, root, often)
	rs, problems := read(t, s)
	assert.Empty(t, problems)
	assert.Equal(t, []string{nx + "VDD_CPU_GPU_CV", nx + "VDD_SOC"}, ids(rs))
	assert.Equal(t, sensor.Primary, rs[nx+"VDD_SOC"].Part.Role, "nothing else has their energy")

	set(t, root, chip+"in1_enable", "1\n") // now it does
	rs, problems = read(t, s)
	assert.Empty(t, problems)
	assert.Equal(t, []string{nx + "VDD_IN"}, ids(rs), "rails that were counted are not counted beside their input")

	set(t, root, chip+"curr1_enable", "0\n")
	for range 2 {
		rs, problems = read(t, s)
		assert.Empty(t, problems, "switching off is no failure")
	}
	assert.Len(t, rs, 2, "the input is off again, and is not measured twice")
}
