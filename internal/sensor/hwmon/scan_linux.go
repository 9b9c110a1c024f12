package hwmon

import (
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/sysfs"
)

// Bounds against trees that are not a kernel's. A machine with sixteen GPUs and a
// chip on each of their boards has some hundred.
const (
	maxChips   = 1024
	maxEntries = 4096 // in one folder: amd_energy has one channel for each core
)

// A scan is what the folders show at one moment.
type scan struct {
	config   Config
	chips    []chip
	topology topology
	problems []*sensor.Problem
	partial  bool // something could not be listed: what is missing may exist

	// For absent: what was there instead.
	sys, class string
	hasClass   bool
	dangling   string   // a link to a chip that leads nowhere
	others     []string // names of chips that are not on the list

	buf [sysfs.Small]byte
}

func scanChips(sys string, c Config) *scan {
	s := &scan{config: c, sys: sys}
	if resolved, err := filepath.EvalSymlinks(sys); err == nil {
		s.sys = resolved
	}
	s.class = s.sys + "/class/hwmon"
	for _, e := range s.list(s.class) {
		s.hasClass = true
		if number, ok := strings.CutPrefix(e.Name(), "hwmon"); ok {
			if n, ok := sysfs.ParseIndex(number); ok {
				s.look(e, n)
			}
		}
	}
	s.hasClass = s.hasClass || sysfs.Exists(s.class)
	s.lookForIIO()
	s.readTopology()
	return s
}

// list returns the entries of a folder; one that is missing has none.
func (s *scan) list(folder string) []fs.DirEntry {
	entries, err := sysfs.ReadDir(folder, maxEntries)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.partial = true
		s.problem(folder, err)
	}
	return entries
}

// look finds out what stands behind an entry of the class folder.
func (s *scan) look(e fs.DirEntry, order int) {
	link := s.class + "/" + e.Name()
	folder, err := s.follow(link, e)
	if err != nil {
		return
	}
	c := chip{folder: folder, order: order, node: -1}
	name, err := sysfs.ReadFile(folder+"/name", s.buf[:])
	if errors.Is(err, unix.ENOENT) { // older power meters have name and attributes in the device
		if device, err := sysfs.Follow(s.sys, folder+"/device"); err == nil {
			c.folder = device
		}
		name, err = sysfs.ReadFile(c.folder+"/name", s.buf[:])
	}
	switch {
	case err == nil:
	case sysfs.IsGone(err):
		return // it has no name, or is just removed
	default:
		s.problem(c.folder+"/name", err)
		return
	}
	var ok bool
	if c.name, ok = sysfs.ParseText(name); !ok {
		return // not one of the list, whatever it is
	}
	if !s.wants(c.name) {
		if !slices.Contains(s.others, c.name) && len(s.others) < 32 {
			s.others = append(s.others, c.name)
		}
		return
	}
	s.lookAtDevice(&c, folder+"/device")
	s.lookAtAttributes(&c)
	s.keep(c)
}

func (s *scan) keep(c chip) {
	if len(s.chips) >= maxChips {
		if !s.partial {
			s.malformed(s.class, "more than %d chips: the others are ignored", maxChips)
		}
		s.partial = true
		return
	}
	s.chips = append(s.chips, c)
}

func (s *scan) wants(name string) bool {
	return isKnown(name) || slices.ContainsFunc(s.config.Chips, func(rule Chip) bool { return rule.Name == name })
}

// follow returns the folder that an entry is or leads to.
func (s *scan) follow(path string, e fs.DirEntry) (string, error) {
	if e.IsDir() {
		return path, nil
	}
	if e.Type()&fs.ModeSymlink == 0 {
		return "", sysfs.ErrNotRegular
	}
	target, err := sysfs.Follow(s.sys, path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if s.dangling == "" {
			s.dangling = path
		}
	case errors.Is(err, sysfs.ErrOutside):
		s.malformed(path, "%w", err)
	case errors.Is(err, fs.ErrPermission):
		s.partial = true
		s.problem(path, err)
	}
	return target, err
}

// lookAtDevice notes what tells the chip from others of its name.
func (s *scan) lookAtDevice(c *chip, link string) {
	device, err := sysfs.Follow(s.sys, link)
	if err != nil {
		return // a chip without a device, such as a virtual one
	}
	c.device = filepath.Base(device)
	if !isName(c.device) || strings.HasPrefix(c.device, "hwmon") {
		c.device = ""
	}
	c.pci = s.text(device + "/device")
	c.uid = s.text(device + "/firmware_node/uid")
	if n, err := strconv.Atoi(s.text(device + "/numa_node")); err == nil {
		c.node = n
	}
	if status := device + "/power/runtime_status"; sysfs.Exists(status) {
		c.sleep = status
	}
}

