package budget

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"math"
	"slices"
	"time"
)

// The state, version 1, all numbers big endian:
//
//	4  "ocb", version
//	8  length of a period in ns, 0 for the whole run
//	1  number of thresholds, then each of them: 8, float64 in percent
//	1  number of periods, then each of them, ascending:
//	     8, 4  start: seconds since 1970, nanoseconds
//	     4     thresholds that were told, bit i for threshold i
//	     1     whether machines beyond MaxKeys share an account
//	     32    that account: host, workloads, 16 each, picograms
//	     4     number of machines, then each of them, ascending: 16 key, 32 account
//	4  CRC-32C of all before
const (
	stateMagic   = "ocb"
	stateVersion = 1

	machineBytes = 16 + 32
	// A sum above this (hi word of a mass, so 5·10¹⁸ g) is no state of ours; below,
	// all sums of a state stay far from overflow.
	maxStoredHi = 1 << 38
)

// checksum is a CRC-32C, of which package hash/crc32 keeps the table.
func checksum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

// MarshalBinary returns the state of b: what is used in its open periods, and what
// was told. The same state has the same bytes. It never fails.
func (b *Budget) MarshalBinary() ([]byte, error) { return b.AppendBinary(nil) }

// AppendBinary appends what MarshalBinary returns to dst.
func (b *Budget) AppendBinary(dst []byte) ([]byte, error) {
	from := len(dst)
	dst = append(dst, stateMagic...)
	dst = append(dst, stateVersion)
	dst = binary.BigEndian.AppendUint64(dst, uint64(b.length)) //nolint:gosec // never negative
	dst = append(dst, byte(len(b.thresholds)))                 //nolint:gosec // maxThresholds at most
	for _, t := range b.thresholds {
		dst = binary.BigEndian.AppendUint64(dst, math.Float64bits(t.percent))
	}
	periods := b.periods[:]
	if b.length == 0 {
		periods = b.periods[current : current+1]
	}
	dst = append(dst, byte(len(periods))) //nolint:gosec // 3 at most
	for _, p := range periods {
		dst = p.append(dst)
	}
	return binary.BigEndian.AppendUint32(dst, checksum(dst[from:])), nil
}

func (p *period) append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint64(dst, uint64(p.start.Unix()))       //nolint:gosec // as two's complement
	dst = binary.BigEndian.AppendUint32(dst, uint32(p.start.Nanosecond())) //nolint:gosec // below 1e9
	dst = binary.BigEndian.AppendUint32(dst, p.told)
	dst = append(dst, 0)
	if p.lumped {
		dst[len(dst)-1] = 1
	}
	dst = p.lump.append(dst)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(p.machines))) //nolint:gosec // MaxKeys at most
	for _, k := range slices.SortedFunc(maps.Keys(p.machines), Key.compare) {
		dst = binary.BigEndian.AppendUint64(dst, k[0])
		dst = binary.BigEndian.AppendUint64(dst, k[1])
		dst = p.machines[k].append(dst)
	}
	return dst
}

func (k Key) compare(l Key) int { return cmp.Or(cmp.Compare(k[0], l[0]), cmp.Compare(k[1], l[1])) }

func (a account) append(dst []byte) []byte {
	for _, v := range [...]uint64{a.host.hi, a.host.lo, a.workloads.hi, a.workloads.lo} {
		dst = binary.BigEndian.AppendUint64(dst, v)
	}
	return dst
}

// UnmarshalBinary puts a state in place of what b holds, with b's own configuration
// and periods: call it after New and before the first booking. After an error, b is
// as it was.
//
// A stored period that is one of b's open ones is taken over with what was told. If
// the configuration has changed since: a stored period that lies within one of b's
// counts there, and its thresholds are told anew; one that does not (168h became
// 24h) cannot be cut and is left out, as are those that are long over. Under another
// limit or other thresholds, told stays what was told and is still reached.
func (b *Budget) UnmarshalBinary(data []byte) error {
	s, err := decode(data)
	if err != nil {
		return fmt.Errorf("budget %q: restore state of %d bytes: %w", b.name, len(data), err)
	}
	cur := b.periods[current]
	restored := window(b.length, cur.start)
	for i := range s.periods {
		b.restore(&restored, s, &s.periods[i])
	}
	b.periods = restored
	return nil
}

// restore adds a stored period to that of w in which it lies.
func (b *Budget) restore(w *[3]*period, s *state, from *period) {
	if b.length == 0 {
		into := w[current]
		if from.start.Before(into.start) && (s.length == 0 || len(from.machines) > 0) {
			into.start = from.start
		}
		b.merge(into, s, from)
		return
	}
	for _, into := range w {
		if s.length != 0 && !from.start.Before(into.start) && !from.end.After(into.end) {
			b.merge(into, s, from)
			return
		}
	}
}

