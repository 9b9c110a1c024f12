package bmc

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
)

func TestWireMakesOneSessionAndEndsIt(t *testing.T) {
	m := load(t, "modern")
	m.auth = "session"
	r := newSource(t, m.withCredentials(m.serve(t)))
	for range 3 {
		_, err := r.sample(t.Context())
		require.NoError(t, err)
	}
	assert.Equal(t, 1, m.made)
	m.do(func() { m.token = "another" }) // it expires
	_, err := r.sample(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 2, m.made)
	assert.Equal(t, 2, m.attempts)
	r.close(t.Context())
	assert.Equal(t, 1, m.open, "the second is ended, although its address is that of another host; the first had expired")
	assert.Contains(t, m.asked(), "DELETE "+sessionsLink+"/1")
}

func TestWireUsesBasicAuthenticationWithoutSessions(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(m *mock)
	}{
		{"no link to sessions", func(m *mock) { m.bodies[rootLink] = `{"Chassis": {"@odata.id": "/redfish/v1/Chassis"}}` }},
		{"a link that allows no POST", func(m *mock) {}},
		{"a link to nothing", func(m *mock) { m.status[sessionsLink] = http.StatusNotFound }},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := load(t, "modern")
			m.auth = "basic"
			c.change(m)
			_, err := newSource(t, m.withCredentials(m.serve(t))).sample(t.Context())
			require.NoError(t, err)
			assert.NotZero(t, m.attempts)
		})
	}
	t.Run("the service root is asked without credentials", func(t *testing.T) {
		m := load(t, "modern")
		var header string
		m.handle[rootLink] = func(w http.ResponseWriter, r *http.Request) {
			header = r.Header.Get("Authorization")
			_, _ = io.WriteString(w, m.bodies[rootLink])
		}
		_, err := newSource(t, m.withCredentials(m.serve(t))).sample(t.Context())
		require.NoError(t, err)
		assert.Empty(t, header)
	})
	t.Run("without a name there are none", func(t *testing.T) {
		m := load(t, "modern")
		m.auth = "basic"
		_, err := newSource(t, m.serve(t)).sample(t.Context())
		require.ErrorIs(t, err, errDenied)
	})
}

func TestWireC43WrongPasswordCostsOneAttempt(t *testing.T) {
	for _, auth := range []string{"basic", "session"} {
		t.Run("C43 401 "+auth, func(t *testing.T) {
			m := load(t, "modern")
			m.auth, m.password = auth, "changed"
			r := newSource(t, m.withCredentials(m.serve(t)))
			_, err := r.sample(t.Context())
			p := newProblem(r.where(), err)
			assert.Equal(t, sensor.Permission, p.Class)
			assert.Contains(t, p.Remedy, "username and password")
			assert.Contains(t, p.Remedy, "5 minutes")
			assert.Equal(t, 1, m.attempts)
			assert.Same(t, p, problemOf(t, p))
		})
	}
	for _, status := range []int{http.StatusBadRequest, http.StatusForbidden} {
		t.Run(fmt.Sprintf("status %d", status), func(t *testing.T) {
			m := load(t, "modern")
			m.auth = "session"
			m.status[sessionsLink] = status
			r := newSource(t, m.withCredentials(m.serve(t)))
			_, err := r.sample(t.Context())
			require.ErrorIs(t, err, errDenied)
		})
	}
	t.Run("a session without a token", func(t *testing.T) {
		m := load(t, "modern")
		m.auth = "session"
		m.handle[sessionsLink] = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusCreated) }
		_, err := newSource(t, m.withCredentials(m.serve(t))).sample(t.Context())
		require.ErrorIs(t, err, errMalformed)
	})
	t.Run("too many sessions", func(t *testing.T) {
		m := load(t, "modern")
		m.auth = "session"
		m.status[sessionsLink] = http.StatusServiceUnavailable
		_, err := newSource(t, m.withCredentials(m.serve(t))).sample(t.Context())
		require.ErrorContains(t, err, "503")
		assert.Equal(t, sensor.IO, classify(err))
	})
}

