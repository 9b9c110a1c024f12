package rapl

import (
	"errors"

	"golang.org/x/sys/unix"
)

// errNotRegular is what a device, a FIFO or a folder gives where a file should
// be. Such a thing is never read: it could block, or act on being read.
var errNotRegular = errors.New("not a regular file")

// errTooLong is what a file gives that holds more than an attribute can.
var errTooLong = errors.New("longer than any value that the kernel writes")

// openFile opens a regular file for reading. It returns the inode too, by which
// a file that was replaced is told from the one that took its name.
func openFile(path string) (fd int, st unix.Stat_t, err error) {
	if err = retry(func() error { return unix.Stat(path, &st) }); err != nil {
		return -1, st, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG { // before it is opened: opening some devices acts
		return -1, st, errNotRegular
	}
	err = retry(func() (err error) {
		fd, err = unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
		return err
	})
	if err != nil {
		return -1, st, err
	}
	if err = unix.Fstat(fd, &st); err == nil && st.Mode&unix.S_IFMT != unix.S_IFREG {
		err = errNotRegular // replaced meanwhile
	}
	if err != nil {
		_ = unix.Close(fd)
		return -1, st, err
	}
	return fd, st, nil
}

// readFile reads a whole file into buf, and gives errTooLong if buf is full.
func readFile(path string, buf []byte) ([]byte, error) {
	b, err := readHead(path, buf)
	if err == nil && len(b) == len(buf) {
		return nil, errTooLong
	}
	return b, err
}

// readHead reads as much of a file as fits into buf.
func readHead(path string, buf []byte) ([]byte, error) {
	fd, _, err := openFile(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = unix.Close(fd) }()
	filled := 0
	for filled < len(buf) {
		n, err := readAt(unix.Pread, fd, buf[filled:], int64(filled))
		if err != nil {
			return nil, err
		}
		if n == 0 {
			break
		}
		filled += n
	}
	return buf[:filled], nil
}

// preader is unix.Pread, or in a test what fails like a driver.
type preader func(fd int, p []byte, offset int64) (n int, err error)

// attempts is how often a call is made that was interrupted or would block.
const attempts = 3

// readAt reads at an offset. At offset 0 of an open sysfs file the kernel
// computes the attribute anew (seq_read_iter in fs/seq_file.c), so there is no
// need to open it again.
func readAt(pread preader, fd int, p []byte, offset int64) (n int, err error) {
	for range attempts {
		n, err = pread(fd, p, offset)
		if !errors.Is(err, unix.EINTR) && !errors.Is(err, unix.EAGAIN) {
			break
		}
	}
	return max(n, 0), err
}

func retry(call func() error) (err error) {
	for range attempts {
		if err = call(); !errors.Is(err, unix.EINTR) {
			break
		}
	}
	return err
}

// isSysfs says whether an open file belongs to sysfs, where a file is never
// replaced: it fails with ENODEV when its device goes.
func isSysfs(fd int) bool {
	var fs unix.Statfs_t
	return unix.Fstatfs(fd, &fs) == nil && int64(fs.Type) == unix.SYSFS_MAGIC //nolint:unconvert // int32 on some architectures
}

// isGone says whether an error means that the device behind a file is removed.
func isGone(err error) bool {
	for _, e := range []error{unix.ENODEV, unix.ENOENT, unix.ENOTDIR, unix.ENXIO, unix.ESTALE} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
