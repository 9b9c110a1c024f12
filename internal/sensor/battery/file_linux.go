package battery

import (
	"errors"

	"golang.org/x/sys/unix"
)

var (
	// errNotRegular is what a device, a FIFO or a folder gives where a file should
	// be. Such a thing is never read: it could block, or act on being read.
	errNotRegular = errors.New("not a regular file")
	errTooLong    = errors.New("longer than any value that the kernel writes")
)

// preader is unix.Pread, or in a test what fails like a driver.
type preader func(fd int, p []byte, offset int64) (n int, err error)

// A file is one attribute, open as long as its supply is known. At offset 0 of an
// open sysfs file the kernel computes the attribute anew.
type file struct {
	path  string
	fd    int   // -1: not open
	err   error // why it is not
	sysfs bool
}

func openFile(path string) (f file) {
	f = file{path: path, fd: -1}
	var st unix.Stat_t
	if f.err = retry(func() error { return unix.Stat(path, &st) }); f.err != nil {
		return f
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG { // before it is opened: opening some devices acts
		f.err = errNotRegular
		return f
	}
	var fd int
	f.err = retry(func() (err error) {
		fd, err = unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
		return err
	})
	if f.err != nil {
		return f
	}
	if f.err = unix.Fstat(fd, &st); f.err == nil && st.Mode&unix.S_IFMT != unix.S_IFREG {
		f.err = errNotRegular // replaced meanwhile
	}
	if f.err != nil {
		_ = unix.Close(fd)
		return f
	}
	var fs unix.Statfs_t
	f.sysfs = unix.Fstatfs(fd, &fs) == nil && int64(fs.Type) == unix.SYSFS_MAGIC //nolint:unconvert // int32 on some architectures
	f.fd = fd
	return f
}

// read reads the attribute into buf. It gives unix.ESTALE for a file that was
// removed or replaced; of sysfs the kernel itself gives ENODEV.
func (f *file) read(pread preader, st *unix.Stat_t, buf []byte) ([]byte, error) {
	if f.fd < 0 {
		return nil, f.err
	}
	if !f.sysfs {
		if err := unix.Fstat(f.fd, st); err != nil {
			return nil, err
		}
		if st.Nlink == 0 {
			return nil, unix.ESTALE
		}
	}
	var n int
	var err error
	for range attempts {
		n, err = pread(f.fd, buf, 0)
		if !errors.Is(err, unix.EINTR) && !errors.Is(err, unix.EAGAIN) {
			break
		}
	}
	switch {
	case err != nil:
		return nil, err
	case n == len(buf):
		return nil, errTooLong
	}
	return buf[:n], nil
}

func (f *file) close() {
	if f.fd >= 0 {
		_ = unix.Close(f.fd)
		f.fd, f.err = -1, unix.ESTALE
	}
}

// attempts is how often a call is made that was interrupted or would block.
const attempts = 3

func retry(call func() error) (err error) {
	for range attempts {
		if err = call(); !errors.Is(err, unix.EINTR) {
			break
		}
	}
	return err
}

// isAbsent says whether a file was never there, or its supply is removed.
func isAbsent(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR)
}

// isGone says whether an error means that the device behind an open file is
// removed. The ACPI driver also gives ENODEV for a value that the firmware does
// not tell.
func isGone(err error) bool {
	return isAbsent(err) || errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENXIO) || errors.Is(err, unix.ESTALE)
}

// isUnknown says whether a driver has no value at the moment.
func isUnknown(err error) bool { return errors.Is(err, unix.ENODATA) || isGone(err) }
