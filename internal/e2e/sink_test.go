package e2e

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
)

// sink takes OTLP over HTTP. It keeps what arrives whole, under the first part of the path:
// an exporter with the endpoint URL/a is a.
type sink struct {
	t   testing.TB
	url string

	mu       sync.Mutex
	received map[string][]pmetric.Metrics
}

func newSink(t testing.TB) *sink {
	t.Helper()
	s := &sink{t: t, received: map[string][]pmetric.Metrics{}}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // of a sender that was killed meanwhile
	}
	if r.Header.Get("Content-Encoding") == "gzip" {
		if body, err = unzipped(body); err != nil {
			s.t.Errorf("%s: %v", r.URL, err)
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
	}
	req := pmetricotlp.NewExportRequest()
	if err := req.UnmarshalProto(body); err != nil {
		s.t.Errorf("%s: %v", r.URL, err)
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	who, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	s.mu.Lock()
	defer s.mu.Unlock()
	s.received[who] = append(s.received[who], req.Metrics())
}

func unzipped(body []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// points returns every point of the metric that an exporter has sent, in the order of arrival.
func (s *sink) points(who, metric string) []point {
	s.t.Helper()
	s.mu.Lock()
	all := slices.Clone(s.received[who])
	s.mu.Unlock()
	var points []point
	for _, md := range all {
		points = append(points, pointsOf(s.t, md, metric)...)
	}
	return points
}

// meter is a machine with a counter of energy. It offers each value once, in its turn, and
// waits for the answer: the collector answers after the pipeline has handed the batch on.
type meter struct {
	t        testing.TB
	endpoint string
	host     string
	step     float64 // J from one value to the next
	began    time.Time

	mu      sync.Mutex
	joules  float64
	at      time.Time
	first   float64 // the first value that was taken
	taken   float64 // the newest
	n       int     // how many were
	unsure  float64 // J between it and the newest that may have been
	gaps    []float64
	stopped func()
}

// newMeter makes a meter that has been running for an hour, so that its first value is no
// more than a baseline.
func newMeter(t testing.TB, endpoint, host string, step float64) *meter {
	t.Helper()
	now := time.Now()
	return &meter{t: t, endpoint: endpoint, host: host, step: step, began: now.Add(-time.Hour), at: now, joules: 1e6}
}

// tick draws a step of energy and offers the value of the counter.
func (m *meter) tick() {
	m.mu.Lock()
	m.joules += m.step
	if now := time.Now(); now.After(m.at) {
		m.at = now
	}
	m.at = m.at.Add(time.Microsecond)
	joules := m.joules
	md := m.metrics()
	m.mu.Unlock()
	err := offer(m.t.Context(), m.endpoint, md)
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case err == nil:
		if m.n++; m.n == 1 {
			m.first = joules
		}
		if m.unsure > 0 {
			m.gaps = append(m.gaps, m.unsure)
		}
		m.taken, m.unsure = joules, 0
	case errors.Is(err, syscall.ECONNREFUSED): // nobody was there
	default: // it may have been stored, and if it was it may have been handed on
		m.unsure = joules - m.taken
	}
}

func (m *meter) metrics() pmetric.Metrics {
	md := pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	rm.Resource().Attributes().PutStr("host.id", m.host)
	one := rm.ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
	one.SetName("hw.energy")
	one.SetUnit("J")
	sum := one.SetEmptySum()
	sum.SetIsMonotonic(true)
	sum.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	dp := sum.DataPoints().AppendEmpty()
	dp.SetStartTimestamp(pcommon.NewTimestampFromTime(m.began))
	dp.SetTimestamp(pcommon.NewTimestampFromTime(m.at))
	dp.SetDoubleValue(m.joules)
	dp.Attributes().PutStr("hw.id", "rapl:package-0")
	dp.Attributes().PutStr("hw.type", "cpu")
	return md
}

// run ticks until stop is called.
func (m *meter) run() {
	quit, done := make(chan struct{}), make(chan struct{})
	m.stopped = sync.OnceFunc(func() { close(quit); <-done })
	go func() {
		defer close(done)
		ticker := time.NewTicker(3 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-quit:
				return
			case <-ticker.C:
				m.tick()
			}
		}
	}()
	m.t.Cleanup(m.stopped)
}

func (m *meter) stop() { m.stopped() }

// count is how many values were taken.
func (m *meter) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.n
}

// truth is what was drawn from the first value that was taken to the newest, and how much of
// it lay in batches that got no answer.
func (m *meter) truth() (joules, unsure float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, gap := range m.gaps {
		unsure += gap
	}
	return m.taken - m.first, unsure
}

// offer sends a batch once.
func offer(ctx context.Context, endpoint string, md pmetric.Metrics) error {
	body, err := pmetricotlp.NewExportRequestFromMetrics(md).MarshalProto()
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+endpoint+"/v1/metrics", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-protobuf")
	req.GetBody = nil // or the client may try a second time
	req.Close = true  // a connection that is kept says nothing of who is there
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(resp.Body)
		return fmt.Errorf("%s: %s: %s", endpoint, resp.Status, text)
	}
	return nil
}
