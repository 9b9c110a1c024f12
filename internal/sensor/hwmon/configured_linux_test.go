package hwmon

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
)

func TestConfiguredChips(t *testing.T) {
	c := Config{RescanInterval: never.RescanInterval, Chips: []Chip{
		{Name: "ina226", Device: "3-0044", Channel: "in1", HWType: "cpu", Role: "primary", Covers: []string{"memory"}, Same: "package-0"},
		{Name: "ina226", Device: "3-0045", Channel: "power1", HWType: "memory", Role: "breakdown", Parent: "hwmon:ina226/3-0044/in1"},
		{Name: "pmbus_psu", Label: "pin", HWType: "other", Role: "envelope", Whole: true},
		{Name: "pmbus_psu", Label: "ein", HWType: "other", Role: "breakdown", Parent: "hwmon:pmbus_psu/4-0020/pin"},
	}}
	rs, problems := read(t, mustOpen(t, tree(t, "unknown"), c))
	assert.Empty(t, problems)
	check(t, rs, map[string]want{
		"ina226/3-0044/in1":    {hwType: "cpu", socket: -1, covers: "memory", same: "package-0", rank: 5, power: 18_012_000}, // 12008 mV × 1500 mA
		"ina226/3-0045/power1": {hwType: "memory", socket: -1, role: sensor.Breakdown, parent: "ina226/3-0044/in1", power: 500_000},
		"pmbus_psu/4-0020/pin": {hwType: "other", socket: -1, role: sensor.Envelope, rank: 5, whole: true, power: 95_000_000},
		"pmbus_psu/4-0020/ein": {hwType: "other", socket: -1, role: sensor.Breakdown, parent: "pmbus_psu/4-0020/pin", energy: 123_456},
	})
}

func TestConfiguredRuleIsForEveryChipOfThatName(t *testing.T) {
	rs, _ := read(t, mustOpen(t, tree(t, "unknown"), Config{Chips: []Chip{{Name: "ina226", Channel: "power1", HWType: "other", Role: "primary"}}}))
	assert.Equal(t, []string{"ina226/3-0044/power1", "ina226/3-0045/power1"}, ids(rs))
}

func TestConfiguredRuleTakesThePlaceOfWhatIsKnown(t *testing.T) {
	c := Config{Chips: []Chip{{Name: "power_meter", Device: "ACPI000D:00", Channel: "power1", HWType: "other", Role: "primary"}}}
	rs, problems := read(t, mustOpen(t, tree(t, "power-meters-3"), c))
	assert.Empty(t, problems)
	check(t, rs, map[string]want{
		"power_meter/ACPI000D:00/power1": {hwType: "other", socket: -1, power: 150_000_000},
		"power_meter/ACPI000D:01":        {hwType: "other", socket: -1, role: sensor.Envelope, rank: 1, whole: true, power: 140_000_000}, // the only one left
	})
}

func TestConfiguredChipsThatAreNotThere(t *testing.T) {
	lacking := Chip{Name: "ina226", Device: "9-0044", Channel: "power1", HWType: "other", Role: "primary"}
	_, problems := read(t, mustOpen(t, tree(t, "amdgpu-cards"), Config{Chips: []Chip{lacking}}))
	require.Len(t, problems, 1)
	assert.Equal(t, sensor.Absent, problems["sys/class/hwmon"].Class)
	require.ErrorContains(t, problems["sys/class/hwmon"], "chips[0]: there is no chip ina226 9-0044")

	_, err := Open(tree(t, "unknown"), Config{Chips: []Chip{lacking}})
	require.ErrorIs(t, err, errors.ErrUnsupported)
	require.ErrorContains(t, err, "there is no chip ina226 9-0044")
	lacking.Device, lacking.Channel = "", "energy1"
	_, err = Open(tree(t, "unknown"), Config{Chips: []Chip{lacking}})
	require.ErrorContains(t, err, "chip ina226 has no channel energy1")
}

func TestOpenSaysWhatIsMissing(t *testing.T) {
	for _, c := range []struct {
		name, machine string
		change        func(t *testing.T, root string)
		class         sensor.Class
		words         []string
	}{
		{"C72 chips that nobody knows", "unknown", nil, sensor.Absent, []string{"ina226, pmbus_psu", "add it to chips"}},
		{"C72 wrong root_path", "unknown", func(t *testing.T, root string) {
			t.Helper()
			remove(t, root, "sys")
		}, sensor.Absent, []string{"root_path"}},
		{"C72 no hwmon class", "unknown", func(t *testing.T, root string) {
			t.Helper()
			remove(t, root, "sys/class")
		}, sensor.Absent, []string{"CONFIG_HWMON"}},
		{"C72 empty class", "unknown", func(t *testing.T, root string) {
			t.Helper()
			remove(t, root, "sys/class/hwmon/hwmon0", "sys/class/hwmon/hwmon1", "sys/class/hwmon/hwmon2")
		}, sensor.Absent, []string{"the hwmon class is empty"}},
		{"C35 integrated GPU alone", "i915-tiles", func(t *testing.T, root string) {
			t.Helper()
			for _, n := range "345678" {
				remove(t, root, "sys/class/hwmon/hwmon"+string(n))
			}
		}, sensor.Absent, []string{"i915", "uncore"}},
		{"C40 everything switched off", "jetson-orin-nx", func(t *testing.T, root string) {
			t.Helper()
			for _, n := range "123" {
				set(t, root, rails+"in"+string(n)+"_enable", "0\n")
			}
		}, sensor.Absent, []string{"ina3221", "switched on"}},
		{"C23 masked, class links dangle", "unknown", func(t *testing.T, root string) {
			t.Helper()
			remove(t, root, "sys/devices")
		}, sensor.Masked, []string{"the container runtime hides", "/host/sys"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := tree(t, c.machine)
			if c.change != nil {
				c.change(t, root)
			}
			s, err := Open(root, Config{})
			require.ErrorIs(t, err, errors.ErrUnsupported)
			require.Nil(t, s)
			for p := range sensor.Problems(err) {
				assert.Equal(t, c.class, p.Class)
			}
			for _, word := range c.words {
				require.ErrorContains(t, err, word)
			}
		})
	}
}