// lookAtAttributes notes the channels and what their labels say. None of the
// files read here makes a driver touch its device.
func (s *scan) lookAtAttributes(c *chip) {
	c.has, c.text = map[string]bool{}, map[string]string{}
	for _, e := range s.list(c.folder) {
		name := e.Name()
		if e.IsDir() && name == "measures" && c.name == chipMeter {
			c.measures = s.measured(c.folder + "/measures")
		}
		if e.IsDir() || !isAttribute(name) {
			continue
		}
		c.has[name] = true
		if !isText(name) {
			continue
		}
		path := c.folder + "/" + name
		b, err := sysfs.ReadFile(path, s.buf[:])
		switch text, ok := sysfs.ParseText(b); {
		case err == nil && ok:
			c.text[name] = text
		case err != nil && !sysfs.IsGone(err) && !errors.Is(err, unix.ENODATA):
			s.problem(path, err)
		}
	}
}

func isAttribute(name string) bool {
	return slices.ContainsFunc([]string{"power", "energy", "in", "curr", "rail_name_"}, func(prefix string) bool {
		return strings.HasPrefix(name, prefix)
	})
}

func isText(name string) bool {
	return strings.HasSuffix(name, "_label") || strings.HasSuffix(name, "_enable") || strings.HasPrefix(name, "rail_name_") ||
		name == "power1_oem_info" || name == "power1_is_battery"
}

// measured reads the links from a power meter to the ACPI devices it is about.
func (s *scan) measured(folder string) measures {
	m := measuresUnknown
	for _, e := range s.list(folder) {
		if strings.HasPrefix(e.Name(), "LNXSYBUS") || strings.HasPrefix(e.Name(), "LNXSYSTM") {
			return measuresSystem
		}
		if e.Type()&fs.ModeSymlink != 0 {
			m = measuresOther
		}
	}
	return m
}

// lookForIIO finds the chips of NVIDIA's own INA3221 driver, which are below
// their I²C device and in no class of their own.
func (s *scan) lookForIIO() {
	driver := s.sys + "/bus/i2c/drivers/" + chipINAOld
	for _, e := range s.list(driver) {
		if e.Type()&fs.ModeSymlink == 0 && !e.IsDir() || !strings.Contains(e.Name(), "-") { // 7-0040, not module
			continue
		}
		device, err := s.follow(driver+"/"+e.Name(), e)
		if err != nil {
			continue
		}
		for _, f := range s.list(device) {
			if number, ok := strings.CutPrefix(f.Name(), "iio:device"); ok && f.IsDir() && isName(e.Name()) {
				n, _ := sysfs.ParseIndex(number)
				c := chip{name: chipINAOld, device: e.Name(), order: n, folder: device + "/" + f.Name(), node: -1}
				s.lookAtAttributes(&c)
				s.keep(c)
			}
		}
	}
}

// readTopology maps CPUs and NUMA nodes to packages, where a chip is numbered by them.
func (s *scan) readTopology() {
	if !slices.ContainsFunc(s.chips, func(c chip) bool { return c.name == chipEnergy || c.name == chipAMDGPU }) {
		return
	}
	s.topology = topology{packageOf: map[int]int{}, firstCPU: map[int]int{}}
	cpus := s.sys + "/devices/system/cpu/"
	for _, e := range s.list(cpus) {
		cpu, ok := cutNumber(e.Name(), "cpu")
		if !ok {
			continue
		}
		if id, ok := sysfs.ParseIndex(s.text(cpus + e.Name() + "/topology/physical_package_id")); ok {
			s.topology.packageOf[cpu] = id
		}
	}
	nodes := s.sys + "/devices/system/node/"
	for _, e := range s.list(nodes) {
		node, ok := cutNumber(e.Name(), "node")
		if !ok {
			continue
		}
		list := s.text(nodes + e.Name() + "/cpulist") // 0-15,32-47
		if first, ok := sysfs.ParseIndex(list[:len(list)-len(strings.TrimLeft(list, "0123456789"))]); ok {
			s.topology.firstCPU[node] = first
		}
	}
}

func cutNumber(name, prefix string) (int, bool) {
	number, ok := strings.CutPrefix(name, prefix)
	if !ok {
		return 0, false
	}
	return sysfs.ParseIndex(number)
}

// text reads a file that may be missing; what cannot be read is empty.
func (s *scan) text(path string) string {
	b, err := sysfs.ReadFile(path, s.buf[:])
	if err != nil && !errors.Is(err, sysfs.ErrTooLong) {
		return ""
	}
	if err != nil {
		b = s.buf[:] // a list of many CPUs: its beginning is enough
	}
	text, _ := sysfs.ParseText(b)
	return text
}
