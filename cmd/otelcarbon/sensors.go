package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/otelcarbon/otelcarbon/internal/host"
	"github.com/otelcarbon/otelcarbon/internal/names"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/sensor/all"
)

type sensorsOptions struct {
	root  string
	watch time.Duration
	count int
}

func sensorsCommand() *cobra.Command {
	var o sensorsOptions
	c := &cobra.Command{
		Use:   "sensors",
		Short: "Print what can be measured on this machine, and why the rest cannot",
		Long: "Print which parts of this machine can be read, by which sensor, and for each sensor\n" +
			"that gives nothing the reason and what would help. With --watch, print the mean power\n" +
			"of each part again and again until interrupted.",
		Example: "  otelcarbon sensors\n  otelcarbon sensors --watch 2s\n  otelcarbon sensors --root /hostfs",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	f := c.Flags()
	f.StringVar(&o.root, "root", "/", "`folder` where the root of the machine is mounted")
	f.DurationVar(&o.watch, "watch", 0, "print power every `interval`, such as 2s")
	f.IntVar(&o.count, "count", 0, "with --watch: stop after `n` times (default: never)")
	return c
}

func (o *sensorsOptions) run(cmd *cobra.Command) error {
	switch {
	case o.watch < 0 || o.watch > 0 && o.watch < 10*time.Millisecond:
		return fmt.Errorf("--watch: %v is too short: use at least 10ms", o.watch)
	case o.count < 0:
		return fmt.Errorf("--count: %d is not a number of times", o.count)
	case o.count > 0 && o.watch == 0:
		return errors.New("--count: only with --watch")
	}
	if info, err := os.Stat(o.root); err != nil {
		return no(fmt.Errorf("--root: %w", err))
	} else if !info.IsDir() {
		return no(fmt.Errorf("--root: %s is not a folder", o.root))
	}
	facts, err := host.Read(cmd.Context(), o.root)
	m := openAll(o.root, facts)
	defer m.close()
	if o.watch > 0 {
		return no(m.watch(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), o.watch, o.count))
	}
	printFacts(cmd.OutOrStdout(), facts, err)
	if !m.report(cmd.Context(), cmd.OutOrStdout()) {
		return &answerError{}
	}
	return nil
}

// machine holds the sensors of one machine, in the order in which they are read.
type machine struct {
	sensors  []*reader
	measured map[string]bool // types of parts that something better than a model gives
	readings []sensor.Reading
}

type reader struct {
	name   string
	sensor sensor.Sensor // nil if it could not be opened
	err    error         // of opening, then of the last read
	first  int           // readings of the last read are machine.readings[first:last]
	last   int
}

func openAll(root string, facts host.Facts) *machine {
	m := &machine{measured: map[string]bool{}}
	o := all.Options{Root: root}
	o.Model.Host = all.ModelHost(facts)
	o.Model.Measured = func(hwType string) bool { return m.measured[hwType] }
	for _, name := range all.Names {
		s, err := all.Open(name, o)
		m.sensors = append(m.sensors, &reader{name: name, sensor: s, err: err})
	}
	return m
}

// read reads every sensor once.
func (m *machine) read(ctx context.Context) {
	m.readings = m.readings[:0]
	for _, r := range m.sensors {
		r.first, r.last = len(m.readings), len(m.readings)
		if r.sensor == nil {
			continue
		}
		m.readings, r.err = r.sensor.Read(ctx, m.readings)
		r.last = len(m.readings)
		for _, x := range m.readings[r.first:] {
			if x.Part.Role == sensor.Primary && x.Part.Method != sensor.Modelled {
				m.measured[x.Part.Type] = true
			}
		}
	}
}

func (m *machine) close() {
	for _, r := range m.sensors {
		if r.sensor != nil {
			_ = r.sensor.Close()
		}
	}
}

// report says what each sensor gives, and whether any gives anything.
func (m *machine) report(ctx context.Context, w io.Writer) bool {
	m.read(ctx)
	for _, r := range m.sensors {
		m.reportOne(w, r)
	}
	return len(m.readings) > 0
}

func (m *machine) reportOne(w io.Writer, r *reader) {
	given := m.readings[r.first:r.last]
	fmt.Fprintf(w, "\n%s\n", r.name)
	for _, x := range given {
		fmt.Fprintf(w, "  reads %-24s %s\n", x.Part.ID, describePart(x.Part))
	}
	if d, ok := r.sensor.(interface{ Describe() string }); ok && len(given) > 0 {
		fmt.Fprintf(w, "  figures: %s\n", d.Describe())
	}
	said := false
	for p := range sensor.Problems(r.err) {
		fmt.Fprintf(w, "  cannot read (%s): %s\n", p.Class, cause(p))
		if p.Remedy != "" {
			fmt.Fprintf(w, "    what helps: %s\n", p.Remedy)
		}
		said = true
	}
	switch {
	case said || len(given) > 0:
	case r.err != nil:
		fmt.Fprintf(w, "  cannot read: %v\n", r.err)
	case r.name == names.SensorModel:
		fmt.Fprintln(w, "  not needed: everything it knows is measured")
	default:
		fmt.Fprintln(w, "  is there, but has given nothing yet")
	}
}

// cause is what went wrong, without the sensor's name and the remedy.
func cause(p *sensor.Problem) string {
	text := string(p.Class)
	if p.Err != nil {
		text = strings.TrimSuffix(p.Err.Error(), ": "+errors.ErrUnsupported.Error())
	}
	if p.Path != "" {
		text = p.Path + ": " + text
	}
	return text
}

func describePart(p *sensor.Part) string {
	text := p.Type + ", " + string(p.Method)
	switch p.Role {
	case sensor.Breakdown:
		text += ", inside " + p.Parent
	case sensor.Envelope:
		text += ", contains other parts"
	case sensor.Primary:
	}
	return text
}

func printFacts(w io.Writer, f host.Facts, err error) {
	about := []string{f.HostName}
	if f.LogicalCPUs > 0 {
		about = append(about, count(f.LogicalCPUs, "CPU"))
	}
	if f.CPUModel != "" {
		about = append(about, f.CPUModel)
	}
	if f.MemoryBytes > 0 {
		about = append(about, fmt.Sprintf("%.1f GiB", float64(f.MemoryBytes)/(1<<30)))
	}
	if f.Virtual {
		about = append(about, strings.TrimSpace("virtual machine "+f.VirtualSystem))
	}
	if f.CloudProvider != "" {
		about = append(about, strings.TrimSpace(f.CloudProvider+" "+f.InstanceType))
	}
	fmt.Fprintf(w, "machine %s: %s\n", f.HostID, strings.Join(about, ", "))
	for l := range strings.Lines(errorText(err)) {
		fmt.Fprintf(w, "  %s\n", strings.TrimSuffix(l, "\n"))
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
