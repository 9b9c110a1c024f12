package battery

import (
	"bytes"
	"math/bits"
	"strconv"
	"strings"

	"github.com/otelcarbon/otelcarbon/internal/unit"
)

// smallFile is the size of the buffer for one attribute: a number or a word.
const smallFile = 64

// absurdPower is more than the batteries of any host give.
const absurdPower = 1000 * unit.Watt

// status is what a battery says that it does.
type status uint8

const (
	idle        status = iota // Full, Not charging, Unknown and whatever else takes and gives nothing
	discharging               // gives
	charging                  // takes
)

// parseStatus reads the file status. The words are those of
// POWER_SUPPLY_STATUS_TEXT in drivers/power/supply/power_supply_sysfs.c.
func parseStatus(b []byte) (s status, ok bool) {
	switch string(trim(b)) {
	case "Discharging":
		return discharging, true
	case "Charging":
		return charging, true
	case "Full", "Not charging", "Unknown":
		return idle, true
	}
	return idle, false
}

// kind is what a supply is.
type kind uint8

const (
	other   kind = iota // counts for nothing: UPS, unknown types, what belongs to a peripheral
	charger             // feeds the host while it is online
	cell                // a battery of the host
)

// parseKind reads the files type and scope; scope may be missing.
func parseKind(typ, scope []byte) kind {
	if strings.EqualFold(string(trim(scope)), "Device") {
		return other
	}
	switch t := string(trim(typ)); {
	case t == "Battery":
		return cell
	case t == "Mains", t == "Wireless", t == "BrickID", strings.HasPrefix(t, "USB"): // USB, USB_C, USB_PD, …
		return charger
	}
	return other
}

// parseOnline reads the file online of a charger: 0, or 1 and 2 for a fixed and a
// programmable supply.
func parseOnline(b []byte) (online, ok bool) {
	n, ok := parseMagnitude(b)
	return n != 0, ok
}

// parseMagnitude reads a decimal number and leaves out its sign: some drivers
// show what flows out of a battery as negative, others as positive.
func parseMagnitude(b []byte) (n uint64, ok bool) {
	b = trim(b)
	if len(b) > 1 && b[0] == '-' {
		b = b[1:]
	}
	if len(b) == 0 || len(b) > 20 { // 2⁶⁴−1 has 20 digits
		return 0, false
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseUint(string(b), 10, 64) // the compiler keeps this string on the stack
	return n, err == nil
}

// sane returns a power_now in µW.
func sane(uw uint64) (unit.Microwatts, bool) {
	p := unit.Microwatts(uw)
	return p, p <= absurdPower
}

// product returns a voltage_now in µV times a current_now in µA.
func product(uv, ua uint64) (unit.Microwatts, bool) {
	const microPerUnit = 1_000_000
	hi, lo := bits.Mul64(uv, ua) // 10⁻¹² W
	if hi >= microPerUnit {
		return 0, false
	}
	q, _ := bits.Div64(hi, lo, microPerUnit)
	return sane(q)
}

func trim(b []byte) []byte {
	const space = " \t\n\v\f\r"
	return bytes.TrimLeft(bytes.TrimRight(b, space+"\x00"), space)
}
