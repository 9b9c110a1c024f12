package battery

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/otelcarbon/otelcarbon/internal/unit"
)

func TestParseStatus(t *testing.T) {
	for content, want := range map[string]status{
		"Discharging\n": discharging, "Charging\n": charging, "Full\n": idle, "Not charging\n": idle, "Unknown": idle, " Discharging\r\n\x00": discharging,
	} {
		s, ok := parseStatus([]byte(content))
		assert.True(t, ok, "%q", content)
		assert.Equal(t, want, s, "%q", content)
	}
	for _, content := range []string{"", "\n", "discharging", "DISCHARGING", "Discharging Charging", "Charging\nFull", "-1", "\x00Full"} {
		_, ok := parseStatus([]byte(content))
		assert.False(t, ok, "%q", content)
	}
}

func TestParseKind(t *testing.T) {
	for _, c := range []struct {
		typ, scope string
		want       kind
	}{
		{"Battery\n", "", cell},
		{"Battery\n", "System\n", cell},
		{"Battery\n", "Unknown\n", cell},
		{"Battery\n", "Device\n", other}, // C42 a mouse
		{"Mains\n", "", charger},
		{"Mains\n", "Device\n", other}, // the cradle of a mouse
		{"USB\n", "System\n", charger},
		{"USB_PD", "", charger},
		{"USB_C", "", charger},
		{"Wireless", "", charger},
		{"UPS", "", other},
		{"Unknown", "", other},
		{"", "", other},
		{"battery", "", other},
	} {
		assert.Equal(t, c.want, parseKind([]byte(c.typ), []byte(c.scope)), "%q of scope %q", c.typ, c.scope)
	}
}

func TestParseMagnitude(t *testing.T) {
	for content, want := range map[string]uint64{
		"0\n": 0, "-0": 0, "6342000\n": 6_342_000, "-431000\n": 431_000, " 17\r\n": 17, "18446744073709551615": math.MaxUint64,
	} {
		n, ok := parseMagnitude([]byte(content))
		assert.True(t, ok, "%q", content)
		assert.Equal(t, want, n, "%q", content)
	}
	for _, content := range []string{"", "-", "--1", "+1", "1.5", "0x10", "1 2", "1e6", "18446744073709551616", "999999999999999999999", "1\x002"} {
		_, ok := parseMagnitude([]byte(content))
		assert.False(t, ok, "%q", content)
	}
}

// 12.213 V × 0.431 A = 5.263803 W.
func TestProduct(t *testing.T) {
	for _, c := range []struct {
		uv, ua uint64
		want   unit.Microwatts
		ok     bool
	}{
		{12_213_000, 431_000, 5_263_803, true},
		{1, 999_999, 0, true}, // below 1 µW
		{1, 1_000_000, 1, true},
		{0, 5, 0, true},
		{20_000_000, 50_000_000, 1000 * unit.Watt, true},
		{20_000_000, 50_000_001, 0, false}, // 1000.00002 W
		{math.MaxUint64, math.MaxUint64, 0, false},
		{math.MaxUint64, 1_000_000, 0, false},
	} {
		p, ok := product(c.uv, c.ua)
		assert.Equal(t, c.ok, ok, "%d × %d", c.uv, c.ua)
		if c.ok {
			assert.Equal(t, c.want, p, "%d × %d", c.uv, c.ua)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"Discharging\n", "-431000\n", "6342000", "Battery\n", "USB_PD\n", "Device", "18446744073709551616", "\x00"} {
		f.Add([]byte(s), []byte("Device\n"))
	}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		if s, ok := parseStatus(a); !ok && s != idle {
			t.Errorf("status %d of %q, which is none", s, a)
		}
		if n, ok := parseMagnitude(a); ok {
			if p, sound := product(n, n); sound && p > absurdPower {
				t.Errorf("%d² gives %d µW", n, p)
			}
		}
		if parseKind(a, []byte("Device")) != other {
			t.Errorf("%q of a peripheral counts", a)
		}
		_ = parseKind(a, b)
	})
}
