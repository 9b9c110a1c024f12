package intensity

import "math/bits"

// wide is an unsigned sum of 128 bits: 10⁻⁹ g/kWh times ns. The largest intensity
// over the largest int64 of ns needs 107 of them.
type wide struct{ hi, lo uint64 }

func (w *wide) add(nano, ns uint64) {
	hi, lo := bits.Mul64(nano, ns)
	var carry uint64
	w.lo, carry = bits.Add64(w.lo, lo, 0)
	w.hi, _ = bits.Add64(w.hi, hi, carry)
}

func (w *wide) sub(nano, ns uint64) {
	hi, lo := bits.Mul64(nano, ns)
	var borrow uint64
	w.lo, borrow = bits.Sub64(w.lo, lo, 0)
	w.hi, _ = bits.Sub64(w.hi, hi, borrow)
}

func (w wide) less(than wide) bool {
	return w.hi < than.hi || w.hi == than.hi && w.lo < than.lo
}

// mean returns g/kWh over ns, which has to be at least what was added.
func (w wide) mean(ns uint64) float64 {
	nano, rest := bits.Div64(w.hi, w.lo, ns)
	return (float64(nano) + float64(rest)/float64(ns)) / 1e9
}
