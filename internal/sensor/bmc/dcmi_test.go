package bmc

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/unit"
)

// statistics is an answer: 0x0140 = 320 W now, 100 to 500 W, mean 310 W, at
// 0x65000000 s, over 1000 ms, active.
func statistics() []byte {
	return []byte{
		0, 0xdc, 0x40, 0x01, 0x64, 0x00, 0xf4, 0x01, 0x36, 0x01,
		0x00, 0x00, 0x00, 0x65, 0xe8, 0x03, 0x00, 0x00, 0x40,
	}
}

func with(b []byte, at int, values ...byte) []byte {
	copy(b[at:], values)
	return b
}

func TestDecodeDCMI(t *testing.T) {
	at := time.Now()
	for _, c := range []struct {
		name    string
		answer  []byte
		power   unit.Microwatts
		stamped bool
	}{
		{"a reading", statistics(), 320_000_000, true},
		{"1 W", with(statistics(), 2, 1, 0), 1_000_000, true},
		{"65 535 W", with(statistics(), 2, 0xff, 0xff), 65_535_000_000, true},
		{"more bytes than there should be", append(statistics(), 1, 2, 3), 320_000_000, true},
		{"the clock is 0", with(statistics(), 10, 0, 0, 0, 0), 320_000_000, false},
		{"the clock is not set", with(statistics(), 10, 0xff, 0xff, 0xff, 0xff), 320_000_000, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := decodeDCMI(c.answer, at)
			require.NoError(t, err)
			assert.Equal(t, c.power, s.power)
			assert.Equal(t, at, s.at)
			assert.Equal(t, c.stamped, s.stamp != "")
			assert.Contains(t, s.name, "AC or DC")
		})
	}
	for _, c := range []struct {
		name   string
		answer []byte
		class  sensor.Class
		words  string
	}{
		{"nothing", nil, sensor.Malformed, "empty"},
		{"cut off", statistics()[:18], sensor.Malformed, "18 bytes instead of 19"},
		{"success alone", []byte{0}, sensor.Malformed, "1 bytes"},
		{"another group", with(statistics(), 1, 0xdd), sensor.Malformed, "group 0xdd"},
		{"C34 0 W", with(statistics(), 2, 0, 0), sensor.Malformed, "0 W"},
		{"not active", with(statistics(), 18, 0), sensor.Absent, "not active"},
		{"not active, other bits set", with(statistics(), 18, 0xbf), sensor.Absent, "not active"},
		{"no DCMI", []byte{0xc1}, sensor.Absent, "0xc1"},
		{"no sensor", []byte{0xcb}, sensor.Absent, "0xcb"},
		{"privilege", []byte{0xd4}, sensor.Permission, "0xd4"},
		{"busy", []byte{0xc0}, sensor.IO, "busy"},
		{"C43 timeout inside the controller", []byte{0xc3}, sensor.IO, "timed out"},
		{"unspecified", []byte{0xff, 0xdc}, sensor.IO, "0xff"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := decodeDCMI(c.answer, at)
			require.ErrorContains(t, err, c.words)
			assert.Equal(t, c.class, classify(err))
		})
	}
}

func TestRequestDCMI(t *testing.T) {
	assert.Equal(t, []byte{0xdc, 1, 0, 0}, dcmiRequest())
}

func FuzzDecodeDCMI(f *testing.F) {
	f.Add(statistics())
	f.Add(statistics()[:18])
	f.Add(with(statistics(), 18, 0))
	f.Add([]byte{0xc1})
	f.Add([]byte(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := decodeDCMI(b, time.Time{})
		if err == nil && (s.power == 0 || s.power > 65_535*unit.Watt || s.power%unit.Watt != 0) {
			t.Errorf("% x became %d µW", b, s.power)
		}
		if err != nil && s.power != 0 {
			t.Errorf("% x gave an error and %d µW", b, s.power)
		}
	})
}
