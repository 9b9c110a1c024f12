package bmc

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/tools/txtar"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	testUser     = "meter-reader"
	testPassword = "p4ss-w0rd"
	sessionsLink = "/redfish/v1/SessionService/Sessions"
	bay1         = "/redfish/v1/Chassis/1U/PowerSubsystem/PowerSupplies/Bay1"
	bay2         = "/redfish/v1/Chassis/1U/PowerSubsystem/PowerSupplies/Bay2"
	environment  = "/redfish/v1/Chassis/1U/EnvironmentMetrics"
	legacyPower  = "/redfish/v1/Chassis/1U/Power"
)

// mock is a Redfish service that replays bodies. Its clock is that of the test.
type mock struct {
	mu       sync.Mutex
	bodies   map[string]string
	status   map[string]int
	handle   map[string]http.HandlerFunc
	frozen   string        // value of the header Date; "": the time
	delay    time.Duration // before each answer
	auth     string        // "", "basic" or "session"
	password string        // that is right
	token    string
	made     int // sessions
	open     int
	attempts int // with credentials
	requests []string
}

func load(t testing.TB, name string) *mock {
	t.Helper()
	a, err := txtar.ParseFile("testdata/" + name + ".txtar")
	require.NoError(t, err)
	require.NotEmpty(t, a.Files)
	m := &mock{bodies: map[string]string{}, status: map[string]int{}, handle: map[string]http.HandlerFunc{}, password: testPassword}
	for _, f := range a.Files {
		m.bodies[f.Name] = string(f.Data)
	}
	return m
}

func (m *mock) set(path, body string) { m.do(func() { m.bodies[path] = body }) }

func (m *mock) replace(t testing.TB, path, was, is string) {
	t.Helper()
	m.do(func() {
		require.Contains(t, m.bodies[path], was)
		m.bodies[path] = strings.ReplaceAll(m.bodies[path], was, is)
	})
}

func (m *mock) do(change func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change()
}

func (m *mock) asked() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]string(nil), m.requests...)
}

func (m *mock) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	if r.URL.RawQuery != "" {
		path += "?" + r.URL.RawQuery
	}
	m.mu.Lock()
	m.requests = append(m.requests, r.Method+" "+path)
	delay := m.delay
	m.mu.Unlock()
	if delay > 0 {
		select {
		case <-time.After(delay):
		case <-r.Context().Done():
			return
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	date := m.frozen
	if date == "" {
		date = time.Now().UTC().Format(http.TimeFormat)
	}
	w.Header().Set("Date", date)
	if h := m.handle[path]; h != nil {
		h(w, r)
		return
	}
	if code := m.status[path]; code != 0 {
		w.WriteHeader(code)
		return
	}
	if path == sessionsLink && r.Method == http.MethodPost {
		m.login(w, r)
		return
	}
	if path != rootLink && !m.allows(r) {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if r.Method == http.MethodDelete {
		m.open--
		m.token = ""
		return
	}
	body, ok := m.bodies[path]
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"error": {"code": "Base.1.0.ResourceMissingAtURI"}}`)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, body)
}

func (m *mock) allows(r *http.Request) bool {
	switch m.auth {
	case "basic":
		m.attempts++
		user, password, _ := r.BasicAuth()
		return user == testUser && password == m.password
	case "session":
		return m.token != "" && r.Header.Get("X-Auth-Token") == m.token
	}
	return true
}

func (m *mock) login(w http.ResponseWriter, r *http.Request) {
	if m.auth != "session" {
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	m.attempts++
	var c struct{ UserName, Password string }
	if json.NewDecoder(r.Body).Decode(&c) != nil || c.UserName != testUser || c.Password != m.password {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	m.made++
	m.open++
	m.token = "t0ken" + strings.Repeat("x", m.made)
	w.Header().Set("X-Auth-Token", m.token)
	w.Header().Set("Location", "https://10.0.0.7"+sessionsLink+"/1") // its own idea of its address
	w.WriteHeader(http.StatusCreated)
}

// serve makes the mock a server on the loopback, and gives the settings for it.
func (m *mock) serve(t testing.TB) Redfish {
	t.Helper()
	s := httptest.NewTLSServer(m)
	t.Cleanup(s.Close)
	client := s.Client()
	t.Cleanup(client.CloseIdleConnections)
	return Redfish{Endpoint: s.URL, Client: client}
}

func (m *mock) withCredentials(c Redfish) Redfish {
	c.Username, c.Password = testUser, NewSecret(testPassword)
	return c
}

// direct serves requests without a socket, for bubbles.
type direct struct{ http.Handler }

func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return w.Result(), nil
}

func (m *mock) bubble() Redfish {
	return Redfish{Endpoint: "https://bmc.example.net", Client: &http.Client{Transport: direct{m}}}
}

func newSource(t testing.TB, c Redfish) *redfish {
	t.Helper()
	s, err := newRedfish(c, defaultMaxAge)
	require.NoError(t, err)
	r, ok := s.(*redfish)
	require.True(t, ok)
	t.Cleanup(func() { r.close(context.WithoutCancel(t.Context())) })
	return r
}

func problemOf(t testing.TB, err error) *sensor.Problem {
	t.Helper()
	require.Error(t, err)
	var p *sensor.Problem
	require.ErrorAs(t, err, &p)
	assert.NotContains(t, err.Error(), testPassword)
	assert.NotContains(t, err.Error(), "\n")
	return p
}
