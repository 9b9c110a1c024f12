package nvidiasmi

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/otelcarbon/otelcarbon/internal/names"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/unit"
)

// maxGPUs is more than a machine has; further UUIDs are not kept.
const maxGPUs = 256

// A gpu is what is known of one device. It stays when the device goes.
type gpu struct {
	part    sensor.Part
	uuid    string
	index   int
	chosen  bool
	at      time.Time // of the newest line
	power   unit.Microwatts
	fresh   bool            // power was not returned yet
	text    string          // what the newest line shows in place of power
	problem *sensor.Problem // about text
	gone    *sensor.Problem
}

// A store holds the newest line of each GPU between the goroutine that reads
// nvidia-smi and those who call Read.
type store struct {
	wanted selection
	stale  time.Duration

	mu      sync.Mutex
	gpus    []*gpu // in the order of their appearance, which is that of the indices
	byUUID  map[string]*gpu
	process *sensor.Problem // why no nvidia-smi gives lines now
	line    *sensor.Problem // about the newest line that is no row …
	lineAt  time.Time       // … and when that was
	missing []*sensor.Problem
	closed  bool

	now, known []*sensor.Problem
	joined     error // of known
}

func newStore(wanted selection, interval time.Duration) *store {
	s := &store{wanted: wanted, stale: staleAfter * interval, byUUID: map[string]*gpu{}}
	for _, c := range wanted {
		s.missing = append(s.missing, &sensor.Problem{
			Sensor: sensorName, Class: sensor.Absent, Path: c.text,
			Remedy: "see nvidia-smi -L for the indices and UUIDs", Err: errors.New("nvidia-smi shows no such GPU"),
		})
	}
	return s
}

// put takes a row that arrived at the moment at. It says whether there was room.
func (s *store) put(r row, at time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.byUUID[string(r.uuid)]
	if g == nil {
		if len(s.gpus) >= maxGPUs {
			return false
		}
		uuid := string(r.uuid)
		g = &gpu{part: describe(uuid, string(r.name)), uuid: uuid}
		s.byUUID[uuid] = g
		s.gpus = append(s.gpus, g)
	}
	s.process = nil
	g.index, g.chosen, g.at = r.index, s.wanted.has(r.index, g.uuid), at
	g.power, g.fresh = r.power, r.power > 0
	switch {
	case g.fresh:
		g.text, g.problem = "", nil
	case g.problem == nil || g.text != string(r.text):
		g.text, g.problem = string(r.text), noPower(g.uuid, r.text)
	}
	return true
}

func describe(uuid, name string) sensor.Part {
	return sensor.Part{
		ID:     sensorName + ":" + uuid,
		Name:   name,
		Type:   names.HWTypeGPU,
		Sensor: sensorName,
		Method: sensor.Integrated,
		Role:   sensor.Primary,
		Socket: -1,
		Die:    -1,
		Same:   "gpu/" + uuid,
		Rank:   1, // behind nvml, which has energy counters
	}
}

// complain takes what a line means that is no row.
func (s *store) complain(p *sensor.Problem, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lineAt = at
	if s.line == nil || s.line.Error() != p.Error() {
		s.line = p
	}
}

// fail takes the reason why no nvidia-smi gives lines; it holds until the next row.
func (s *store) fail(p *sensor.Problem) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.line = nil; s.process == nil || s.process.Error() != p.Error() {
		s.process = p
	}
}

// useless returns why this machine has nothing to read, if that is so: nvidia-smi
// said it, or no chosen GPU tells its power.
func (s *store) useless() *sensor.Problem {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process != nil {
		if s.process.Class == sensor.Absent {
			return s.process
		}
		return nil
	}
	var why *sensor.Problem
	for _, g := range s.gpus {
		if !g.chosen {
			continue
		}
		if g.problem == nil || g.problem.Class != sensor.Absent {
			return nil
		}
		why = g.problem
	}
	return why
}

var errClosed = fmt.Errorf("%s: the sensor is closed: %w", sensorName, os.ErrClosed)

// read is sensor.Sensor's Read.
func (s *store) read(ctx context.Context, dst []sensor.Reading) ([]sensor.Reading, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return dst, errClosed
	}
	if err := ctx.Err(); err != nil {
		return dst, err
	}
	now := time.Now()
	s.now = s.now[:0]
	for _, g := range s.gpus {
		if !g.chosen {
			continue
		}
		if now.Sub(g.at) > s.stale {
			s.lost(g)
			continue
		}
		if g.problem != nil {
			s.now = append(s.now, g.problem)
		}
		if g.fresh {
			g.fresh = false
			dst = append(dst, sensor.Reading{Part: &g.part, At: g.at, Kind: sensor.Gauge, Power: g.power})
		}
	}
	s.rest(now)
	return dst, s.problems()
}

// lost notes a GPU without lines, unless there are none of any because of what
// process says.
func (s *store) lost(g *gpu) {
	if s.process != nil {
		return
	}
	if g.gone == nil {
		g.gone = &sensor.Problem{
			Sensor: sensorName, Class: sensor.Gone, Path: g.uuid,
			Remedy: "it is read again when nvidia-smi shows it", Err: fmt.Errorf("nvidia-smi has shown no line of it for more than %v", s.stale),
		}
	}
	s.now = append(s.now, g.gone)
}

// rest notes what is about no single GPU that nvidia-smi has shown.
func (s *store) rest(now time.Time) {
	if s.process != nil {
		s.now = append(s.now, s.process)
	} else if s.line != nil && now.Sub(s.lineAt) <= s.stale {
		s.now = append(s.now, s.line)
	}
	if len(s.gpus) == 0 {
		return // not even one was shown: nobody knows what is missing
	}
	for i, c := range s.wanted {
		if !slices.ContainsFunc(s.gpus, func(g *gpu) bool { return c.fits(g.index, g.uuid) }) {
			s.now = append(s.now, s.missing[i])
		}
	}
}

// problems joins what is wrong now. What lasts is the same value again.
func (s *store) problems() error {
	if !slices.Equal(s.now, s.known) {
		s.known = append(s.known[:0], s.now...)
		errs := make([]error, len(s.known))
		for i, p := range s.known {
			errs[i] = p
		}
		s.joined = errors.Join(errs...)
	}
	return s.joined
}

func (s *store) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
}
