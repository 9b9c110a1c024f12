package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/zeebo/xxh3"
)

// Every value is the magic with the version of the format, a body and a checksum.
// Numbers are little endian.
const (
	magic     = "ocj\x01"
	headKey   = "head"
	maxChunks = 1 << 14 // some 70 million streams
)

// checksum also depends on the key, under which nothing else may pass for the value.
func checksum(key string, v []byte) uint64 { return xxh3.HashSeed(v, xxh3.HashString(key)) }

// open returns the body of a value.
func open(key string, v []byte) (decoder, error) {
	n := len(v) - 8
	switch {
	case n < len(magic) || string(v[:3]) != magic[:3]:
		return decoder{}, errors.New("this is no value of a journal")
	case v[3] != magic[3]:
		return decoder{}, fmt.Errorf("written in format %d, want %d", v[3], magic[3])
	case binary.LittleEndian.Uint64(v[n:]) != checksum(key, v[:n]):
		return decoder{}, errors.New("the checksum is wrong")
	}
	return decoder{rest: v[len(magic):n]}, nil
}

// An encoder makes the value of a record or a chunk: what a record says of the
// journal, 0 in a chunk; streams, each after a 1; a 0; what else a record has. A label
// is spelled out where it is used first.
type encoder struct {
	buf     []byte
	labels  map[*Label]uint64
	streams int
}

func newEncoder() encoder { return encoder{labels: make(map[*Label]uint64)} }

func (e *encoder) reset() {
	e.buf, e.streams = append(e.buf[:0], magic...), 0
	e.buf = append(e.buf, make([]byte, 16)...) // for end
	clear(e.labels)
}

func (e *encoder) u64(n uint64)    { e.buf = binary.LittleEndian.AppendUint64(e.buf, n) }
func (e *encoder) i64(n int64)     { e.u64(uint64(n)) } //nolint:gosec // bits
func (e *encoder) f64(f float64)   { e.u64(math.Float64bits(f)) }
func (e *encoder) uvarint(n int)   { e.buf = binary.AppendUvarint(e.buf, uint64(n)) } //nolint:gosec // a length
func (e *encoder) string(s string) { e.uvarint(len(s)); e.buf = append(e.buf, s...) }

func (e *encoder) bool(b bool) {
	if b {
		e.buf = append(e.buf, 1)
	} else {
		e.buf = append(e.buf, 0)
	}
}

func (e *encoder) put(s *Stream) {
	e.streams++
	e.bool(true)
	e.u64(s.ID.Hi)
	e.u64(s.ID.Lo)
	e.i64(s.Start)
	e.i64(s.Last)
	e.f64(s.Value)
	e.f64(s.Half)
	e.i64(s.Seen)
	e.bool(s.Ended)
	e.sums(s.Sums)
	e.sums(s.Corrections)
	e.uvarint(len(s.Owed))
	for i := range s.Owed {
		o := &s.Owed[i]
		e.i64(o.From)
		e.i64(o.To)
		e.f64(o.Joules)
		e.f64(o.Grams)
		e.buf = append(e.buf, o.Boundary)
	}
}

func (e *encoder) sums(sums []Sum) {
	e.uvarint(len(sums))
	for i := range sums {
		s := &sums[i]
		e.label(s.Label)
		e.i64(s.Start)
		e.f64(s.Grams)
		e.f64(s.Lower)
		e.f64(s.Upper)
		e.f64(s.Cost)
		e.f64(s.Water)
	}
}

func (e *encoder) label(l *Label) {
	n, known := e.labels[l]
	if !known {
		n = uint64(len(e.labels))
		e.labels[l] = n
	}
	e.buf = binary.AppendUvarint(e.buf, n)
	if !known {
		e.string(l.Zone)
		e.string(l.Source)
		e.string(l.Boundary)
		e.bool(l.Embodied)
	}
}

func (e *encoder) end(failures uint64, born int64, extra []byte) {
	binary.LittleEndian.PutUint64(e.buf[len(magic):], failures)
	binary.LittleEndian.PutUint64(e.buf[len(magic)+8:], uint64(born)) //nolint:gosec // bits
	e.bool(false)
	e.extra(extra)
}

func (e *encoder) extra(b []byte) {
	e.bool(b != nil)
	e.uvarint(len(b))
	e.buf = append(e.buf, b...)
}

func (e *encoder) seal(key string) { e.u64(checksum(key, e.buf)) }

// A head says what counts: so many chunks of a generation, and the records from
// first on.
type head struct {
	epoch      uint64 // part of all keys, so that nothing of a head that was lost can be found
	seed       uint64
	previous   uint64 // the generation before, of which something may be left
	generation uint64
	chunks     uint64
	bytes      uint64 // in the chunks
	first      uint64
	failures   uint64 // how many commits had failed before first
	born       int64
}

