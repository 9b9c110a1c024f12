package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// perContainer is how many processes a container holds.
const perContainer = 10

// machine is this one, with a powercap tree that moves, and with processes.
type machine struct {
	root   string // for root_path
	groups string // in which containers are made; "" if that is impossible
	where  string

	processes []*exec.Cmd
	running   int
	made      []string // cgroups
	stop      context.CancelFunc
	ticked    chan struct{}
}

func newMachine(ctx context.Context) (*machine, error) {
	root, err := os.MkdirTemp("", "overhead")
	if err != nil {
		return nil, err
	}
	m := &machine{root: root, ticked: make(chan struct{})}
	zone := filepath.Join(root, "sys/devices/virtual/powercap/intel-rapl/intel-rapl:0")
	class := filepath.Join(root, "sys/class/powercap")
	err = errors.Join(os.MkdirAll(zone, 0o750), os.MkdirAll(class, 0o750), os.MkdirAll(filepath.Join(root, "sys/fs"), 0o750))
	for file, text := range map[string]string{"name": "package-0", "max_energy_range_uj": "262143328850", "energy_uj": "100000"} {
		err = errors.Join(err, os.WriteFile(filepath.Join(zone, file), []byte(text+"\n"), 0o600))
	}
	err = errors.Join(err, os.Symlink(zone, filepath.Join(class, "intel-rapl:0")),
		os.Symlink("/proc", filepath.Join(root, "proc")), os.Symlink("/sys/fs/cgroup", filepath.Join(root, "sys/fs/cgroup")))
	if err != nil {
		return nil, err
	}
	counter, err := os.OpenFile(filepath.Join(zone, "energy_uj"), os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	ticking, stop := context.WithCancel(ctx)
	m.stop = stop
	go m.tick(ticking, counter)
	m.findGroups()
	return m, nil
}

// tick lets the counter go on by 50 W. It is written over, as it only grows: one that
// is made anew would be empty for a moment.
func (m *machine) tick(ctx context.Context, counter *os.File) {
	defer close(m.ticked)
	for began := time.Now(); ; {
		select {
		case <-ctx.Done():
			_ = counter.Close()
			return
		case <-time.After(100 * time.Millisecond):
		}
		_, _ = fmt.Fprintf(io.NewOffsetWriter(counter, 0), "%d\n", 100_000+50*time.Since(began).Microseconds()) // the collector says if it is missing
	}
}

func (m *machine) findGroups() {
	for _, tree := range []string{"/sys/fs/cgroup/cpuacct", "/sys/fs/cgroup"} {
		folder := filepath.Join(tree, "docker")
		_, before := os.Stat(folder)
		if err := os.Mkdir(folder, 0o750); err != nil && !os.IsExist(err) {
			continue
		}
		if _, err := os.Stat(filepath.Join(folder, "cgroup.procs")); err != nil {
			continue
		}
		if before != nil {
			m.made = append(m.made, folder)
		}
		m.groups = folder
		m.where = fmt.Sprintf("containers of %d processes each in %s", perContainer, folder)
		return
	}
	m.where = "no cgroup can be made here: all processes are in that of this command"
}

// grow starts processes until there are n, of which some run.
func (m *machine) grow(ctx context.Context, n, running int) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	for i := len(m.processes); i < n; i++ {
		cmd := exec.CommandContext(ctx, "sleep", "infinity")
		if m.running < running && (i%perContainer == 0 || n-i <= running-m.running) {
			cmd = exec.CommandContext(ctx, self, "work", (40 * time.Millisecond / time.Duration(running)).String()) //nolint:gosec // this program
			cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
			m.running++
		}
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := cmd.Start(); err != nil {
			return fmt.Errorf("process %d: %w", i, err)
		}
		m.processes = append(m.processes, cmd)
		if m.groups == "" {
			continue
		}
		folder := filepath.Join(m.groups, fmt.Sprintf("%064x", i/perContainer+1))
		if i%perContainer == 0 {
			if err := os.Mkdir(folder, 0o750); err != nil {
				return err
			}
			m.made = append(m.made, folder)
		}
		if err := os.WriteFile(filepath.Join(folder, "cgroup.procs"), []byte(strconv.Itoa(cmd.Process.Pid)), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// floor is what it costs to read /proc/PID/stat of each process: opened each time, and
// kept open, which all are as far as the limit of open files goes.
func (m *machine) floor() (opened, kept time.Duration, err error) {
	buf := make([]byte, 4096)
	began := time.Now()
	for _, p := range m.processes {
		f, err := os.Open(m.stat(p))
		if err != nil {
			return 0, 0, err
		}
		if _, err := f.Read(buf); err != nil {
			return 0, 0, err
		}
		if err := f.Close(); err != nil {
			return 0, 0, err
		}
	}
	opened = time.Since(began) / time.Duration(len(m.processes))
	var files []*os.File
	defer func() {
		for _, f := range files {
			err = errors.Join(err, f.Close())
		}
	}()
	for _, p := range m.processes[:min(len(m.processes), 800)] {
		f, err := os.Open(m.stat(p))
		if err != nil {
			return 0, 0, err
		}
		files = append(files, f)
	}
	began = time.Now()
	for _, f := range files {
		if _, err := f.ReadAt(buf, 0); err != nil && !errors.Is(err, io.EOF) {
			return 0, 0, err
		}
	}
	return opened, time.Since(began) / time.Duration(len(files)), nil
}

func (m *machine) stat(p *exec.Cmd) string {
	return filepath.Join("/proc", strconv.Itoa(p.Process.Pid), "stat")
}

const configuration = `receivers:
  power:
    root_path: %s
    collection_interval: 1s
    sampling_interval: 1s
    sensors: {rapl: {required: true}}
    workloads: {containers: {enabled: %t}, processes: {enabled: %t}}
exporters:
  prometheus: {endpoint: 127.0.0.1:0, resource_to_telemetry_conversion: {enabled: true}}
service:
  telemetry: {metrics: {level: none}, logs: {level: warn}}
  pipelines: {metrics: {receivers: [power], exporters: [prometheus]}}
`

// measure runs the collector, lets it settle, and returns its CPU time in % of a core
// and its resident memory in MB.
func (m *machine) measure(ctx context.Context, collector, level string, d time.Duration) (cpu, memory float64, err error) {
	file := filepath.Join(m.root, "config.yaml")
	text := fmt.Sprintf(configuration, m.root, level == "containers" || level == "processes", level == "processes")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return 0, 0, err
	}
	var said bytes.Buffer
	cmd := exec.CommandContext(ctx, collector, "--config", file) //nolint:gosec // who calls says what to measure
	cmd.Stderr = &said
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	if err := cmd.Start(); err != nil {
		return 0, 0, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	defer func() {
		_ = cmd.Process.Signal(os.Interrupt) // it may have ended, which ended says
		if e := <-ended; e != nil {
			err = errors.Join(err, fmt.Errorf("%w: %s", e, said.String()))
		}
	}()
	rest := func(d time.Duration) error {
		select {
		case <-time.After(d):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case e := <-ended:
			ended <- e
			return errors.New("the collector ended")
		}
	}
	if err := rest(10 * time.Second); err != nil { // the first looks find everything new
		return 0, 0, err
	}
	before, began := cpuTime(cmd.Process.Pid), time.Now()
	if err := rest(d); err != nil {
		return 0, 0, err
	}
	cpu = 100 * (cpuTime(cmd.Process.Pid) - before).Seconds() / time.Since(began).Seconds()
	return cpu, resident(cmd.Process.Pid), nil
}

// cpuTime sums what all threads have used, to the nanosecond.
func cpuTime(pid int) (sum time.Duration) {
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid)) // the pattern is well formed
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			continue // a thread that ended
		}
		text, _, _ := strings.Cut(string(b), " ")
		ns, _ := strconv.ParseInt(text, 10, 64)
		sum += time.Duration(ns)
	}
	return sum
}

// resident returns VmRSS in MB.
func resident(pid int) float64 {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	_, rest, _ := strings.Cut(string(b), "VmRSS:")
	line, _, _ := strings.Cut(rest, "\n")
	kB, _ := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(line, "kB")), 64)
	return kB / 1024
}

// close ends the processes and removes what was made.
func (m *machine) close() error {
	m.stop()
	<-m.ticked
	for _, p := range m.processes {
		_ = p.Process.Kill()
	}
	for _, p := range m.processes {
		_ = p.Wait() // killed
	}
	var errs []error
	for _, folder := range slices.Backward(m.made) {
		err := os.Remove(folder)
		for range 50 { // its processes may still be leaving
			if err == nil {
				break
			}
			time.Sleep(10 * time.Millisecond)
			err = os.Remove(folder)
		}
		errs = append(errs, err)
	}
	return errors.Join(append(errs, os.RemoveAll(m.root))...)
}
