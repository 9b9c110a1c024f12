package process

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/otelcarbon/otelcarbon/internal/sensor/model"
)

var (
	errNotRegular = errors.New("not a regular file")
	errContainer  = errors.New("it is made by a file system in user space (lxcfs) and tells of a container only")
	errNoCounts   = errors.New("the first line is not \"cpu\" and at least seven numbers")
	errZero       = errors.New("all times are 0: the kernel does not count (gVisor)")
)

// file is read again and again from its beginning.
type file struct {
	path string
	fd   int
	buf  [512]byte // the first line of /proc/stat is 10 numbers long
}

func open(path string) (*file, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return nil, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG { // before it is opened: a FIFO would block
		return nil, &fs.PathError{Op: "open", Path: path, Err: errNotRegular}
	}
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return &file{path: path, fd: fd}, nil
}

// head returns the beginning of the file, valid until the next call.
func (f *file) head() ([]byte, error) {
	n, err := readAt(f.fd, f.buf[:], 0)
	if err != nil {
		return nil, &fs.PathError{Op: "read", Path: f.path, Err: err}
	}
	return f.buf[:n], nil
}

func readAt(fd int, b []byte, offset int64) (n int, err error) {
	for range 3 {
		if n, err = unix.Pread(fd, b, offset); !errors.Is(err, unix.EINTR) {
			break
		}
	}
	return max(n, 0), err
}

func (f *file) close() { _ = unix.Close(f.fd) }

// openStat opens /proc/stat below root, unless it does not tell of the machine.
func openStat(root string) (read func() (counts, error), end func(), err error) {
	f, err := open(filepath.Join(root, "proc/stat"))
	if err != nil {
		return nil, nil, err
	}
	read = func() (counts, error) {
		b, err := f.head()
		if err != nil {
			return counts{}, err
		}
		c, ok := parseStat(b)
		if !ok {
			return counts{}, &fs.PathError{Op: "read", Path: f.path, Err: errNoCounts}
		}
		return c, nil
	}
	var st unix.Statfs_t
	c, err := read()
	switch {
	case err != nil:
	case c == counts{}:
		err = &fs.PathError{Op: "read", Path: f.path, Err: errZero}
	case unix.Fstatfs(f.fd, &st) == nil && int64(st.Type) == unix.FUSE_SUPER_MAGIC: //nolint:unconvert // int32 on some architectures
		err = &fs.PathError{Op: "read", Path: f.path, Err: errContainer}
	}
	if err != nil {
		f.close()
		return nil, nil, err
	}
	return read, f.close, nil
}

// openHeld opens what tells how many bytes the process holds in memory.
func openHeld() (held func() uint64, end func()) {
	f, err := open("/proc/self/statm")
	if err != nil {
		return heldByGo(), func() {}
	}
	page := uint64(max(os.Getpagesize(), 1))
	return func() uint64 {
		b, err := f.head()
		if err != nil {
			return 0
		}
		return parseHeld(b, page)
	}, f.close
}

// readHost reads the beginnings of a few files: the whole of cpuinfo takes long where
// there are many CPUs.
func readHost(root string) model.Host {
	var buf [16 << 10]byte
	h := model.Host{LogicalCPUs: parseOnline(head(filepath.Join(root, "sys/devices/system/cpu/online"), buf[:]))}
	if h.LogicalCPUs == 0 {
		h.LogicalCPUs = runtime.NumCPU()
	}
	parseCPUInfo(head(filepath.Join(root, "proc/cpuinfo"), buf[:]), h.LogicalCPUs, &h)
	h.MemoryBytes = parseMemInfo(head(filepath.Join(root, "proc/meminfo"), buf[:]))
	return h
}

// head returns as much of a file as fits into buf, nothing if there is none.
func head(path string, buf []byte) []byte {
	f, err := open(path)
	if err != nil {
		return nil
	}
	defer f.close()
	filled := 0
	for filled < len(buf) {
		n, err := readAt(f.fd, buf[filled:], int64(filled))
		if n == 0 || err != nil {
			break
		}
		filled += n
	}
	return buf[:filled]
}

// ownPID is the number of the process below root, where another than its own is the
// host's, as drivers know it.
func ownPID(root string) int {
	if link, err := os.Readlink(filepath.Join(root, "proc/self")); err == nil {
		if pid, err := strconv.Atoi(link); err == nil && pid > 0 {
			return pid
		}
	}
	return os.Getpid()
}

// parentOf returns the parent of a process below root, and when that process was started,
// in ticks since the machine was.
func parentOf(root string, pid int) (parent int, started uint64, ok bool) {
	var buf [1 << 10]byte
	return parseProcess(head(filepath.Join(root, "proc", strconv.Itoa(pid), "stat"), buf[:]))
}
