package hwmon

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestConfigNamesTheKeyAndTheRemedy(t *testing.T) {
	good := Chip{Name: "ina226", Device: "3-0044", Channel: "power1", HWType: "other", Role: "primary"}
	for _, c := range []struct {
		name   string
		change func(*Chip)
		words  []string // none: it is right
	}{
		{"as it should be", func(*Chip) {}, nil},
		{"any device, by label", func(c *Chip) { c.Device, c.Channel, c.Label = "", "", "pin" }, nil},
		{"breakdown", func(c *Chip) { c.Role, c.Parent = "breakdown", "hwmon:ina226/3-0044/power1" }, nil},
		{"envelope of the host", func(c *Chip) { c.Role, c.Whole = "envelope", true }, nil},
		{"covers and same", func(c *Chip) { c.Covers, c.Same = []string{"cpu", "memory"}, "package-0" }, nil},
		{"voltage and current", func(c *Chip) { c.Channel = "in12" }, nil},
		{"no name", func(c *Chip) { c.Name = "" }, []string{"chips[0].name", "/sys/class/hwmon/hwmon*/name"}},
		{"name of two lines", func(c *Chip) { c.Name = "ina\n226" }, []string{"chips[0].name"}},
		{"device", func(c *Chip) { c.Device = " 3-0044" }, []string{"chips[0].device", "last element"}},
		{"neither channel nor label", func(c *Chip) { c.Channel = "" }, []string{"either channel or label"}},
		{"both", func(c *Chip) { c.Label = "pin" }, []string{"either channel or label"}},
		{"channel of another kind", func(c *Chip) { c.Channel = "temp1" }, []string{"chips[0].channel", `"temp1"`, "powerN, energyN and inN"}},
		{"channel with its file", func(c *Chip) { c.Channel = "power1_input" }, []string{"chips[0].channel"}},
		{"channel without a number", func(c *Chip) { c.Channel = "power" }, []string{"chips[0].channel"}},
		{"type", func(c *Chip) { c.HWType = "disk" }, []string{"chips[0].hw_type", "cpu, memory, gpu, other"}},
		{"role", func(c *Chip) { c.Role = "main" }, []string{"chips[0].role", "primary, breakdown, envelope"}},
		{"breakdown of nothing", func(c *Chip) { c.Role = "breakdown" }, []string{"chips[0].parent", "hw.id"}},
		{"parent of a primary part", func(c *Chip) { c.Parent = "rapl:package-0" }, []string{"chips[0].parent", "breakdown"}},
		{"covers its own type", func(c *Chip) { c.Covers = []string{"other"} }, []string{"chips[0].covers"}},
		{"covers of an envelope", func(c *Chip) { c.Role, c.Covers = "envelope", []string{"cpu"} }, []string{"chips[0].covers", "primary"}},
		{"whole of a primary part", func(c *Chip) { c.Whole = true }, []string{"chips[0].whole", "envelope"}},
		{"same of an envelope", func(c *Chip) { c.Role, c.Same = "envelope", "psys" }, []string{"chips[0].same", "primary"}},
		{"everything", func(c *Chip) { *c = Chip{} }, []string{"chips[0].name", "chips[0].channel", "chips[0].hw_type", "chips[0].role"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			chip := good
			c.change(&chip)
			err := Config{Chips: []Chip{chip}}.Validate()
			if c.words == nil {
				require.NoError(t, err)
				return
			}
			for _, word := range c.words {
				require.ErrorContains(t, err, word)
			}
			_, openErr := Open(t.TempDir(), Config{Chips: []Chip{chip}})
			assert.ErrorContains(t, openErr, "hwmon: "+err.Error())
		})
	}
	require.ErrorContains(t, Config{Chips: []Chip{good, good}}.Validate(), "chips[1]: the same channel as chips[0]")
}
