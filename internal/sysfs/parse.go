// Package sysfs reads attributes of the Linux kernel: small files that hold a
// number or a word, that go when their device goes, and that may be anything at
// all in a tree which is not a kernel's.
//
// Nothing here blocks on a FIFO, opens a device or reads without bound. Parsing is
// for every operating system, files for Linux only.
package sysfs

import (
	"bytes"
	"strconv"
)

// Small is room enough for a number, a name or a label.
const Small = 128

// Trim cuts white space off both ends, and NUL bytes off the end.
func Trim(b []byte) []byte {
	const space = " \t\n\v\f\r"
	return bytes.TrimLeft(bytes.TrimRight(b, space+"\x00"), space)
}

// ParseCount reads a decimal number without a sign, of up to 20 digits, with
// white space around it and NUL bytes behind. It allocates nothing.
func ParseCount(b []byte) (n uint64, ok bool) {
	b = Trim(b)
	if len(b) == 0 || len(b) > 20 || !isDigits(b) { // 2⁶⁴−1 has 20 digits
		return 0, false
	}
	n, err := strconv.ParseUint(string(b), 10, 64) // the compiler keeps this string on the stack
	return n, err == nil
}

// IsNegative says whether the content is a decimal number below zero, which is
// well-formed where the kernel prints a long and yet no energy or power.
func IsNegative(b []byte) bool {
	b = Trim(b)
	return len(b) > 1 && len(b) <= 21 && b[0] == '-' && isDigits(b[1:])
}

// ParseIndex reads a number as the kernel prints it with %d: up to six digits,
// no leading zero, so that two texts never mean the same number.
func ParseIndex(s string) (n int, ok bool) {
	if s == "" || len(s) > 6 || (s[0] == '0' && len(s) > 1) {
		return 0, false
	}
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int(c-'0')
	}
	return n, true
}

// ParseText returns the one line of printable ASCII that an attribute holds: a
// name or a label, spaces inside it included.
func ParseText(b []byte) (s string, ok bool) {
	b = Trim(b)
	if len(b) == 0 {
		return "", false
	}
	for _, c := range b {
		if c < ' ' || c > '~' {
			return "", false
		}
	}
	return string(b), true
}

func isDigits(b []byte) bool {
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}
