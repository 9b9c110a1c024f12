package perf

import (
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// errNotRegular is what a device, a FIFO or a folder gives where a file should
// be. Such a thing is never read: it could block, or act on being read.
var errNotRegular = errors.New("not a regular file")

// errTooLong is what a file gives that holds more than an attribute can.
var errTooLong = errors.New("longer than any value that the kernel writes")

// readHead reads as much of a regular file as there is, up to limit bytes.
func readHead(path string, limit int64) ([]byte, error) {
	// Before it is opened: opening some devices acts.
	info, err := os.Stat(path) //nolint:gosec // the root is configured, the rest fixed
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errNotRegular
	}
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0) //nolint:gosec // the root is configured, the rest fixed
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	if info, err = f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(errNotRegular, err) // replaced meanwhile
	}
	return io.ReadAll(io.LimitReader(f, limit))
}

// readFile reads a whole attribute, and gives errTooLong if it has limit bytes or
// more.
func readFile(path string, limit int64) ([]byte, error) {
	b, err := readHead(path, limit)
	if err == nil && int64(len(b)) == limit {
		return nil, errTooLong
	}
	return b, err
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
