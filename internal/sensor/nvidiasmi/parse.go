package nvidiasmi

import (
	"bytes"
	"unicode"
	"unicode/utf8"

	"github.com/otelcarbon/otelcarbon/internal/unit"
)

// maxLine is the longest line in bytes that is looked at. The longest of real ones
// has 40 for the UUID, 96 for the name (NVML_DEVICE_NAME_V2_BUFFER_SIZE, nvml.h)
// and a few for the rest.
const maxLine = 512

// maxName is NVML_DEVICE_NAME_V2_BUFFER_SIZE of nvml.h.
const maxName = 96

// absurdPower is beyond every GPU: 0xFFFFFFFF mW, which drivers show for an error,
// is 4.3 MW.
const absurdPower = 10_000 * unit.Watt

// A row is one line of the table. Its slices lie in the line.
type row struct {
	index      int
	uuid, name []byte
	power      unit.Microwatts // 0: the driver shows none
	text       []byte          // then: what it shows instead
}

// parseRow reads index, UUID, one or two fields of power, and the name, which may
// contain what separates the others. Of two powers the first that is one counts.
func parseRow(line []byte, powers int) (r row, ok bool) {
	field := func() (f []byte) {
		f, line, ok = bytes.Cut(line, []byte(","))
		return bytes.TrimSpace(f)
	}
	index := field()
	if r.index, ok = parseIndex(index); !ok {
		return r, false
	}
	if r.uuid = field(); !ok || !isUUID(r.uuid) {
		return r, false
	}
	for i := range powers {
		f := field()
		if !ok {
			return r, false
		}
		p, known, sound := parsePower(f)
		if !sound {
			return r, false
		}
		if known && r.power == 0 {
			r.power = p
		}
		if i == 0 {
			r.text = f
		}
	}
	r.name = bytes.TrimSpace(line)
	return r, isName(r.name)
}

// parsePower reads a field of power in W. Known is false if the driver shows
// another word for it, such as [N/A], or 0.00, which no GPU that answers draws and
// some drivers show for boards without a sensor. Sound is false if it is none of
// these.
func parsePower(f []byte) (p unit.Microwatts, known, sound bool) {
	if isExcuse(f) {
		return 0, false, true
	}
	whole, fraction, point := bytes.Cut(f, []byte("."))
	if len(whole) == 0 || len(whole) > 7 || len(fraction) > 6 || point && len(fraction) == 0 {
		return 0, false, false
	}
	scale := unit.Watt
	for _, c := range whole {
		if c < '0' || c > '9' {
			return 0, false, false
		}
		p = 10*p + unit.Microwatts(c-'0')*unit.Watt
	}
	for _, c := range fraction {
		if c < '0' || c > '9' {
			return 0, false, false
		}
		scale /= 10
		p += unit.Microwatts(c-'0') * scale
	}
	if p > absurdPower {
		return 0, false, true
	}
	return p, p > 0, true
}

// isExcuse says whether a field tells in words that there is no value: [N/A],
// [Not Supported], [Unknown Error], [GPU requires reset], ERR!.
func isExcuse(f []byte) bool {
	if s := string(f); s == "N/A" || s == "ERR!" {
		return true
	}
	if len(f) < 3 || len(f) > 64 || f[0] != '[' || f[len(f)-1] != ']' {
		return false
	}
	for _, c := range f[1 : len(f)-1] {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != ' ' && c != '/' && c != '!' {
			return false
		}
	}
	return true
}

// isName says whether b is the name of a board. It begins with a letter, so that a
// number more in a row is not taken for a part of it.
func isName(b []byte) bool {
	if len(b) == 0 || len(b) > maxName || (b[0]|0x20) < 'a' || (b[0]|0x20) > 'z' {
		return false
	}
	for rest := b; len(rest) > 0; {
		r, n := utf8.DecodeRune(rest)
		if r == utf8.RuneError && n <= 1 || !unicode.IsPrint(r) {
			return false
		}
		rest = rest[n:]
	}
	return true
}

// lines cuts what arrives in pieces into lines.
type lines struct {
	buf  [maxLine]byte
	n    int
	skip bool // the rest of a line that is too long
}

// add calls yield for each line that piece completes, without its end. A line that
// is too long is cut there. The slice is valid during the call.
func (l *lines) add(piece []byte, yield func(line []byte)) {
	for len(piece) > 0 {
		part, rest, ended := bytes.Cut(piece, []byte("\n"))
		piece = rest
		if !l.skip {
			n := copy(l.buf[l.n:], part)
			if l.n += n; n < len(part) {
				l.skip = true
			}
		}
		if ended {
			yield(bytes.TrimSpace(l.buf[:l.n]))
			l.n, l.skip = 0, false
		}
	}
}
