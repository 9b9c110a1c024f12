package perf

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
)

// An event is one energy event of the PMU.
type event struct {
	domain domain
	config uint64
	scale  ratio
}

// A place is a CPU of cpumask, and what its events count.
type place struct{ cpu, socket, die int }

// A scan is what the folder of the PMU shows at one moment.
type scan struct {
	dir      string // of the PMU, "" if there is none
	typ      uint32
	events   []event
	places   []place // in the order of their CPUs
	boot     int     // socket of CPU 0, -1 if unknown
	problems []*sensor.Problem

	// For absent: what was there instead.
	sys      string // root/sys, links resolved
	devices  string // the folder of PMUs
	dangling string // the link to the PMU, if it leads nowhere
}

const (
	maxEntries  = 4096 // in the folder of events
	maskSize    = 8192 // bytes in cpumask
	cpuinfoSize = 16 << 10
)

// scanPMU looks for the PMU and reads what it says about itself.
func scanPMU(sys string) *scan {
	s := &scan{sys: sys, boot: -1}
	if resolved, err := filepath.EvalSymlinks(sys); err == nil {
		s.sys = resolved
	}
	s.devices = s.sys + "/bus/event_source/devices"
	for _, link := range []string{s.devices + "/power", s.sys + "/devices/power"} {
		dir, err := s.follow(link)
		if err != nil {
			continue
		}
		if b, ok := s.attribute(dir+"/type", smallFile); ok {
			typ, isType := parseType(b)
			if !isType {
				s.malformed(dir+"/type", fmt.Errorf("%q is no type of a PMU", b))
				return s
			}
			s.dir, s.typ = dir, typ
			break
		}
		if len(s.problems) > 0 {
			return s
		}
	}
	if s.dir == "" {
		return s
	}
	s.readEvents()
	s.readPlaces()
	return s
}

// follow resolves the link to the PMU. It refuses one that leads out of sys: an
// absolute link in a tree that is mounted elsewhere leads to the wrong machine.
func (s *scan) follow(link string) (dir string, err error) {
	dir, err = filepath.EvalSymlinks(link)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, lerr := os.Lstat(link); lerr == nil {
			s.dangling = cmp.Or(s.dangling, link)
		}
	case errors.Is(err, fs.ErrPermission):
		s.problem(link, err)
	case err == nil && !strings.HasPrefix(dir, strings.TrimSuffix(s.sys, "/")+"/"):
		err = fmt.Errorf("the link leads out of %s", s.sys)
		s.malformed(link, err)
	}
	return dir, err
}

// attribute reads a file. Where it does not exist that is no problem yet.
func (s *scan) attribute(path string, limit int64) ([]byte, bool) {
	b, err := readFile(path, limit)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.problem(path, err)
	}
	return b, err == nil
}

func (s *scan) readEvents() {
	folder := s.dir + "/events"
	names, err := list(folder)
	if err != nil {
		s.problem(folder, err)
		return
	}
	for _, d := range domains() {
		if !slices.Contains(names, string(d)) {
			continue
		}
		if e, ok := s.readEvent(folder+"/"+string(d), d); ok {
			s.events = append(s.events, e)
		}
	}
	for _, name := range names {
		if strings.HasPrefix(name, "energy-") && !strings.Contains(name, ".") && !slices.Contains(domains(), domain(name)) {
			s.malformed(folder+"/"+name, errors.New("no event that this version knows: it is not counted"))
		}
	}
}

func (s *scan) readEvent(path string, d domain) (e event, ok bool) {
	for _, a := range []struct {
		suffix, what string
		parse        func([]byte) bool
	}{
		{"", "no event of this PMU, such as event=0x02", func(b []byte) (ok bool) { e.config, ok = parseEvent(b); return ok }},
		{".unit", "not the unit Joules", func(b []byte) bool { return trim(b) == "Joules" }},
		{".scale", "no scale between 1e-12 and 1 J", func(b []byte) (ok bool) { e.scale, ok = parseScale(b); return ok }},
	} {
		b, err := readFile(path+a.suffix, smallFile)
		switch {
		case err != nil:
			s.problem(path+a.suffix, err)
			return e, false
		case !a.parse(b):
			s.malformed(path+a.suffix, fmt.Errorf("%q is %s: it is not counted", b, a.what))
			return e, false
		}
	}
	e.domain = d
	return e, true
}

// readPlaces reads which CPUs stand for which package or die.
func (s *scan) readPlaces() {
	path := s.dir + "/cpumask"
	b, err := readFile(path, maskSize)
	if err != nil {
		s.problem(path, err)
		return
	}
	cpus, ok := parseMask(b)
	if !ok {
		s.malformed(path, fmt.Errorf("%.100q is no list of CPUs", b))
		return
	}
	if len(cpus) == 0 {
		s.malformed(path, errors.New("it names no CPU"))
		return
	}
	s.boot, _ = s.topology(0, "physical_package_id")
	sockets := map[int]int{} // places in each
	for _, cpu := range cpus {
		socket, err := s.topology(cpu, "physical_package_id")
		if err != nil {
			s.problem(s.topologyFile(cpu, "physical_package_id"), err)
			continue
		}
		die, err := s.topology(cpu, "die_id")
		if errors.Is(err, fs.ErrNotExist) { // before Linux 5.3
			die, err = 0, nil
		}
		if err != nil {
			s.problem(s.topologyFile(cpu, "die_id"), err)
			continue
		}
		if i := slices.IndexFunc(s.places, func(p place) bool { return p.socket == socket && p.die == die }); i >= 0 {
			s.malformed(path, fmt.Errorf("cpu%d and cpu%d are of the same die: only the former is read", s.places[i].cpu, cpu))
			continue
		}
		sockets[socket]++
		s.places = append(s.places, place{cpu, socket, die})
	}
}

// byDie says whether some package has a counter for each of its dies.
func (s *scan) byDie() bool {
	for i, p := range s.places {
		if slices.ContainsFunc(s.places[:i], func(q place) bool { return q.socket == p.socket }) {
			return true
		}
	}
	return false
}

func (s *scan) topologyFile(cpu int, name string) string {
	return s.sys + "/devices/system/cpu/cpu" + strconv.Itoa(cpu) + "/topology/" + name
}

func (s *scan) topology(cpu int, name string) (int, error) {
	b, err := readFile(s.topologyFile(cpu, name), smallFile)
	if err != nil {
		return -1, err
	}
	n, ok := parseIndex(trim(b))
	if !ok {
		return -1, fmt.Errorf("%q is no number of a package or die: the events of this CPU are not counted", b)
	}
	return n, nil
}

func (s *scan) problem(path string, err error) {
	s.problems = append(s.problems, newProblem(path, err))
}

func (s *scan) malformed(path string, err error) {
	p := newProblem(path, err)
	p.Class = sensor.Malformed
	s.problems = append(s.problems, p)
}

// list returns the names in a folder, sorted, up to a bound.
func list(folder string) ([]string, error) {
	if info, err := os.Stat(folder); err != nil {
		return nil, err
	} else if !info.IsDir() { // opening a FIFO would block
		return nil, errors.New("not a folder")
	}
	d, err := os.Open(folder)
	if err != nil {
		return nil, err
	}
	defer func() { _ = d.Close() }()
	found, err := d.Readdirnames(maxEntries)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	slices.Sort(found)
	return found, nil
}
