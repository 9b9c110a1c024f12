package cputime

import (
	"encoding/binary"
	"errors"
)

// Numbers of fields in profile.proto of github.com/google/pprof, and of the wire format of
// Protocol Buffers.
const (
	profileSample = 2
	profileString = 6
	sampleValue   = 2
	sampleLabel   = 3
	labelKey      = 1
	labelString   = 2

	wireVarint = 0
	wireFixed  = 1
	wireBytes  = 2
	wireFixed4 = 5
)

var errProfile = errors.New("CPU profile: it is not one of the runtime")

// count adds up how many samples of a profile have which value of Key. It reads what it
// needs, by hand: a library for this would be in the go.mod of every application.
func count(profile []byte, counts map[string]int64) error {
	var table []string // what follows needs the strings, which may come last
	key := -1
	err := fields(profile, func(field int, _ uint64, value []byte) error {
		if field == profileString {
			if string(value) == Key {
				key = len(table)
			}
			table = append(table, string(value))
		}
		return nil
	})
	if err != nil {
		return err
	}
	return fields(profile, func(field int, _ uint64, value []byte) error {
		if field != profileSample {
			return nil
		}
		n, label, err := sample(value, key)
		if err != nil {
			return err
		}
		if label >= len(table) {
			return errProfile
		}
		counts[table[label]] += n
		return nil
	})
}

// sample returns how often a stack was met, the first value of the runtime's profiles, and
// the number of the string that is its label; 0, which is "", if it has none.
func sample(b []byte, key int) (n int64, label int, err error) {
	seen := false
	err = fields(b, func(field int, number uint64, value []byte) error {
		switch field {
		case sampleValue:
			if value != nil { // packed
				var size int
				if number, size = binary.Uvarint(value); size <= 0 {
					return errProfile
				}
			}
			if !seen {
				n, seen = int64(number), true //nolint:gosec // checked below
			}
		case sampleLabel:
			k, v := -1, 0
			if err := fields(value, func(field int, number uint64, _ []byte) error {
				switch {
				case number >= 1<<31:
				case field == labelKey:
					k = int(number)
				case field == labelString:
					v = int(number)
				}
				return nil
			}); err != nil {
				return err
			}
			if k == key {
				label = v
			}
		}
		return nil
	})
	if n < 0 || n > 1<<40 {
		return 0, 0, errProfile
	}
	return n, label, err
}

// fields calls yield for each field of a message: with a number, or with bytes, which are
// not nil then.
func fields(b []byte, yield func(field int, number uint64, value []byte) error) error {
	for len(b) > 0 {
		tag, size := binary.Uvarint(b)
		if size <= 0 || tag>>3 == 0 || tag>>3 > 1<<29-1 {
			return errProfile
		}
		b = b[size:]
		var number uint64
		var value []byte
		switch tag & 7 {
		case wireVarint:
			if number, size = binary.Uvarint(b); size <= 0 {
				return errProfile
			}
			b = b[size:]
		case wireFixed, wireFixed4:
			size = 8
			if tag&7 == wireFixed4 {
				size = 4
			}
			if len(b) < size {
				return errProfile
			}
			b = b[size:]
		case wireBytes:
			length, size := binary.Uvarint(b)
			if size <= 0 || length > uint64(len(b)-size) { //nolint:gosec // size is not more than len(b)
				return errProfile
			}
			value, b = b[size:size+int(length):size+int(length)], b[size+int(length):] //nolint:gosec // checked
		default:
			return errProfile
		}
		if err := yield(int(tag>>3), number, value); err != nil {
			return err
		}
	}
	return nil
}
