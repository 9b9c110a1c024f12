package workload

import (
	"errors"
	"slices"

	"golang.org/x/sys/unix"
)

// maxFiles bounds the files kept open, whatever the limit of the process is.
const maxFiles = 8192

// idleReads is for how many Reads a file stays open that nobody has read, if others
// need its place.
const idleReads = 5

// A handle is a file or folder that may be kept open. The zero value is closed.
type handle struct {
	fd   int32 // plus one
	slot int32
	used uint32 // number of the Read that used it last
}

func (h *handle) isOpen() bool { return h.fd > 0 }

// A budget keeps a bounded number of files open. When it is full, a file that is read
// takes the place of one that has not been read lately, so that those stay open which
// are read each time: the busiest.
type budget struct {
	limit int
	slots []*handle
	hand  int
	now   uint32 // number of this Read
}

// fileLimit takes half of the files that this process may open: the other half is for
// what else it does.
func fileLimit() int {
	var l unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &l) != nil {
		return 256
	}
	return int(min(l.Cur/2, maxFiles))
}

// keep takes over fd, if there is room. Otherwise the caller closes it.
func (b *budget) keep(h *handle, fd int) bool {
	if len(b.slots) >= b.limit && !b.makeRoom() {
		return false
	}
	*h = handle{fd: int32(fd) + 1, slot: int32(len(b.slots)), used: b.now} //nolint:gosec // both are below the limit of open files
	b.slots = append(b.slots, h)
	return true
}

// makeRoom looks at a few files only: a search of all would cost more than opening one.
func (b *budget) makeRoom() bool {
	for range min(8, len(b.slots)) {
		b.hand = (b.hand + 1) % len(b.slots)
		if h := b.slots[b.hand]; b.now-h.used > idleReads {
			b.shut(h)
			return true
		}
	}
	return false
}

func (b *budget) shut(h *handle) {
	if !h.isOpen() {
		return
	}
	_ = unix.Close(int(h.fd - 1))
	last := b.slots[len(b.slots)-1]
	b.slots[h.slot], last.slot = last, h.slot
	b.slots[len(b.slots)-1] = nil
	b.slots = b.slots[:len(b.slots)-1]
	*h = handle{}
}

func (b *budget) shutAll() {
	for len(b.slots) > 0 {
		b.shut(b.slots[len(b.slots)-1])
	}
}

// read reads the start of a file, and keeps it open if it can. path is asked only if the
// file is not open. At offset 0 the kernel computes an attribute anew.
func (b *budget) read(h *handle, path func() string, buf []byte) ([]byte, error) {
	if h.isOpen() {
		h.used = b.now
		n, err := pread(int(h.fd-1), buf, 0)
		return buf[:n], err
	}
	fd, err := openFile(path())
	if err != nil {
		return nil, err
	}
	n, err := pread(fd, buf, 0)
	if err != nil || !b.keep(h, fd) {
		_ = unix.Close(fd)
	}
	return buf[:n], err
}

// openFile opens a file for reading. Nothing here is a FIFO or a device unless somebody
// made a tree to harm us; such a thing at least does not block.
func openFile(path string) (int, error) {
	for {
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_NOFOLLOW, 0)
		if !errors.Is(err, unix.EINTR) {
			return fd, err
		}
	}
}

func openFolder(path string) (int, error) {
	for {
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
		if !errors.Is(err, unix.EINTR) {
			return fd, err
		}
	}
}

func pread(fd int, buf []byte, at int64) (int, error) {
	for range 3 {
		n, err := unix.Pread(fd, buf, at)
		if !errors.Is(err, unix.EINTR) && !errors.Is(err, unix.EAGAIN) {
			return max(n, 0), err
		}
	}
	return 0, unix.EAGAIN
}

// readLong is read for a file of any length up to a bound, into a buffer that grows.
func (b *budget) readLong(h *handle, path func() string, buf []byte, most int) ([]byte, error) {
	buf = buf[:cap(buf)]
	if len(buf) == 0 {
		buf = make([]byte, 4096)
	}
	part, err := b.read(h, path, buf)
	filled := len(part)
	for err == nil && filled == len(buf) && filled < most {
		buf = slices.Grow(buf, len(buf))[:2*len(buf)]
		part, err = b.read(h, path, buf)
		filled = len(part)
	}
	return buf[:filled], err
}

// readAll reads a file up to a bound into a buffer that grows.
func readAll(path string, buf []byte, most int) ([]byte, error) {
	fd, err := openFile(path)
	if err != nil {
		return buf[:0], err
	}
	defer func() { _ = unix.Close(fd) }()
	buf = buf[:cap(buf)]
	filled := 0
	for {
		if filled == len(buf) {
			if filled >= most {
				return buf[:filled], nil
			}
			buf = append(buf, make([]byte, max(4096, len(buf)))...)
		}
		n, err := pread(fd, buf[filled:], int64(filled))
		if err != nil || n == 0 {
			return buf[:filled], err
		}
		filled += n
	}
}

// isGone says whether an error means that a cgroup or process has ended.
func isGone(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ESRCH) || errors.Is(err, unix.ENOTDIR)
}
