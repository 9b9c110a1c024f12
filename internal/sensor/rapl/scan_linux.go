package rapl

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/otelcarbon/otelcarbon/internal/names"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/unit"
)

// Bounds against trees that are not a kernel's. The largest machines known have
// some hundred zones.
const (
	maxZones   = 1024
	maxEntries = 4096 // in one folder
	maxDepth   = 3    // powercap folder, control type, zone, sub-zone
)

// A zoneFolder is one folder of a zone as a scan found it.
type zoneFolder struct {
	address
	path  string // symbolic links resolved
	above string // path of the zone that holds it, "" at the top
	key   key
}

func (f zoneFolder) energy() string { return f.path + "/energy_uj" }

// A scan is what the powercap folders show at one moment.
type scan struct {
	zones    []zoneFolder // that have a name and a counter, sorted by address
	problems []*sensor.Problem
	partial  bool // a folder could not be listed: what is missing may exist

	// For absent: what was there instead.
	devices, class string // the two folders
	hasClass       bool
	emptyDevices   bool
	dangling       string // a link to a zone that leads nowhere
	control        string // a control type
	powerOnly      string // a zone without a counter
	foreign        []string

	sys     string // root/sys, links resolved
	folders []zoneFolder
	seen    map[string]bool // addresses and paths
	buf     [smallFile]byte
}

// scanZones looks for zones below sys in both places that the kernel shows them
// in, and in whatever shape a copy of them has: nested folders, flat links, flat
// folders.
func scanZones(sys string) *scan {
	s := &scan{seen: map[string]bool{}}
	s.sys = sys
	if resolved, err := filepath.EvalSymlinks(sys); err == nil {
		s.sys = resolved
	}
	s.devices = s.sys + "/devices/virtual/powercap"
	s.class = s.sys + "/class/powercap"
	if n, ok := s.list(s.devices, 0); ok {
		s.emptyDevices = n == 0
	}
	_, s.hasClass = s.list(s.class, 0)
	s.identify()
	slices.SortStableFunc(s.zones, func(a, b zoneFolder) int { return a.compare(b.address) })
	return s
}

// list notes the zones in a folder and those below it, and says how many entries
// the folder has.
func (s *scan) list(folder string, depth int) (n int, ok bool) {
	entries, err := readDir(folder)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			s.partial = true
			s.problem(folder, err)
		}
		return 0, false
	}
	for _, e := range entries {
		s.entry(folder, e, depth)
	}
	return len(entries), true
}

func (s *scan) entry(folder string, e fs.DirEntry, depth int) {
	path := folder + "/" + e.Name()
	at, isZone := parseAddress(e.Name())
	if !isZone && !isControl(e.Name()) {
		if depth == 0 && !e.Type().IsRegular() && !strings.Contains(e.Name(), ":") && e.Name() != "power" && !slices.Contains(s.foreign, e.Name()) {
			s.foreign = append(s.foreign, e.Name())
		}
		return
	}
	if s.seen[e.Name()] {
		return
	}
	switch {
	case e.IsDir():
	case e.Type()&fs.ModeSymlink != 0 && depth == 0: // a link elsewhere leads back up
		target, err := s.follow(path)
		if err != nil {
			return
		}
		path = target
	default:
		return
	}
	if s.seen[path] {
		return
	}
	if len(s.folders) >= maxZones {
		if !s.partial {
			s.malformed(folder, fmt.Errorf("more than %d zones: the others are ignored", maxZones))
		}
		s.partial = true
		return
	}
	s.seen[path] = true
	if isZone {
		s.seen[e.Name()] = true
		s.folders = append(s.folders, zoneFolder{address: at, path: path})
	} else {
		s.control = path
	}
	if depth < maxDepth {
		s.list(path, depth+1)
	}
}

// follow resolves a link to a folder below sys. It refuses others: an absolute
// link in a tree that is mounted elsewhere leads to the wrong machine.
func (s *scan) follow(link string) (string, error) {
	target, err := filepath.EvalSymlinks(link)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		s.dangling = cmp.Or(s.dangling, link)
	case errors.Is(err, fs.ErrPermission):
		s.partial = true
		if !slices.ContainsFunc(s.problems, func(p *sensor.Problem) bool { return p.Class == sensor.Permission }) {
			s.problem(link, err) // one for all links: they lead to the same folder
		}
	}
	if err != nil {
		return "", err
	}
	if target != s.sys && !strings.HasPrefix(target, strings.TrimSuffix(s.sys, "/")+"/") {
		s.malformed(link, fmt.Errorf("the link leads out of %s", s.sys))
		return "", errNotRegular
	}
	if info, err := os.Stat(target); err != nil || !info.IsDir() { //nolint:gosec // it lies below sys
		return "", errNotRegular
	}
	return target, nil
}

