package carbonprocessor

import (
	"encoding/binary"
	"hash/maphash"
	"math"

	"github.com/zeebo/xxh3"
	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/otelcarbon/otelcarbon/internal/names"
)

// An identity tells streams apart by 128 bits. Attributes count whatever their
// order is.
type identity struct{ hi, lo uint64 }

// hasher makes identities. The seed differs between processes, so that nobody
// can prepare attributes that collide.
type hasher struct{ seed uint64 }

func newHasher() hasher { return hasher{seed: maphash.Bytes(maphash.MakeSeed(), nil)} }

// Tags keep values of different types apart: the string "1" is not the number 1.
const (
	tagKey uint64 = iota + 1
	tagEmpty
	tagBool
	tagInt
	tagDouble
	tagBytes
	tagSlice
	tagMap
	tagBase
)

// attributes returns the sum of the hashes of all pairs, which does not depend on
// their order.
func (h hasher) attributes(m pcommon.Map) identity {
	id := identity{lo: uint64(m.Len())} //nolint:gosec // a length
	m.Range(func(k string, v pcommon.Value) bool {
		one := h.pair(k, v)
		id.hi += one.hi
		id.lo += one.lo
		return true
	})
	return id
}

func (h hasher) pair(k string, v pcommon.Value) identity {
	sum := h.value(v, xxh3.HashStringSeed(k, h.seed^tagKey))
	return identity{hi: sum.Hi, lo: sum.Lo}
}

// machine identifies the machine of a resource by its host.id, or else its host.name; it
// is zero if there is neither.
func (h hasher) machine(resource pcommon.Map) identity {
	for _, key := range [...]string{names.ResourceHostID, names.ResourceHostName} {
		if v, ok := resource.Get(key); ok {
			return h.pair(key, v)
		}
	}
	return identity{}
}

func (h hasher) value(v pcommon.Value, seed uint64) xxh3.Uint128 {
	switch v.Type() {
	case pcommon.ValueTypeStr:
		return xxh3.HashString128Seed(v.Str(), seed)
	case pcommon.ValueTypeBool:
		if v.Bool() {
			return number(1, seed^tagBool)
		}
		return number(0, seed^tagBool)
	case pcommon.ValueTypeInt:
		return number(uint64(v.Int()), seed^tagInt) //nolint:gosec // the bits count, not the value
	case pcommon.ValueTypeDouble:
		return number(math.Float64bits(v.Double()), seed^tagDouble)
	case pcommon.ValueTypeBytes:
		bytes := v.Bytes()
		acc := number(uint64(bytes.Len()), seed^tagBytes) //nolint:gosec // a length
		var b [64]byte                                    // in pieces: pdata gives single bytes, or a copy of all
		for i := 0; i < bytes.Len(); {
			n := 0
			for ; n < len(b) && i < bytes.Len(); n, i = n+1, i+1 {
				b[n] = bytes.At(i)
			}
			acc = xxh3.Hash128Seed(b[:n], acc.Hi^acc.Lo)
		}
		return acc
	case pcommon.ValueTypeSlice:
		list := v.Slice()
		acc := number(uint64(list.Len()), seed^tagSlice) //nolint:gosec // a length
		for i := range list.Len() {
			acc = h.value(list.At(i), acc.Hi^acc.Lo) // chained: the order of a list counts
		}
		return acc
	case pcommon.ValueTypeMap:
		inner := h.attributes(v.Map())
		acc := number(inner.hi, seed^tagMap)
		return number(inner.lo, acc.Hi^acc.Lo)
	}
	return number(0, seed^tagEmpty)
}

func number(n, seed uint64) xxh3.Uint128 {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], n)
	return xxh3.Hash128Seed(b[:], seed)
}

// base is what all points of one metric have in common.
func (h hasher) base(resource identity, scope pcommon.InstrumentationScope, metric string, k kind) identity {
	attrs := h.attributes(scope.Attributes())
	var b [64]byte
	for i, n := range [...]uint64{
		resource.hi, resource.lo, attrs.hi, attrs.lo,
		xxh3.HashStringSeed(scope.Name(), h.seed), xxh3.HashStringSeed(scope.Version(), h.seed),
		xxh3.HashStringSeed(metric, h.seed), uint64(k),
	} {
		binary.LittleEndian.PutUint64(b[8*i:], n)
	}
	sum := xxh3.Hash128Seed(b[:], h.seed^tagBase)
	return identity{hi: sum.Hi, lo: sum.Lo}
}

// point is the identity of one stream of the metric.
func (h hasher) point(base identity, attrs pcommon.Map) identity {
	id := h.attributes(attrs)
	return identity{hi: base.hi + id.hi, lo: base.lo + id.lo}
}
