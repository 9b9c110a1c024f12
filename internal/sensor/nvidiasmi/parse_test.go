package nvidiasmi

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/internal/unit"
)

const (
	uuidA = "GPU-4e2f8a10-93b1-7c55-d0a2-0f6c1b7e9a31"
	uuidB = "GPU-b7d0c911-2a44-19ef-8812-5c3e60a1f7d2"
)

func TestParseRow(t *testing.T) {
	for _, c := range []struct {
		name, line string
		powers     int
		index      int
		power      unit.Microwatts
		text       string
		gpu        string
	}{
		{"H200", "0, " + uuidA + ", 71.93, 75.20, NVIDIA H200", 2, 0, 71_930_000, "71.93", "NVIDIA H200"},
		{"the second field where the first has none", "3, " + uuidA + ", [N/A], 75.20, NVIDIA A100-SXM4-80GB", 2, 3, 75_200_000, "[N/A]", "NVIDIA A100-SXM4-80GB"},
		{"an old driver", "0, " + uuidA + ", 9.01, Tesla K80", 1, 0, 9_010_000, "9.01", "Tesla K80"},
		{"C45 no sensor", "0, " + uuidA + ", [Not Supported], [Not Supported], GeForce GT 710", 2, 0, 0, "[Not Supported]", "GeForce GT 710"},
		{"no sensor, newer words", "0, " + uuidA + ", [N/A], [N/A], NVIDIA GeForce GT 1030", 2, 0, 0, "[N/A]", "NVIDIA GeForce GT 1030"},
		{"error", "1, " + uuidA + ", [Unknown Error], [Unknown Error], NVIDIA L4", 2, 1, 0, "[Unknown Error]", "NVIDIA L4"},
		{"short error", "1, " + uuidA + ", ERR!, ERR!, NVIDIA L4", 2, 1, 0, "ERR!", "NVIDIA L4"},
		{"C49 needs a reset", "1, " + uuidA + ", [GPU requires reset], [GPU requires reset], NVIDIA L4", 2, 1, 0, "[GPU requires reset]", "NVIDIA L4"},
		{"0 W is no power", "1, " + uuidA + ", 0.00, 0.00, GeForce GTX 1050 Ti", 2, 1, 0, "0.00", "GeForce GTX 1050 Ti"},
		{"C34 0xFFFFFFFF mW is none either", "1, " + uuidA + ", 4294967.29, 61.5, NVIDIA L4", 2, 1, 61_500_000, "4294967.29", "NVIDIA L4"},
		{"whole watts", "0, " + uuidA + ", 300, 301, NVIDIA L4", 2, 0, 300_000_000, "300", "NVIDIA L4"},
		{"comma in the name", "0, " + uuidA + ", 1.5, 2, GRID, the name", 2, 0, 1_500_000, "1.5", "GRID, the name"},
		{"spaces", "\t12,  " + uuidA + " , 1.5 ,2,  NVIDIA L4  ", 2, 12, 1_500_000, "1.5", "NVIDIA L4"},
		{"no spaces", "0," + uuidA + ",1.5,2,NVIDIA L4", 2, 0, 1_500_000, "1.5", "NVIDIA L4"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, ok := parseRow(bytes.TrimSpace([]byte(c.line)), c.powers)
			require.True(t, ok)
			assert.Equal(t, c.index, r.index)
			assert.Equal(t, uuidA, string(r.uuid))
			assert.Equal(t, c.power, r.power)
			assert.Equal(t, c.text, string(r.text))
			assert.Equal(t, c.gpu, string(r.name))
		})
	}
}

