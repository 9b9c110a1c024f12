package process

import "runtime/metrics"

// heldByGo tells how many bytes the Go runtime has from the system and has not given
// back, which is nearly all that a program without cgo holds.
func heldByGo() func() uint64 {
	s := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	return func() uint64 {
		metrics.Read(s)
		if s[0].Value.Kind() != metrics.KindUint64 || s[1].Value.Kind() != metrics.KindUint64 {
			return 0
		}
		return s[0].Value.Uint64() - min(s[0].Value.Uint64(), s[1].Value.Uint64())
	}
}
