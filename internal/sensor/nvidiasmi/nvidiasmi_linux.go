package nvidiasmi

import (
	"context"
	"fmt"
	"time"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
)

// reader implements sensor.Sensor.
type reader struct {
	store  *store
	cancel context.CancelFunc
	done   chan struct{} // closed when the goroutine has ended
	grace  time.Duration
}

func open(c Config, wanted selection, l limits) (sensor.Sensor, error) {
	where := places()
	if c.Path != "" {
		where = []string{c.Path}
	}
	if _, p := find(where); p != nil && p.Class == sensor.Absent {
		return nil, p
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &reader{store: newStore(wanted, c.Interval), cancel: cancel, done: make(chan struct{}), grace: l.close}
	run := &runner{places: where, interval: c.Interval, limits: l, store: r.store, verdict: make(chan struct{})}
	go func() {
		defer close(r.done)
		run.run(ctx)
	}()
	if c.NoWait {
		return r, nil
	}
	timer := time.NewTimer(l.open)
	defer timer.Stop()
	select {
	case <-run.verdict:
		if p := r.store.useless(); p != nil {
			_ = r.Close()
			return nil, p
		}
	case <-timer.C: // the driver may still wake up
	}
	return r, nil
}

// Read implements sensor.Sensor. It may be called from several goroutines.
func (r *reader) Read(ctx context.Context, dst []sensor.Reading) ([]sensor.Reading, error) {
	return r.store.read(ctx, dst)
}

// Close implements sensor.Sensor. It kills nvidia-smi and waits until it is gone;
// one that hangs in the driver and cannot be killed is no longer waited for after
// 2 s, which is an error, and disappears by itself when the driver lets it.
func (r *reader) Close() error {
	r.store.close()
	r.cancel()
	timer := time.NewTimer(r.grace)
	defer timer.Stop()
	select {
	case <-r.done:
		return nil
	case <-timer.C:
		return fmt.Errorf("%s: nvidia-smi hangs in the driver and does not end after SIGKILL; see dmesg | grep -i nvrm", sensorName)
	}
}