func TestWireRedirects(t *testing.T) {
	m := load(t, "modern")
	c := m.withCredentials(m.serve(t))
	var stolen http.Header
	other := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { stolen = r.Header }))
	t.Cleanup(other.Close)
	for _, target := range []string{other.URL + "/redfish/v1/Chassis", strings.Replace(c.Endpoint, "https:", "http:", 1) + "/redfish/v1/Chassis"} {
		m.handle["/redfish/v1/Chassis"] = func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, target, http.StatusFound) }
		r := newSource(t, c)
		_, err := r.sample(t.Context())
		p := newProblem(r.where(), err)
		assert.Equal(t, sensor.Malformed, p.Class)
		assert.Contains(t, p.Error(), "is not followed")
		assert.Same(t, p, problemOf(t, p))
	}
	assert.Nil(t, stolen, "the other host was asked")

	m.do(func() {
		delete(m.handle, "/redfish/v1/Chassis")
		m.handle["/redfish/v1/Chassis/1U"] = func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/redfish/v1/Chassis/1U?only", http.StatusMovedPermanently)
		}
		m.bodies["/redfish/v1/Chassis/1U?only"] = m.bodies["/redfish/v1/Chassis/1U"]
	})
	_, err := newSource(t, c).sample(t.Context())
	require.NoError(t, err, "on the same host it is followed")

	m.do(func() {
		m.handle["/redfish/v1/Chassis/1U?only"] = m.handle["/redfish/v1/Chassis/1U"]
	})
	_, err = newSource(t, c).sample(t.Context())
	require.ErrorContains(t, err, "more than 5 redirects")
}

func TestWireBoundsWhatItReads(t *testing.T) {
	huge := func(w io.Writer) {
		_, _ = io.WriteString(w, `{"a": "`)
		for range 40 {
			if _, err := io.WriteString(w, strings.Repeat("x", 1<<16)); err != nil { // 2.5 MiB
				return
			}
		}
		_, _ = io.WriteString(w, `"}`)
	}
	for name, h := range map[string]http.HandlerFunc{
		"huge body": func(w http.ResponseWriter, _ *http.Request) { huge(w) },
		"huge body of an error": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNotFound)
			huge(w)
		},
		"small body that unpacks to a huge one": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			huge(z)
			_ = z.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := load(t, "modern")
			m.handle[rootLink] = h
			_, err := newSource(t, m.serve(t)).sample(t.Context())
			require.ErrorContains(t, err, "larger than 1048576 bytes")
			assert.Equal(t, sensor.Malformed, classify(err))
		})
	}
	t.Run("largest body", func(t *testing.T) {
		m := load(t, "modern")
		body := m.bodies[rootLink]
		m.bodies[rootLink] = body + strings.Repeat(" ", maxBody-len(body))
		_, err := newSource(t, m.serve(t)).sample(t.Context())
		require.NoError(t, err)
	})
	t.Run("body that ends before its length", func(t *testing.T) {
		m := load(t, "modern")
		m.handle[rootLink] = func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, `{"Chassis"`)
		}
		_, err := newSource(t, m.serve(t)).sample(t.Context())
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		assert.Equal(t, sensor.IO, classify(err))
	})
	t.Run("C43 body that never ends", func(t *testing.T) {
		m := load(t, "modern")
		m.handle[rootLink] = func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, `{"Chassis": `)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		r := newSource(t, m.serve(t))
		_, err := r.sample(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		p := newProblem(r.where(), err)
		assert.Equal(t, sensor.IO, p.Class)
		assert.Contains(t, p.Remedy, "slow")
	})
}

func TestWireVerifiesTheCertificate(t *testing.T) {
	m := load(t, "modern")
	c := m.withCredentials(m.serve(t))
	c.Client = nil
	r := newSource(t, c)
	_, err := r.sample(t.Context())
	p := newProblem(r.where(), err)
	assert.Equal(t, sensor.IO, p.Class)
	assert.Contains(t, p.Remedy, "authority")
	assert.Empty(t, m.asked())
	assert.Equal(t, c.Endpoint, p.Path)
}

func TestWireLeavesTheCallersClientAlone(t *testing.T) {
	client := &http.Client{Timeout: time.Minute}
	w, err := newWire(Redfish{Endpoint: "https://bmc.example.net", Client: client})
	require.NoError(t, err)
	assert.Nil(t, client.CheckRedirect)
	assert.Equal(t, time.Minute, w.client.Timeout)
	assert.Nil(t, w.own)
}