func (b *Budget) merge(into *period, s *state, from *period) {
	for k, a := range from.machines {
		into.add(k, a)
	}
	if from.lumped {
		into.addLump(from.lump)
	}
	if s.length != b.length {
		return
	}
	for i, percent := range s.percents {
		j := slices.IndexFunc(b.thresholds, func(t threshold) bool { return t.percent == percent })
		if from.told&(1<<i) != 0 && j >= 0 && into.used.compare(b.thresholds[j].at) >= 0 {
			into.told |= 1 << j
		}
	}
}

// state is what a state of bytes says.
type state struct {
	length   time.Duration
	percents []float64
	periods  []period
}

// decode reads what AppendBinary wrote, and nothing else.
func decode(data []byte) (*state, error) {
	const least = 4 + 8 + 1 + 1 + 4
	if len(data) < least {
		return nil, errors.New("it is cut off")
	}
	if !bytes.HasPrefix(data, []byte(stateMagic)) {
		return nil, errors.New("it is no state of a budget")
	}
	if v := data[len(stateMagic)]; v != stateVersion {
		return nil, fmt.Errorf("it has version %d: want %d", v, stateVersion)
	}
	body, sum := data[:len(data)-4], binary.BigEndian.Uint32(data[len(data)-4:])
	if checksum(body) != sum {
		return nil, errors.New("its checksum is wrong")
	}
	in := &reader{rest: body[len(stateMagic)+1:]}
	s := in.state()
	if in.err == nil && len(in.rest) > 0 {
		in.fail("%d bytes too many", len(in.rest))
	}
	return s, in.err
}

// reader cuts numbers off the front of rest. After an error it returns zeros.
type reader struct {
	rest []byte
	err  error
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format, args...)
	}
	r.rest = nil
}

func (r *reader) bytes(n int) []byte {
	if len(r.rest) < n {
		r.fail("it is cut off")
		return make([]byte, n)
	}
	cut := r.rest[:n]
	r.rest = r.rest[n:]
	return cut
}

func (r *reader) byte() byte     { return r.bytes(1)[0] }
func (r *reader) uint32() uint32 { return binary.BigEndian.Uint32(r.bytes(4)) }
func (r *reader) uint64() uint64 { return binary.BigEndian.Uint64(r.bytes(8)) }

func (r *reader) state() *state {
	s := &state{length: time.Duration(r.uint64())} //nolint:gosec // checked below
	if s.length != 0 && s.length < time.Second {
		r.fail("periods of %v", s.length)
	}
	n := int(r.byte())
	if n > maxThresholds {
		r.fail("%d thresholds", n)
		n = 0
	}
	for range n {
		s.percents = append(s.percents, math.Float64frombits(r.uint64()))
	}
	n = int(r.byte())
	if n > 3 || s.length == 0 && n > 1 {
		r.fail("%d periods of %v", n, s.length)
		n = 0
	}
	for i := range n {
		p := r.period(s.length)
		if i > 0 && !p.start.After(s.periods[i-1].start) {
			r.fail("period %d does not come after the one before", i)
		}
		if r.err != nil {
			break
		}
		s.periods = append(s.periods, p)
	}
	return s
}

func (r *reader) period(length time.Duration) period {
	sec, nsec := int64(r.uint64()), r.uint32() //nolint:gosec // times before 1970 are negative
	if nsec >= 1e9 {
		r.fail("%d ns in a second", nsec)
	}
	p := period{start: time.Unix(sec, int64(nsec)).UTC()}
	if length != 0 {
		p.end = p.start.Add(length)
		if !p.start.Equal(p.start.Truncate(length)) || !p.start.Before(p.end) {
			r.fail("%v begins no period of %v", p.start, length)
		}
	}
	p.told = r.uint32()
	lumped := r.byte()
	p.lump, p.lumped = r.account(), lumped == 1
	if lumped > 1 || !p.lumped && p.lump != (account{}) {
		r.fail("a shared account that is not there")
	}
	n := int(r.uint32())
	if n > MaxKeys || n > len(r.rest)/machineBytes {
		r.fail("%d machines, which it does not hold", n)
		return p
	}
	p.machines = make(map[Key]account, n)
	var last Key
	for i := range n {
		k := Key{r.uint64(), r.uint64()}
		if i > 0 && last.compare(k) >= 0 {
			r.fail("machine %d does not come after the one before", i)
		}
		last = k
		p.machines[k] = r.account()
	}
	return p
}

func (r *reader) account() account {
	a := account{mass{r.uint64(), r.uint64()}, mass{r.uint64(), r.uint64()}}
	if a.host.hi >= maxStoredHi || a.workloads.hi >= maxStoredHi {
		r.fail("an amount of more than a machine emits")
		return account{}
	}
	return a
}
