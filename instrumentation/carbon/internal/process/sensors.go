package process

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/otelcarbon/otelcarbon/internal/names"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/sensor/model"
	"github.com/otelcarbon/otelcarbon/internal/sensor/perf"
	"github.com/otelcarbon/otelcarbon/internal/sensor/rapl"
)

// rescan is how often the sensors look for counters that came or became readable: a
// walk through folders.
const rescan = 10 * time.Second

// input is a sensor that is read.
type input struct {
	name   string
	sensor sensor.Sensor
	gives  bool  // something, in the last look
	gave   bool  // something, once
	err    error // of the last read
}

// openSensors opens what there is. Only an impossible configuration, and that there is
// nothing, are errors.
func (s *Source) openSensors() error {
	host := readHost(s.config.Root)
	s.bytes, s.machine.cpus = host.MemoryBytes, host.LogicalCPUs
	read, end, err := openStat(s.config.Root)
	if err == nil {
		s.machine.read, s.endStat = read, end
		s.open(names.SensorPerf, func() (sensor.Sensor, error) {
			return s.system.perf(s.config.Root, perf.Config{RescanInterval: rescan})
		})
		s.open(names.SensorRAPL, func() (sensor.Sensor, error) {
			return rapl.Open(s.config.Root, rapl.Config{RescanInterval: rescan})
		})
	} else {
		s.tried = append(s.tried, fmt.Sprintf("perf, rapl: not used, for nobody tells how busy the machine is: %v", err))
	}
	m, err := model.Open(s.config.model(&s.machine, host, s.isMeasured))
	switch {
	case err == nil:
		s.inputs = append(s.inputs, &input{name: names.SensorModel, sensor: m})
	case !errors.Is(err, errors.ErrUnsupported):
		return err
	default:
		s.tried = append(s.tried, err.Error())
	}
	if len(s.inputs) == 0 && len(s.config.Extra) == 0 {
		return fmt.Errorf("%s: %w", strings.Join(s.tried, "; "), errors.ErrUnsupported)
	}
	return nil
}

func (s *Source) open(name string, open func() (sensor.Sensor, error)) {
	opened, err := open()
	if err != nil {
		s.tried = append(s.tried, err.Error())
		return
	}
	s.inputs = append(s.inputs, &input{name: name, sensor: opened})
}

// openExtra opens the sensors that the caller wants, while the others are read already.
func (s *Source) openExtra() {
	for _, open := range s.config.Extra {
		s.opening.Go(func() {
			opened, err := open()
			s.mu.Lock()
			defer s.mu.Unlock()
			switch {
			case err != nil:
				s.tried = append(s.tried, err.Error())
			case s.closed:
				_ = opened.Close()
			default: // before the model, which asks what the others measure
				s.inputs = slices.Insert(s.inputs, 0, &input{name: "extra", sensor: opened})
			}
		})
	}
}

// readSensors reads all parts that count into s.readings. Its error is what is missing
// of what was there.
func (s *Source) readSensors(ctx context.Context) error {
	s.readings = s.readings[:0]
	var lost, all []error
	for _, in := range s.inputs {
		before := len(s.readings)
		s.readings, in.err = in.sensor.Read(ctx, s.readings)
		s.keepPrimary(before)
		in.gives = len(s.readings) > before
		in.gave = in.gave || in.gives
		if in.err != nil {
			if all = append(all, in.err); in.gave {
				lost = append(lost, in.err)
			}
		}
	}
	if !slices.ContainsFunc(s.inputs, func(in *input) bool { return in.gave }) {
		lost = all
	}
	if len(lost) == 1 {
		return lost[0]
	}
	return errors.Join(lost...)
}

// keepPrimary drops what lies inside or around other parts, which says nothing about a
// process, and notes what is measured.
func (s *Source) keepPrimary(from int) {
	kept := s.readings[:from]
	for _, r := range s.readings[from:] {
		if r.Part.Role != sensor.Primary {
			continue
		}
		kept = append(kept, r)
		if r.Part.Method != sensor.Modelled {
			s.measured[typeOf(r.Part.Type)] = true
			for _, covered := range r.Part.Covers {
				s.measured[typeOf(covered)] = true
			}
		}
	}
	s.readings = kept
}

// isMeasured is what the model asks while it is read.
func (s *Source) isMeasured(hwType string) bool { return s.measured[typeOf(hwType)] }

// Describe says, for people, what is counted and how, and what was tried and is not
// used, with the reasons.
func (s *Source) Describe() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var texts []string
	for a := range s.amounts.All {
		if a.Now {
			texts = append(texts, fmt.Sprintf("%s: %s by %s, idle power %s", a.Type, a.Method, a.Sensor, a.Idle))
		}
	}
	for _, in := range s.inputs {
		if d, ok := in.sensor.(sensor.Describer); ok && in.gave {
			if text := d.Describe(); text != "" {
				texts = append(texts, in.name+": "+text)
			}
		}
		if in.err != nil {
			texts = append(texts, in.err.Error())
		}
	}
	return strings.Join(append(texts, s.tried...), "; ")
}
