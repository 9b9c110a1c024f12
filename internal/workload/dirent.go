package workload

import (
	"bytes"
	"encoding/binary"
)

// An entry of a folder as getdents64 returns it.
type dirent struct {
	ino  uint64
	kind byte
	name []byte // part of the input
}

// nextDirent takes one struct linux_dirent64 off b: ino, offset (8 bytes each), length
// (2), type (1), name with a NUL. It is in the byte order of the machine.
func nextDirent(b []byte) (d dirent, rest []byte, ok bool) {
	const fixed = 19
	if len(b) < fixed {
		return d, nil, false
	}
	n := int(binary.NativeEndian.Uint16(b[16:]))
	if n < fixed || n > len(b) {
		return d, nil, false
	}
	name := b[fixed:n]
	if i := bytes.IndexByte(name, 0); i >= 0 {
		name = name[:i]
	}
	return dirent{ino: binary.NativeEndian.Uint64(b), kind: b[18], name: name}, b[n:], true
}