// identify reads the names of the folders found, and keeps those which have a
// name, a counter and a place.
func (s *scan) identify() {
	named := map[address]zoneFolder{}
	for i := range s.folders {
		f := &s.folders[i]
		name, err := readName(f.path, s.buf[:])
		switch {
		case err == nil:
			f.key.name = name
			named[f.address] = *f
		case isGone(err) && !exists(f.energy()): // not a zone, or just removed
		case isGone(err):
			s.malformed(f.path+"/name", errors.New("there is no such file beside energy_uj"))
		default:
			s.problem(f.path+"/name", err)
		}
	}
	for _, f := range s.folders {
		if f.key.name == "" {
			continue
		}
		if f.m >= 0 {
			holder, ok := named[f.address.above()]
			if !ok {
				s.malformed(f.path, errors.New("the zone that holds this sub-zone is missing or has no name"))
				continue
			}
			f.above, f.key.above = holder.path, holder.key.name
		}
		var st unix.Stat_t
		switch err := unix.Stat(f.energy(), &st); {
		case isGone(err):
			s.powerOnly = f.path
		default: // any other failure is for Read to report
			s.zones = append(s.zones, f)
		}
	}
}

// verify says whether a folder still is the zone that the scan took it for.
// Zones are renumbered when CPUs go and return, maybe since the scan.
func (f zoneFolder) verify(buf []byte) bool {
	name, err := readName(f.path, buf)
	if err != nil || name != f.key.name {
		return false
	}
	if f.above == "" {
		return true
	}
	name, err = readName(f.above, buf)
	return err == nil && name == f.key.above
}

func readName(folder string, buf []byte) (string, error) {
	b, err := readFile(folder+"/name", buf)
	if err != nil {
		return "", err
	}
	name, ok := parseName(b)
	if !ok {
		return "", fmt.Errorf("%q is no name of a zone", b)
	}
	return name, nil
}

// readRange reads max_energy_range_uj; 0 means unknown.
func readRange(folder string, buf []byte) unit.Microjoules {
	b, err := readFile(folder+"/max_energy_range_uj", buf)
	if err != nil {
		return 0
	}
	uj, ok := parseCount(b)
	if !ok {
		return 0
	}
	return saneRange(uj)
}

// readLimits reads what the zone says about its counter. What cannot be read is
// unknown and no problem: counting works without.
func readLimits(folder string, buf []byte) limits {
	l := limits{maxRange: readRange(folder, buf)}
	for k := range 10 { // MAX_CONSTRAINTS_PER_ZONE, drivers/powercap/powercap_sys.c
		b, err := readFile(fmt.Sprintf("%s/constraint_%d_max_power_uw", folder, k), buf)
		if err != nil {
			continue
		}
		if uw, ok := parseCount(b); ok {
			l.constraint = max(l.constraint, sanePower(uw))
		}
	}
	return l
}

func (s *scan) problem(path string, err error) {
	p := newProblem(path, err)
	p.Finding = true
	s.problems = append(s.problems, p)
}

func (s *scan) malformed(path string, err error) {
	s.problems = append(s.problems, &sensor.Problem{Sensor: names.SensorRAPL, Class: sensor.Malformed, Path: path, Err: err, Finding: true})
}

// readDir lists a folder, sorted by name, up to a bound. It opens nothing else,
// since opening a FIFO would block.
func readDir(folder string) ([]fs.DirEntry, error) {
	if info, err := os.Stat(folder); err != nil { //nolint:gosec // the root is configured, the rest fixed
		return nil, err
	} else if !info.IsDir() {
		return nil, fmt.Errorf("%s: %w", folder, unix.ENOTDIR)
	}
	d, err := os.Open(folder) //nolint:gosec // the root is configured, the rest fixed
	if err != nil {
		return nil, err
	}
	defer func() { _ = d.Close() }()
	entries, err := d.ReadDir(maxEntries)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, nil
}