func TestWhatIsNoRow(t *testing.T) {
	for name, line := range map[string]string{
		"empty":                   "",
		"header":                  "index, uuid, power.draw [W], power.draw.instant [W], name",
		"units":                   "0, " + uuidA + ", 71.93 W, 75.20 W, NVIDIA H200",
		"a field less":            "0, " + uuidA + ", 71.93, NVIDIA H200",
		"two fields less":         "0, " + uuidA + ", 71.93",
		"a number more":           "0, " + uuidA + ", 71.93, 75.20, 700.00, NVIDIA H200",
		"a field more":            "0, " + uuidA + ", 71.93, P0, 75.20, NVIDIA H200",
		"other order":             uuidA + ", 0, 71.93, 75.20, NVIDIA H200",
		"no name":                 "0, " + uuidA + ", 71.93, 75.20, ",
		"name too long":           "0, " + uuidA + ", 71.93, 75.20, " + strings.Repeat("N", 97),
		"name with escape":        "0, " + uuidA + ", 71.93, 75.20, NVIDIA \x1b[31m",
		"name not UTF-8":          "0, " + uuidA + ", 71.93, 75.20, NVIDIA \xff",
		"UUID too short":          "0, GPU-4e2f8a10, 71.93, 75.20, NVIDIA H200",
		"UUID too long":           "0, " + uuidA + "0, 71.93, 75.20, NVIDIA H200",
		"UUID of another form":    "0, GPU-4e2f8a1-093b1-7c55-d0a2-0f6c1b7e9a31, 1, 2, NVIDIA H200",
		"MIG instance":            "0, MIG-4e2f8a10-93b1-7c55-d0a2-0f6c1b7e9a31, 1, 2, NVIDIA H200",
		"no index":                "-1, " + uuidA + ", 1, 2, NVIDIA H200",
		"index of another form":   "01, " + uuidA + ", 1, 2, NVIDIA H200",
		"negative power":          "0, " + uuidA + ", -1, 2, NVIDIA H200",
		"decimal comma":           "0, " + uuidA + ", 71,93, 75,20, NVIDIA H200",
		"exponent":                "0, " + uuidA + ", 7e1, 2, NVIDIA H200",
		"infinite":                "0, " + uuidA + ", inf, 2, NVIDIA H200",
		"point only":              "0, " + uuidA + ", ., 2, NVIDIA H200",
		"point at the end":        "0, " + uuidA + ", 71., 2, NVIDIA H200",
		"two points":              "0, " + uuidA + ", 7.1.9, 2, NVIDIA H200",
		"30 digits":               "0, " + uuidA + ", " + strings.Repeat("1", 30) + ", 2, NVIDIA H200",
		"empty power":             "0, " + uuidA + ", , 2, NVIDIA H200",
		"brackets round a number": "0, " + uuidA + ", [71.93], 2, NVIDIA H200",
		"empty brackets":          "0, " + uuidA + ", [], 2, NVIDIA H200",
	} {
		t.Run(name, func(t *testing.T) {
			r, ok := parseRow([]byte(line), 2)
			assert.False(t, ok, "%+v", r)
		})
	}
}

func TestLinesAreCutHoweverTheyArrive(t *testing.T) {
	const text = "first\r\n\nsecond\n"
	long := strings.Repeat("x", 3*maxLine)
	all := text + long + "\nthird\nunfinished"
	for size := 1; size <= len(all); size++ {
		var l lines
		var got []string
		for rest := []byte(all); len(rest) > 0; {
			n := min(size, len(rest))
			l.add(rest[:n], func(line []byte) { got = append(got, string(line)) })
			rest = rest[n:]
		}
		require.Equal(t, []string{"first", "", "second", long[:maxLine], "third"}, got, "pieces of %d bytes", size)
	}
}

func TestParseDevices(t *testing.T) {
	for _, c := range []struct {
		name    string
		devices []string
		a, b    bool // whether GPU 0, uuidA, and GPU 1, uuidB, are selected
	}{
		{"none means all", nil, true, true},
		{"index", []string{"1"}, false, true},
		{"UUID", []string{uuidA}, true, false},
		{"beginning of a UUID", []string{"GPU-b7d"}, false, true},
		{"both", []string{" 0 ", "GPU-b7d0c911"}, true, true},
		{"-1 ends the list", []string{"0", "-1", "1"}, true, false},
		{"MIG instance in the old way of writing", []string{"MIG-" + uuidB + "/3/0"}, false, true},
		{"a GPU that is not there", []string{"7"}, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := parseDevices(c.devices)
			require.NoError(t, err)
			assert.Equal(t, c.a, s.has(0, uuidA))
			assert.Equal(t, c.b, s.has(1, uuidB))
		})
	}
	for devices, text := range map[string]string{
		"-1":           "devices begin with -1",
		"":             "neither an index nor a UUID",
		"first":        "neither an index nor a UUID",
		"00":           "neither an index nor a UUID",
		"99999":        "neither an index nor a UUID",
		"GPU-":         "not the beginning of a UUID",
		"GPU-xyz":      "not the beginning of a UUID",
		uuidA + "0":    "not the beginning of a UUID",
		"MIG-GPU-/1/0": "not the beginning of a UUID",
		"MIG-4e2f8a10-93b1-7c55-d0a2-0f6c1b7e9a31": "a MIG instance has no power of its own",
		"all": "neither an index nor a UUID",
	} {
		_, err := parseDevices([]string{devices})
		require.ErrorContains(t, err, text)
	}
}

func FuzzParseRow(f *testing.F) {
	f.Add([]byte("0, "+uuidA+", 71.93, 75.20, NVIDIA H200"), true)
	f.Add([]byte("1, "+uuidB+", [N/A], [Unknown Error], NVIDIA A100-SXM4-80GB"), true)
	f.Add([]byte("0, "+uuidA+", 9.01, Tesla K80"), false)
	f.Add([]byte("No devices were found"), true)
	f.Fuzz(func(t *testing.T, line []byte, two bool) {
		powers := 1
		if two {
			powers = 2
		}
		r, ok := parseRow(line, powers)
		if ok && (r.index < 0 || r.index > maxIndex || !isUUID(r.uuid) || r.power > absurdPower || !isName(r.name)) {
			t.Errorf("%q gives %+v", line, r)
		}
		if p := explain("/nvidia-smi", line); p.Class == "" || len(p.Error()) > 2000 {
			t.Errorf("%q means %v", line, p)
		}
		if p := noPower(uuidA, line); p.Class == "" || len(p.Error()) > 2000 {
			t.Errorf("%q means %v", line, p)
		}
	})
}
