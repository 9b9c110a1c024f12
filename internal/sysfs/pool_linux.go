package sysfs

import "golang.org/x/sys/unix"

// A File is an attribute that is read again and again. The zero value with a
// Path is ready; it must not be copied once it was opened.
type File struct {
	Path string

	open  bool
	fd    int
	sysfs bool
	dev   uint64
	ino   uint64
}

// A Pool keeps a bounded number of files open between reads. It is not safe for
// concurrent use.
type Pool struct {
	// Pread replaces unix.Pread in tests.
	Pread Preader

	limit, kept int
	buf         [Small]byte
	stat        unix.Stat_t
}

// NewPool returns a pool that keeps at most limit files open. Those beyond pay
// with an open for each read.
func NewPool(limit int) *Pool { return &Pool{Pread: unix.Pread, limit: limit} }

// IsOpen says whether a read needs no open first.
func (f *File) IsOpen() bool { return f.open }

// Open opens a file that is not open yet.
func (p *Pool) Open(f *File) error {
	if f.open {
		return nil
	}
	fd, st, err := openFile(f.Path)
	if err != nil {
		return err
	}
	f.open, f.fd, f.sysfs = true, fd, isSysfs(fd)
	f.dev, f.ino = uint64(st.Dev), st.Ino //nolint:unconvert // Dev is shorter on some architectures
	p.kept++
	return nil
}

// Read returns the present content of an open file, valid until the next call,
// and ESTALE if the file was removed or replaced. It allocates nothing.
func (p *Pool) Read(f *File) ([]byte, error) {
	if !f.open {
		return nil, unix.EBADF
	}
	if !f.sysfs {
		if err := unix.Fstat(f.fd, &p.stat); err != nil {
			return nil, err
		}
		if p.stat.Nlink == 0 { // removed, or replaced by rename
			return nil, unix.ESTALE
		}
	}
	n, err := readAt(p.Pread, f.fd, p.buf[:], 0)
	switch {
	case err != nil:
		return nil, err
	case n == len(p.buf):
		return nil, ErrTooLong
	}
	return p.buf[:n], nil
}

// Replaced says whether another file stands now under the name of an open one.
func (p *Pool) Replaced(f *File) bool {
	if !f.open || f.sysfs {
		return false
	}
	err := unix.Stat(f.Path, &p.stat)
	return err == nil && (uint64(p.stat.Dev) != f.dev || p.stat.Ino != f.ino) //nolint:unconvert // Dev is shorter on some architectures
}

// Full says whether more files are open than the pool may keep; the one just
// read is then to be shut.
func (p *Pool) Full() bool { return p.kept > p.limit }

// Shut closes a file, if it is open.
func (p *Pool) Shut(f *File) {
	if f.open {
		_ = unix.Close(f.fd)
		f.open = false
		p.kept--
	}
}
