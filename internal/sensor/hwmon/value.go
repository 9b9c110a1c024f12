package hwmon

import (
	"errors"
	"math/bits"

	"github.com/otelcarbon/otelcarbon/internal/sysfs"
	"github.com/otelcarbon/otelcarbon/internal/unit"
)

// What a content can be instead of a value. They are compared, and cost nothing
// while a failure lasts.
var (
	errNoNumber    = errors.New("not a decimal number")
	errNegative    = errors.New("below zero")
	errSentinel    = errors.New("the value that firmware shows when it has none (0xFFFFFFFF)")
	errImplausible = errors.New("more than 1 MW")
	errRange       = errors.New("more than any counter reaches")
)

const (
	implausible = 1_000_000 * unit.Watt
	maxCount    = 1 << 63 // µJ; drivers return a signed 64-bit number

	sentinelMilliwatts = (1<<32 - 1) * 1000 // µW; ACPI's 0xFFFFFFFF mW (ACPI specification, power meters, _PMM)
	sentinelMicrowatts = 1<<32 - 1          // µW; the same of firmware that counts in µW
)

func parse(b []byte) (uint64, error) {
	n, ok := sysfs.ParseCount(b)
	switch {
	case ok:
		return n, nil
	case sysfs.IsNegative(b):
		return 0, errNegative
	}
	return 0, errNoNumber
}

// parsePower reads µW. No power is no error: an idle rail draws none.
func parsePower(b []byte) (unit.Microwatts, error) {
	n, err := parse(b)
	switch {
	case err != nil:
		return 0, err
	case n == sentinelMilliwatts, n == sentinelMicrowatts:
		return 0, errSentinel
	}
	return plausible(n)
}

// parseEnergy reads µJ.
func parseEnergy(b []byte) (unit.Microjoules, error) {
	n, err := parse(b)
	if err == nil && n >= maxCount {
		err = errRange
	}
	if err != nil {
		return 0, err
	}
	return unit.Microjoules(n), nil
}

// multiply returns mV × mA, which is µW.
func multiply(millivolts, milliamperes uint64) (unit.Microwatts, error) {
	hi, lo := bits.Mul64(millivolts, milliamperes)
	if hi != 0 {
		return 0, errImplausible
	}
	return plausible(lo)
}

func plausible(microwatts uint64) (unit.Microwatts, error) {
	if p := unit.Microwatts(microwatts); p <= implausible {
		return p, nil
	}
	return 0, errImplausible
}