func TestEndpoint(t *testing.T) {
	for endpoint, want := range map[string]string{
		"https://bmc.example.net":                    "https://bmc.example.net",
		"https://bmc.example.net/":                   "https://bmc.example.net",
		"https://bmc.example.net/redfish/v1/":        "https://bmc.example.net",
		"https://bmc.example.net/redfish/v1":         "https://bmc.example.net",
		"https://bmc.example.net:8443/redfish":       "https://bmc.example.net:8443",
		"https://[fe80::1]/":                         "https://[fe80::1]",
		"https://proxy.example.net/node7/redfish/v1": "https://proxy.example.net/node7",
		"http://127.0.0.1:8000":                      "http://127.0.0.1:8000",
		"http://localhost":                           "http://localhost",
	} {
		u, err := parseEndpoint(endpoint)
		require.NoError(t, err, endpoint)
		assert.Equal(t, want, u.String())
	}
	for endpoint, words := range map[string]string{
		"bmc.example.net":                      "https://bmc.example.net",
		"https://":                             "https://bmc.example.net",
		"ftp://bmc.example.net":                "https://bmc.example.net",
		"https://b mc":                         "https://bmc.example.net",
		"http://bmc.example.net":               "use https",
		"https://bmc.example.net?p=p4ss-w0rd":  "query",
		"https://root:p4ss-w0rd@bmc.example":   "username and password",
		"https://root:p4ss-w0rd@bmc.example:x": "https://bmc.example.net",
	} {
		_, err := parseEndpoint(endpoint)
		require.ErrorContains(t, err, words, endpoint)
		assert.NotContains(t, err.Error(), testPassword)
	}
}

func TestResolve(t *testing.T) {
	w, err := newWire(Redfish{Endpoint: "https://proxy.example.net/node7"})
	require.NoError(t, err)
	for id, want := range map[string]string{
		"/redfish/v1/Chassis/1":                                        "https://proxy.example.net/node7/redfish/v1/Chassis/1",
		"/node7/redfish/v1/Chassis/1":                                  "https://proxy.example.net/node7/redfish/v1/Chassis/1",
		"https://PROXY.example.net:443/redfish/v1/Chassis":             "https://proxy.example.net/node7/redfish/v1/Chassis",
		"/redfish/v1/Chassis?$skip=2":                                  "https://proxy.example.net/node7/redfish/v1/Chassis?$skip=2",
		"/redfish/v1/Chassis/1/Power#/PowerControl/0":                  "https://proxy.example.net/node7/redfish/v1/Chassis/1/Power",
		"/redfish/v1/Chassis/Enclosure.Internal.0-1:RAID.Integrated.1": "https://proxy.example.net/node7/redfish/v1/Chassis/Enclosure.Internal.0-1:RAID.Integrated.1",
	} {
		u, err := w.resolve(id)
		require.NoError(t, err, id)
		assert.Equal(t, want, u.String())
	}
	for _, id := range []string{
		"", "/", "redfish/v1", "/cgi-bin/x", "/redfish", "/redfish/../x", "/redfish/v1/%2e%2e/%2e%2e/x", "/redfish//v1",
		"//proxy.example.org/redfish/v1/", "http://proxy.example.net/redfish/v1/", "https://proxy.example.net:444/redfish/v1/",
		"https://a@proxy.example.net/redfish/v1/", "javascript:alert(1)", "file:///redfish/v1/", "\x00", `\\evil\redfish\`, "/redfish/\n",
	} {
		_, err := w.resolve(id)
		require.ErrorIs(t, err, errMalformed, id)
	}
}

func TestWireThroughAProxyWithAPath(t *testing.T) {
	m := load(t, "ilo")
	c := m.serve(t)
	proxy := httptest.NewTLSServer(http.StripPrefix("/node7", m))
	t.Cleanup(proxy.Close)
	c.Endpoint, c.Client = proxy.URL+"/node7", proxy.Client()
	t.Cleanup(c.Client.CloseIdleConnections)
	_, err := newSource(t, c).sample(t.Context())
	require.NoError(t, err)
}

func TestSecretTellsNobody(t *testing.T) {
	c := Config{Redfish: Redfish{Username: testUser, Password: NewSecret(testPassword)}}
	w, err := newWire(Redfish{Endpoint: "https://bmc.example.net", Username: testUser, Password: c.Redfish.Password})
	require.NoError(t, err)
	w.session = &session{token: NewSecret(testPassword)}
	for _, v := range []any{c, &c, c.Redfish, c.Redfish.Password, &c.Redfish.Password, w, *w, w.session, []Secret{c.Redfish.Password}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%T"} {
			assert.NotContains(t, fmt.Sprintf(verb, v), testPassword)
			assert.NotContains(t, fmt.Sprintf(verb, v), fmt.Sprintf("%x", testPassword))
		}
	}
	b, err := json.Marshal(c.Redfish.Password)
	require.NoError(t, err)
	assert.JSONEq(t, `"[redacted]"`, string(b))
	assert.Equal(t, "[redacted]", c.Redfish.Password.String())
	assert.Empty(t, Secret{}.String())
	assert.Empty(t, Secret{}.text())
	assert.Equal(t, testPassword, c.Redfish.Password.text())
}
