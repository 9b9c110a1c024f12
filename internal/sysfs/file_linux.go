package sysfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrNotRegular is what a device, a FIFO or a folder gives where a file should
// be. Such a thing is never read: it could block, or act on being read.
var ErrNotRegular = errors.New("not a regular file")

// ErrTooLong is what a file gives that holds more than an attribute can.
var ErrTooLong = errors.New("longer than any value that the kernel writes")

// openFile opens a regular file for reading. It returns the inode too, by which
// a file that was replaced is told from the one that took its name.
func openFile(path string) (fd int, st unix.Stat_t, err error) {
	if err = retry(func() error { return unix.Stat(path, &st) }); err != nil {
		return -1, st, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG { // before it is opened: opening some devices acts
		return -1, st, ErrNotRegular
	}
	err = retry(func() (err error) {
		fd, err = unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
		return err
	})
	if err != nil {
		return -1, st, err
	}
	if err = unix.Fstat(fd, &st); err == nil && st.Mode&unix.S_IFMT != unix.S_IFREG {
		err = ErrNotRegular // replaced meanwhile
	}
	if err != nil {
		_ = unix.Close(fd)
		return -1, st, err
	}
	return fd, st, nil
}

// ReadFile reads a whole file into buf, and gives ErrTooLong if buf is full.
// Errors are a syscall.Errno or one of this package, without the path.
func ReadFile(path string, buf []byte) ([]byte, error) {
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
			return buf[:filled], nil
		}
		filled += n
	}
	return nil, ErrTooLong
}

// Preader is unix.Pread, or in a test what fails like a driver.
type Preader func(fd int, p []byte, offset int64) (n int, err error)

// attempts is how often a call is made that was interrupted or would block.
const attempts = 3

// readAt reads at an offset. At offset 0 of an open sysfs file the kernel
// computes the attribute anew (seq_read_iter in fs/seq_file.c), so there is no
// need to open it again.
func readAt(pread Preader, fd int, p []byte, offset int64) (n int, err error) {
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
	var st unix.Statfs_t
	return unix.Fstatfs(fd, &st) == nil && int64(st.Type) == unix.SYSFS_MAGIC //nolint:unconvert // int32 on some architectures
}

// IsGone says whether an error means that the device behind a file is removed.
func IsGone(err error) bool {
	for _, e := range []error{unix.ENODEV, unix.ENOENT, unix.ENOTDIR, unix.ENXIO, unix.ESTALE} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// Exists says whether there is something of that name, links followed.
func Exists(path string) bool {
	var st unix.Stat_t
	return unix.Stat(path, &st) == nil
}

// ReadDir lists at most limit entries of a folder, sorted by name. It opens
// nothing that is no folder, since opening a FIFO would block.
func ReadDir(folder string, limit int) ([]fs.DirEntry, error) {
	if info, err := os.Stat(folder); err != nil {
		return nil, err
	} else if !info.IsDir() {
		return nil, fmt.Errorf("%s: %w", folder, unix.ENOTDIR)
	}
	d, err := os.Open(folder)
	if err != nil {
		return nil, err
	}
	defer func() { _ = d.Close() }()
	entries, err := d.ReadDir(limit)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, nil
}

// ErrOutside is what Follow gives for a link that leads to another machine: an
// absolute one in a tree that is mounted elsewhere.
var ErrOutside = errors.New("the link leads out of the tree")

// Follow resolves a link to a folder at or below top, whose own links have to be
// resolved already.
func Follow(top, link string) (string, error) {
	target, err := filepath.EvalSymlinks(link)
	if err != nil {
		return "", err
	}
	if target != top && !strings.HasPrefix(target, strings.TrimSuffix(top, "/")+"/") {
		return "", fmt.Errorf("%w %s", ErrOutside, top)
	}
	if info, err := os.Stat(target); err != nil {
		return "", err
	} else if !info.IsDir() {
		return "", ErrNotRegular
	}
	return target, nil
}
