package intensitytest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/intensity"
)

// Setup says how a provider is made, and what it answers where all is well.
type Setup struct {
	// New makes the provider, whose requests go through the client.
	New func(t testing.TB, client *http.Client) intensity.Provider
	// Serve answers a Fetch of Zone over [From, To), and a login before it, if there is
	// one. It fails the test where a request is not as the provider's server wants it.
	Serve http.Handler
	// Fault says which request a fault hits; nil: each. A provider with a login lets the
	// login pass, so that the fault is that of the data.
	Fault    func(r *http.Request) bool
	Login    bool // what faults hit is the login, whose answer has no values
	Zone     string
	From, To time.Time
	// Now is the time at which the test runs; zero: To.
	Now time.Time
	// Secrets are the credentials that New uses.
	Secrets []string
	// Kinds are the kinds that differ from those of the contract, by name of the fault.
	Kinds map[string]intensity.Kind
}

// fault is something that a server or a network does wrong.
type fault struct {
	name   string
	kind   intensity.Kind
	handle http.HandlerFunc
	after  time.Duration // RetryAfter of the error
}

func answer(status int, header map[string]string, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for k, v := range header {
			w.Header().Set(k, v)
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

// faults is the contract: what each fault is an error of.
func faults() []fault {
	html := map[string]string{"Content-Type": "text/html"}
	return []fault{
		{name: "401", kind: intensity.KindAuth, handle: answer(401, nil, `{"error":"no"}`)},
		{name: "403", kind: intensity.KindAuth, handle: answer(403, nil, `{"error":"no"}`)},
		{name: "404", kind: intensity.KindNoData, handle: answer(404, nil, `{"error":"none"}`)},
		{name: "429", kind: intensity.KindRate, handle: answer(429, nil, `{"error":"slow down"}`)},
		{name: "429 with seconds", kind: intensity.KindRate, after: 42 * time.Second, handle: answer(429, map[string]string{"Retry-After": "42"}, `{}`)},
		{name: "429 with a date", kind: intensity.KindRate, after: 2 * time.Minute, handle: func(w http.ResponseWriter, r *http.Request) {
			answer(429, map[string]string{"Retry-After": time.Now().UTC().Add(2 * time.Minute).Format(http.TimeFormat)}, `{}`)(w, r)
		}},
		{name: "429 for ten years", kind: intensity.KindRate, after: 15 * time.Minute, handle: answer(429, map[string]string{"Retry-After": "315360000"}, `{}`)},
		{name: "500", kind: intensity.KindUpstream, handle: answer(500, nil, `{"error":"oh"}`)},
		{name: "503 with HTML", kind: intensity.KindUpstream, handle: answer(503, html, `<html>down</html>`)},
		{name: "200 with HTML", kind: intensity.KindMalformed, handle: answer(200, html, `<!doctype html><title>Login</title>`)},
		{name: "200 with nothing", kind: intensity.KindMalformed, handle: answer(200, nil, ``)},
		{name: "200 with a word", kind: intensity.KindMalformed, handle: answer(200, nil, `maintenance`)},
		{name: "200 with half an answer", kind: intensity.KindMalformed, handle: answer(200, nil, `{"data":[{"x":1},`)},
		{name: "200 with another type", kind: intensity.KindMalformed, handle: answer(200, nil, `"text"`)},
		{name: "redirect", kind: intensity.KindUpstream, handle: answer(302, map[string]string{"Location": "https://elsewhere.example/"}, ``)},
		{name: "too large", kind: intensity.KindMalformed, handle: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			for chunk := []byte(strings.Repeat("[", 1<<16)); ; {
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
		}},
		{name: "cut", kind: intensity.KindUpstream, handle: func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"data":[`))
			Cut(w)
		}},
		{name: "no answer", kind: intensity.KindUpstream, handle: func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }},
		{name: "an answer without end", kind: intensity.KindUpstream, handle: func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := w.Write([]byte(" ")); err != nil {
					return
				}
				select { // not a sleep, which would outlast the test
				case <-r.Context().Done():
				case <-time.After(time.Second):
				}
			}
		}},
		{name: "connection refused", kind: intensity.KindUpstream, handle: func(w http.ResponseWriter, _ *http.Request) {
			Fail(w, &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")})
		}},
		{name: "no such host", kind: intensity.KindUpstream, handle: func(w http.ResponseWriter, _ *http.Request) {
			Fail(w, &net.DNSError{Err: "no such host", Name: "api.example", IsNotFound: true})
		}},
	}
}

// Run tests that a provider keeps the contract: its answer is a Series of the basis that
// it offers, each fault is an error of one kind, whose text holds no credential, a
// Fetch makes one request, and ends with its context.
func Run(t *testing.T, s Setup) {
	t.Helper()
	if s.Now.IsZero() {
		s.Now = s.To
	}
	t.Run("caps", func(t *testing.T) { s.caps(t) })
	t.Run("fetch", func(t *testing.T) { s.at(t, s.fetches) })
	t.Run("context", func(t *testing.T) { s.at(t, s.ends) })
	t.Run("concurrent", func(t *testing.T) { s.at(t, s.concurrently) })
	if !s.Login {
		s.contents(t)
	}
	for _, f := range faults() {
		t.Run(f.name, func(t *testing.T) { s.at(t, func(t *testing.T) { s.fails(t, f) }) })
		t.Run(f.name+", in a chain", func(t *testing.T) { s.at(t, func(t *testing.T) { s.inChain(t, f) }) })
	}
}

// at runs f at the moment Now, by a clock of its own.
func (s *Setup) at(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(s.Now)) // the clock begins in 2000
		f(t)
	})
}

func (s *Setup) caps(t *testing.T) {
	c := s.New(t, &http.Client{}).Caps()
	assert.NotEmpty(t, c.ID)
	assert.NotEmpty(t, c.Bases)
	assert.True(t, c.Network)
	assert.NotEmpty(t, c.Attribution)
	assert.Positive(t, c.Step)
	assert.Equal(t, c, s.New(t, &http.Client{}).Caps(), "it never changes")
}

func (s *Setup) fetches(t *testing.T) {
	server := Serve(s.Serve)
	p := s.New(t, server.Client())
	got, err := p.Fetch(t.Context(), s.Zone, s.From, s.To)
	require.NoError(t, err)
	require.NoError(t, got.Check())
	assert.True(t, got.From.Equal(s.From) && got.To.Equal(s.To), "it covers what was asked: %v to %v", got.From, got.To)
	require.NotEmpty(t, got.Slots)
	for _, slot := range got.Slots {
		assert.True(t, p.Caps().Offers(slot.Basis), "%v", slot.Basis)
		assert.NotZero(t, slot.Basis.Signal)
		assert.NotZero(t, slot.Basis.Boundary)
		assert.NotZero(t, slot.Quality)
		assert.Equal(t, p.Caps().ID, slot.Origin.Provider)
		assert.NotEmpty(t, slot.Origin.ZoneServed)
		assert.False(t, strings.ContainsAny(slot.Origin.Endpoint, "?="), slot.Origin.Endpoint)
		assert.Equal(t, time.UTC, slot.Start.Location())
		for _, secret := range s.Secrets {
			assert.NotContains(t, fmt.Sprintf("%+v", *slot), secret)
		}
	}
	n := 0
	for _, r := range server.Requests() {
		for _, secret := range s.Secrets {
			assert.NotContains(t, r.URL.String(), secret, "a key is no part of a URL")
		}
		if s.Fault == nil || s.Fault(r) {
			n++
		}
	}
	assert.Equal(t, 1, n, "requests of one Fetch")
	for _, secret := range s.Secrets {
		assert.NotContains(t, fmt.Sprintf("%v %+v %#v", p, p, p), secret)
	}
}

// only has the handler answer the requests that faults hit.
func (s *Setup) only(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.Fault != nil && !s.Fault(r) {
			s.Serve.ServeHTTP(w, r)
			return
		}
		h.ServeHTTP(w, r)
	})
}

func (s *Setup) kind(f fault) intensity.Kind {
	if k, ok := s.Kinds[f.name]; ok {
		return k
	}
	return f.kind
}

func (s *Setup) fails(t *testing.T, f fault) {
	p := s.New(t, Serve(s.only(f.handle)).Client())
	_, err := p.Fetch(t.Context(), s.Zone, s.From, s.To)
	synctest.Wait()
	require.Error(t, err)
	require.ErrorIs(t, err, s.kind(f))
	e, ok := errors.AsType[*intensity.Error](err)
	require.True(t, ok)
	assert.Equal(t, p.Caps().ID, e.Provider)
	if f.after > 0 {
		assert.InDelta(t, f.after, e.RetryAfter, float64(2*time.Second))
	}
	for _, secret := range s.Secrets {
		assert.NotContains(t, fmt.Sprintf("%v %+v %#v", err, err, *e), secret)
	}
	assert.NotContains(t, err.Error(), "?", "no query")
}

func (s *Setup) ends(t *testing.T) {
	p := s.New(t, Serve(s.only(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))).Client())
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	began := time.Now()
	_, err := p.Fetch(ctx, s.Zone, s.From, s.To)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	assert.Equal(t, time.Second, time.Since(began))
}

func (s *Setup) concurrently(t *testing.T) {
	p := s.New(t, Serve(s.Serve).Client())
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			_, err := p.Fetch(t.Context(), s.Zone, s.From, s.To)
			assert.NoError(t, err) //nolint:testifylint // not the test's goroutine
			_ = p.Caps()
		})
	}
	wg.Wait()
}
