package battery

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Bounds against trees that are not a kernel's.
const (
	maxEntries  = 256 // in the folder
	maxSupplies = 32  // that count
)

// A supply is one folder of the class, as the last scan found it.
type supply struct {
	kind                            kind
	online                          file // of a charger
	status, power, current, voltage file // of a battery
}

func (s *supply) close() {
	for _, f := range []*file{&s.online, &s.status, &s.power, &s.current, &s.voltage} {
		f.close()
	}
}

// A scan is what the folder shows at one moment.
type scan struct {
	supplies []*supply // chargers and batteries, by name
	cells    int       // batteries among them
	failed   []failure // supplies that may count, and cannot be told
	dangling string    // a link that leads nowhere
	silent   string    // a battery that tells no power
	missing  bool      // there is no such folder
}

// A failure is an access to path that failed with err.
type failure struct {
	path string
	err  error
}

// scanSupplies opens the files of all supplies that count.
func scanSupplies(class string) *scan {
	s := &scan{}
	dir, err := os.Open(class)
	if err != nil {
		if s.missing = isAbsent(err); !s.missing {
			s.fail(class, err)
		}
		return s
	}
	entries, err := dir.Readdirnames(maxEntries)
	_ = dir.Close()
	if err != nil && !errors.Is(err, io.EOF) {
		s.fail(class, err)
		return s
	}
	slices.Sort(entries)
	for _, name := range entries {
		if len(s.supplies) < maxSupplies {
			s.look(name, filepath.Join(class, name))
		}
	}
	return s
}

func (s *scan) fail(path string, err error) {
	if pe := (*fs.PathError)(nil); errors.As(err, &pe) {
		err = pe.Err // the path stands in the failure
	}
	s.failed = append(s.failed, failure{path, err})
}

// look adds one supply.
func (s *scan) look(name, path string) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		if isAbsent(err) {
			s.dangling = path
		}
		return // a loop, or what else no kernel makes
	}
	typ, err := readOnce(path + "/type")
	if err != nil {
		if !isAbsent(err) && !errors.Is(err, unix.ENODEV) {
			s.fail(path+"/type", err)
		}
		return
	}
	scope, err := readOnce(path + "/scope")
	if err != nil && !isUnknown(err) {
		s.fail(path+"/scope", err) // may be that of a mouse
		return
	}
	switch k := parseKind(typ, scope); k {
	case charger:
		c := &supply{kind: k, online: openFile(path + "/online")}
		if isAbsent(c.online.err) { // nothing tells when it feeds the host
			return
		}
		s.supplies = append(s.supplies, c)
	case cell:
		c := &supply{
			kind: k, status: openFile(path + "/status"),
			power: openFile(path + "/power_now"), current: openFile(path + "/current_now"), voltage: openFile(path + "/voltage_now"),
		}
		if isAbsent(c.power.err) && (isAbsent(c.current.err) || isAbsent(c.voltage.err)) {
			if s.silent = path; !strings.HasPrefix(name, "BAT") { // a peripheral that says nothing of its scope
				c.close()
				return
			}
		}
		s.cells++
		s.supplies = append(s.supplies, c)
	}
}

// readOnce reads an attribute that does not change.
func readOnce(path string) ([]byte, error) {
	f := openFile(path)
	defer f.close()
	var st unix.Stat_t
	return f.read(unix.Pread, &st, make([]byte, smallFile))
}
