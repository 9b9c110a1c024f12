package perf

import (
	"encoding/binary"
	"errors"

	"golang.org/x/sys/unix"
)

// A sample is what the kernel says of an open event.
type sample struct {
	value   uint64
	running uint64 // ns for which the event was counting
}

// A kernel opens, reads and closes events. Read allocates nothing when it
// succeeds.
type kernel interface {
	open(typ uint32, config uint64, cpu int) (fd int, err error)
	read(fd int) (sample, error)
	close(fd int)
}

// errEnded is what reading an event gives that the kernel gave up: end of file.
var errEnded = errors.New("the kernel ended the event")

var errShort = errors.New("the event gave less than a count and a time")

// linux is the kernel that runs this process.
type linux struct{ buf [16]byte }

// open opens an event that counts on one CPU, whoever runs there. It asks for
// nothing to be excluded, which this PMU refuses (PERF_PMU_CAP_NO_EXCLUDE).
func (*linux) open(typ uint32, config uint64, cpu int) (fd int, err error) {
	attr := unix.PerfEventAttr{
		Type:        typ,
		Size:        unix.PERF_ATTR_SIZE_VER0, // of Linux 2.6.31, and enough
		Config:      config,
		Read_format: unix.PERF_FORMAT_TOTAL_TIME_RUNNING,
	}
	err = retry(func() (err error) {
		fd, err = unix.PerfEventOpen(&attr, -1, cpu, -1, unix.PERF_FLAG_FD_CLOEXEC)
		return err
	})
	if err != nil {
		return -1, err
	}
	return fd, nil
}

func (l *linux) read(fd int) (s sample, err error) {
	n := 0
	for range attempts {
		if n, err = unix.Read(fd, l.buf[:]); !errors.Is(err, unix.EINTR) {
			break
		}
	}
	switch {
	case err != nil:
		return sample{}, err
	case n == 0:
		return sample{}, errEnded
	case n != len(l.buf):
		return sample{}, errShort
	}
	return sample{binary.NativeEndian.Uint64(l.buf[:]), binary.NativeEndian.Uint64(l.buf[8:])}, nil
}

func (*linux) close(fd int) { _ = unix.Close(fd) }

// attempts is how often a call is made that was interrupted.
const attempts = 3

func retry(call func() error) (err error) {
	for range attempts {
		if err = call(); !errors.Is(err, unix.EINTR) {
			break
		}
	}
	return err
}