func (h *head) encode(extra []byte) []byte {
	e := encoder{buf: []byte(magic)}
	for _, n := range [...]uint64{h.epoch, h.seed, h.previous, h.generation, h.chunks, h.bytes, h.first, h.failures} {
		e.u64(n)
	}
	e.i64(h.born)
	e.extra(extra)
	e.seal(headKey)
	return e.buf
}

func decodeHead(v []byte) (h head, extra []byte, err error) {
	d, err := open(headKey, v)
	if err != nil {
		return head{}, nil, err
	}
	for _, n := range [...]*uint64{&h.epoch, &h.seed, &h.previous, &h.generation, &h.chunks, &h.bytes, &h.first, &h.failures} {
		*n = d.u64()
	}
	h.born = d.i64()
	extra = d.extra()
	const most = math.MaxInt64 // so that nothing overflows
	if h.first-1 >= most || h.previous > h.generation || h.generation >= most || h.chunks > maxChunks || h.bytes > most {
		d.bad = true
	}
	return h, extra, d.end()
}

// A decoder reads a body. After the first thing that cannot be, bad is set and all
// values are zero.
type decoder struct {
	rest []byte
	bad  bool

	table []*Label
	known map[Label]*Label // of all values: thousands of streams share few labels
}

func (d *decoder) take(n uint64) []byte {
	if n > uint64(len(d.rest)) {
		d.rest, d.bad = nil, true
		return nil
	}
	b := d.rest[:n]
	d.rest = d.rest[n:]
	return b
}

func (d *decoder) u64() uint64 {
	if b := d.take(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

func (d *decoder) i64() int64   { return int64(d.u64()) } //nolint:gosec // bits
func (d *decoder) f64() float64 { return math.Float64frombits(d.u64()) }

func (d *decoder) bool() bool {
	b := d.take(1)
	if len(b) == 0 || b[0] > 1 {
		d.bad = true
		return false
	}
	return b[0] == 1
}

func (d *decoder) u8() uint8 {
	b := d.take(1)
	if len(b) == 0 {
		d.bad = true
		return 0
	}
	return b[0]
}

func (d *decoder) uvarint() uint64 {
	n, size := binary.Uvarint(d.rest)
	if size <= 0 {
		d.rest, d.bad = nil, true
		return 0
	}
	d.rest = d.rest[size:]
	return n
}

// count returns the length of a list whose items have size bytes or more each.
func (d *decoder) count(size int) int {
	n := d.uvarint()
	if n > uint64(len(d.rest)/size) { //nolint:gosec // sizes are constants
		d.rest, d.bad = nil, true
		return 0
	}
	return int(n) //nolint:gosec // not more than there are bytes
}

func (d *decoder) string() string { return string(d.take(d.uvarint())) }

func (d *decoder) extra() []byte {
	given := d.bool()
	b := d.string()
	if !given {
		return nil
	}
	return []byte(b)
}

func (d *decoder) id() ID { return ID{Hi: d.u64(), Lo: d.u64()} }

// stream reads what follows the ID.
func (d *decoder) stream(s *Stream) {
	s.Start, s.Last = d.i64(), d.i64()
	s.Value, s.Half = d.f64(), d.f64()
	s.Seen, s.Ended = d.i64(), d.bool()
	s.Sums = d.sums(s.Sums)
	s.Corrections = d.sums(s.Corrections)
	s.Owed = resize(s.Owed, d.count(33))
	for i := range s.Owed {
		s.Owed[i] = Owed{From: d.i64(), To: d.i64(), Joules: d.f64(), Grams: d.f64(), Boundary: d.u8()}
	}
}

func (d *decoder) sums(sums []Sum) []Sum {
	sums = resize(sums, d.count(49))
	for i := range sums {
		sums[i] = Sum{
			Label: d.label(), Start: d.i64(),
			Grams: d.f64(), Lower: d.f64(), Upper: d.f64(), Cost: d.f64(), Water: d.f64(),
		}
	}
	return sums
}

func (d *decoder) label() *Label {
	switch n := d.uvarint(); {
	case n < uint64(len(d.table)):
		return d.table[n]
	case n > uint64(len(d.table)):
		d.rest, d.bad = nil, true
		return nil
	}
	l := Label{Zone: d.string(), Source: d.string(), Boundary: d.string(), Embodied: d.bool()}
	shared := d.known[l]
	if shared == nil {
		shared = &l
		d.known[l] = shared
	}
	d.table = append(d.table, shared)
	return shared
}

func (d *decoder) end() error {
	if d.bad || len(d.rest) > 0 {
		return errors.New("the checksum is right and the content is not")
	}
	return nil
}

// resize returns a list of n items, nil for none, in the memory of old if that is
// large enough.
func resize[T any](old []T, n int) []T {
	if n == 0 {
		return nil
	}
	if n <= cap(old) {
		return old[:n]
	}
	return make([]T, n)
}
