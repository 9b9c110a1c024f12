package wire_test

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/intensity/internal/wire"
)

// secret has characters that a URL holds in another form.
const secret = "s3cr3t/k+y=="

// serve starts a server with TLS on loopback and a client that trusts it.
func serve(t *testing.T, h http.HandlerFunc) (*httptest.Server, *wire.Client) {
	t.Helper()
	server := httptest.NewTLSServer(h)
	t.Cleanup(server.Close)
	return server, client(t, wire.Config{Base: server.URL, HTTP: server.Client()})
}

func client(t testing.TB, c wire.Config) *wire.Client {
	t.Helper()
	c.Provider, c.Secrets = "test", []string{secret}
	w, err := wire.New(c)
	require.NoError(t, err)
	return w
}

// hides checks that an error says where, and shows neither key nor query.
func hides(t *testing.T, err error) {
	t.Helper()
	require.Error(t, err)
	text := fmt.Sprintf("%v %+v %#v", err, err, err)
	for _, s := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret), "s3cr3t", "api_key", "?"} {
		assert.NotContains(t, text, s)
	}
	for e := err; e != nil; e = errors.Unwrap(e) {
		_, leaks := e.(*url.Error) //nolint:errorlint // each in turn
		assert.False(t, leaks, "a url.Error prints the query")
	}
}

func keyed() url.Values { return url.Values{"api_key": {secret}} }

func TestRequestsSayWhoAsksAndForWhat(t *testing.T) {
	header := http.Header{"Auth-Token": {secret}}
	server, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, http.MethodGet, r.Method)
		assert.Equal(t, "/base/v1/data", r.URL.Path)
		assert.Equal(t, "start=2024-01-01T00%3A00%2B00%3A00", r.URL.RawQuery, "a bare + would be a blank")
		assert.Equal(t, secret, r.Header.Get("Auth-Token"))
		assert.Contains(t, r.Header.Get("User-Agent"), "otelcarbon")
		assert.Equal(t, "application/json", r.Header.Get("Accept"))
		fmt.Fprint(w, `{}`)
	})
	w := client(t, wire.Config{Base: server.URL + "/base/", HTTP: server.Client()})
	a, err := w.Get(t.Context(), "/v1/data", url.Values{"start": {"2024-01-01T00:00+00:00"}}, header)
	require.NoError(t, err)
	assert.Equal(t, 200, a.Status)
	assert.JSONEq(t, `{}`, string(a.Body))
	assert.False(t, a.Date.IsZero())
	assert.Len(t, header, 1, "the header of the caller is left alone")
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	var elsewhere atomic.Int32
	second := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	t.Cleanup(second.Close)
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, to := range []string{second.URL + "/other?api_key=x", "/same?api_key=x", "//"} {
			t.Run(fmt.Sprintf("%d to %s", status, to), func(t *testing.T) {
				var first atomic.Int32
				_, w := serve(t, func(w http.ResponseWriter, _ *http.Request) {
					first.Add(1)
					w.Header().Set("Location", to)
					w.WriteHeader(status)
				})
				a, err := w.Get(t.Context(), "/", keyed(), http.Header{"Auth-Token": {secret}})
				require.NoError(t, err)
				assert.Equal(t, status, a.Status)
				refused := w.Refused(a, "Z")
				require.ErrorIs(t, refused, intensity.KindUpstream)
				hides(t, refused)
				if strings.HasPrefix(to, "https") {
					require.ErrorContains(t, refused, "which is not followed")
				}
				assert.EqualValues(t, 1, first.Load(), "not even on the same host")
			})
		}
	}
	assert.Zero(t, elsewhere.Load())
}

func TestARedirectToNowhereShowsNoKey(t *testing.T) {
	_, w := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "://elsewhere/?"+r.URL.RawQuery) // as some servers do, with the query that came
		w.WriteHeader(http.StatusFound)
	})
	_, err := w.Get(t.Context(), "/", keyed(), nil)
	require.ErrorIs(t, err, intensity.KindUpstream)
	assert.NotContains(t, fmt.Sprintf("%v %#v", err, err), "s3cr3t")
	require.ErrorContains(t, err, "?[removed]")
}

func TestTheClientThatWasGivenKeepsItsOwnRules(t *testing.T) {
	given := &http.Client{}
	client(t, wire.Config{Base: "https://api.example", HTTP: given})
	assert.Nil(t, given.CheckRedirect)
	assert.Zero(t, given.Timeout)
}

func TestAnUnreachableServerIsUpstream(t *testing.T) {
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	unknown := httptest.NewTLSServer(http.NotFoundHandler())
	unknown.Config.ErrorLog = nil
	t.Cleanup(unknown.Close)
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	hangsUp := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	t.Cleanup(hangsUp.Close)
	cut := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		fmt.Fprint(w, `{"half":`)
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}))
	t.Cleanup(cut.Close)
	noSuchHost := &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.DNSError{Err: "no such host", Name: "api.example", IsNotFound: true}
	}}}
	for _, c := range []struct {
		name, base, text string
		http             *http.Client
	}{
		{"connection refused", closed.URL, "refused", nil},
		{"no such host", "https://api.example", "no such host", noSuchHost},
		{"unknown certificate", unknown.URL, "certificate", nil},
		{"no TLS", strings.Replace(plain.URL, "http:", "https:", 1), "HTTP response to HTTPS client", nil},
		{"hangs up", hangsUp.URL, "EOF", nil},
		{"cut", cut.URL, "unexpected EOF", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := client(t, wire.Config{Base: c.base, HTTP: c.http})
			_, err := w.Get(t.Context(), "/data", keyed(), http.Header{"Auth-Token": {secret}})
			require.ErrorIs(t, err, intensity.KindUpstream)
			require.ErrorContains(t, err, c.text)
			require.ErrorContains(t, err, strings.TrimPrefix(strings.TrimPrefix(c.base, "https://"), "http://")+"/data", "it says what was asked")
			hides(t, err)
		})
	}
}

func TestASlowServerIsUpstream(t *testing.T) {
	for _, c := range []struct {
		name string
		h    http.HandlerFunc
	}{
		{"without headers", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }},
		{"without an end", func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusOK)
			_, _ = w.Write([]byte("["))
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := httptest.NewTLSServer(c.h)
			t.Cleanup(server.Close)
			given := server.Client()
			given.Timeout = 100 * time.Millisecond
			w := client(t, wire.Config{Base: server.URL, HTTP: given})
			_, err := w.Get(t.Context(), "/data", keyed(), nil)
			require.ErrorIs(t, err, intensity.KindUpstream)
			require.ErrorContains(t, err, "does not answer in time")
			hides(t, err)
		})
	}
}

func TestTheSizeOfAnAnswerIsBounded(t *testing.T) {
	const bomb = 256 << 20 // bytes after decompression
	blank := make([]byte, 1<<16)
	for _, c := range []struct {
		name string
		h    http.HandlerFunc
	}{
		{"gzip", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			for range bomb / len(blank) {
				if _, err := z.Write(blank); err != nil {
					return
				}
			}
			_ = z.Close()
		}},
		{"endless", func(w http.ResponseWriter, _ *http.Request) {
			for {
				if _, err := w.Write(blank); err != nil {
					return
				}
			}
		}},
		{"by its own word", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "3000000000")
			for {
				if _, err := w.Write(blank); err != nil {
					return
				}
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, w := serve(t, c.h)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := w.Get(t.Context(), "/data", keyed(), nil)
			runtime.ReadMemStats(&after)
			require.ErrorIs(t, err, intensity.KindMalformed)
			require.ErrorContains(t, err, "larger than 4 MiB")
			hides(t, err)
			assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(bomb/4))
		})
	}
}

func TestACompressedAnswerIsRead(t *testing.T) {
	_, w := serve(t, func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "gzip", r.Header.Get("Accept-Encoding"))
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		_, _ = z.Write([]byte(`{"x":1}`))
		_ = z.Close()
	})
	a, err := w.Get(t.Context(), "/", nil, nil)
	require.NoError(t, err)
	assert.JSONEq(t, `{"x":1}`, string(a.Body))
}

func TestErrorsOfTheContextPassThrough(t *testing.T) {
	began := make(chan struct{}, 1)
	_, w := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/body" {
			_, _ = w.Write([]byte("["))
			w.(http.Flusher).Flush()
		}
		began <- struct{}{}
		<-r.Context().Done()
	})
	for _, path := range []string{"/header", "/body"} {
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-began
			cancel()
		}()
		_, err := w.Get(ctx, path, keyed(), nil)
		require.ErrorIs(t, err, context.Canceled)
		_, ours := errors.AsType[*intensity.Error](err)
		assert.False(t, ours, "it is the caller's doing")
		hides(t, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := w.Get(ctx, "/header", keyed(), nil)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	hides(t, err)
}

func TestEndpoints(t *testing.T) {
	for _, c := range []struct {
		base     string
		insecure bool
		refused  string // "": is accepted
	}{
		{"https://api.example", false, ""},
		{"https://api.example/v1/", false, ""},
		{"https://api.example:8443", false, ""},
		{"http://127.0.0.1:8080", false, ""},
		{"http://127.8.9.1", false, ""},
		{"http://[::1]:8080", false, ""},
		{"http://localhost", false, ""},
		{"http://api.example", true, ""},
		{"http://api.example", false, "is not https"},
		{"http://localhost.example", false, "is not https"},
		{"http://127.0.0.1.example", false, "is not https"},
		{"http://0x7f000001", false, "is not https"},
		{"http://10.0.0.1", false, "is not https"},
		{"http://[::ffff:10.0.0.1]", false, "is not https"},
		{"http://169.254.169.254", false, "is not https"},
		{"", false, "https://host/path"},
		{"api.example", false, "https://host/path"},
		{"https:///path", false, "https://host/path"},
		{"ftp://api.example", true, "https://host/path"},
		{"file:///etc/passwd", true, "https://host/path"},
		{"https://user:" + url.QueryEscape(secret) + "@api.example", false, "keys of their own"},
		{"https://api.example/?api_key=" + url.QueryEscape(secret), false, "has a query"},
		{"https://api.example/#top", false, "fragment"},
		{"https://api.example/%zz", false, "no URL"},
		{"https://api example", false, "no URL"},
		{"https://api.example:port", false, "no URL"},
	} {
		t.Run(c.base, func(t *testing.T) {
			_, err := wire.New(wire.Config{Provider: "test", Base: c.base, Insecure: c.insecure, Secrets: []string{secret}})
			if c.refused == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, intensity.KindConfig)
			require.ErrorContains(t, err, c.refused)
			hides(t, err)
		})
	}
}

func TestAKeyWithAControlCharacterIsRefused(t *testing.T) {
	for _, c := range []string{"\n", "\r\n", "\t", "\x00", "\x1b", "\x7f"} {
		for _, key := range []string{"key" + c, c + "key", "k" + c + "y"} {
			_, err := wire.New(wire.Config{Provider: "test", Base: "https://api.example", Secrets: []string{key}})
			require.ErrorIs(t, err, intensity.KindConfig, "%q", key)
			require.ErrorContains(t, err, "end of line")
			assert.NotContains(t, err.Error(), "key")
		}
	}
	_, err := wire.New(wire.Config{Provider: "test", Base: "https://api.example", Secrets: []string{"", "plain", "pass word"}})
	require.NoError(t, err)
}

func TestNothingPrintsASecret(t *testing.T) {
	w := client(t, wire.Config{Base: "https://api.example"})
	hidden := wire.NewSecret(secret)
	assert.Equal(t, secret, hidden.Show())
	assert.Empty(t, wire.Secret{}.Show())
	inside := struct {
		Client *wire.Client
		Key    wire.Secret
		key    wire.Secret
	}{w, hidden, hidden}
	for _, v := range []any{w, *w, hidden, &hidden, inside, &inside, []wire.Secret{hidden}, map[string]wire.Secret{"k": hidden}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			text := fmt.Sprintf(verb, v)
			assert.NotContains(t, text, secret, "%s of %T", verb, v)
			assert.NotContains(t, text, fmt.Sprintf("%x", secret), "%s of %T", verb, v)
		}
	}
}

func TestRefused(t *testing.T) {
	for _, c := range []struct {
		status int
		body   string
		kind   intensity.Kind
		text   string
		after  bool
	}{
		{400, `{"error":"bad zone"}`, intensity.KindConfig, "status 400: bad zone", false},
		{401, `{"message":"who?"}`, intensity.KindAuth, "who?", false},
		{403, `{"detail":"no"}`, intensity.KindAuth, "no", false},
		{404, `{"error":null,"message":"none"}`, intensity.KindNoData, "none", false},
		{404, "<!DOCTYPE html><html>not found</html>", intensity.KindConfig, "a page of HTML: is the endpoint right?", false},
		{405, ``, intensity.KindConfig, "nothing else", false},
		{408, ``, intensity.KindUpstream, "", true},
		{410, ``, intensity.KindNoData, "", false},
		{418, `short and stout`, intensity.KindConfig, "short and stout", false},
		{425, ``, intensity.KindUpstream, "", true},
		{429, `{"error":{"code":7,"message":"slow down"}}`, intensity.KindRate, "slow down", true},
		{500, `{"error":[]}`, intensity.KindUpstream, "", true},
		{503, `<html><body>down</body></html>`, intensity.KindUpstream, "a page of HTML", true},
		{304, ``, intensity.KindUpstream, "", true},
		{204, ``, intensity.KindConfig, "", false},
	} {
		t.Run(fmt.Sprint(c.status), func(t *testing.T) {
			_, w := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Retry-After", "42")
				w.WriteHeader(c.status)
				if c.body != "" {
					_, _ = w.Write([]byte(c.body))
				}
			})
			a, err := w.Get(t.Context(), "/", nil, nil)
			require.NoError(t, err)
			e := w.Refused(a, "Z")
			assert.Equal(t, c.kind, e.Kind)
			assert.Equal(t, c.status, e.Status)
			assert.Equal(t, "test", e.Provider)
			assert.Equal(t, "Z", e.Zone)
			require.ErrorContains(t, e, c.text)
			assert.Equal(t, c.after, e.RetryAfter == 42*time.Second)
			assert.NotContains(t, e.Error(), "<")
		})
	}
}

// A server may say a key back: EIA does.
func TestAnErrorBodyIsScrubbed(t *testing.T) {
	for _, body := range []string{
		`{"error":"no such key: ` + secret + `"}`,
		`{"error":"GET /?x=1&api_key=` + url.QueryEscape(secret) + `"}`,
		`{"message":"` + url.PathEscape(secret) + `"}`,
		strings.Repeat("x", 990) + secret,
		secret + strings.Repeat("é", 3000),
		"\x1b[31m\x00" + secret,
	} {
		_, w := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte(body))
		})
		a, err := w.Get(t.Context(), "/", nil, nil)
		require.NoError(t, err)
		e := w.Refused(a, secret)
		assert.NotContains(t, e.Error(), "s3cr3t")
		assert.NotContains(t, e.Detail, "s3cr3t", "before it is shown, too")
		assert.NotContains(t, e.Zone, "s3cr3t")
		assert.NotContains(t, e.Error(), "\x1b")
		assert.LessOrEqual(t, len(e.Detail), 200)
	}
}

func TestDecode(t *testing.T) {
	for _, c := range []struct {
		name, media, body, text string // text "": is read
	}{
		{"JSON", "application/json", `{"x":1}`, ""},
		{"with fields that nobody knows", "application/json; charset=utf-8", ` {"x":1,"y":[{}]} ` + "\n", ""},
		{"of another type", "text/plain", `{"x":1}`, ""},
		{"without a type", "", `{"x":1}`, ""},
		{"of an impossible type", `;;;"`, `{"x":1}`, ""},
		{"a page", "text/html; charset=utf-8", `<!doctype html>`, "a page of HTML instead of JSON"},
		{"a page that says it is JSON", "application/json", "\n <html>", "a page of HTML instead of JSON"},
		{"JSON that says it is a page", "text/html", `{"x":1}`, "a page of HTML instead of JSON"},
		{"nothing", "application/json", "", "empty"},
		{"blanks", "application/json", " \n\t", "empty"},
		{"half", "application/json", `{"x":`, "no JSON from byte 5 of 5 on"},
		{"more behind", "application/json", `{"x":1} {"x":2}`, "no JSON from byte 9"},
		{"a brace behind", "application/json", `{"x":1}}`, "no JSON"},
		{"text for a number", "application/json", `{"x":"1"}`, "string"},
		{"too large a number", "application/json", `{"x":1e999}`, "number"},
		{"a word", "application/json", `maintenance`, "no JSON"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, w := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header()["Content-Type"] = nil // or Go would guess
				if c.media != "" {
					w.Header().Set("Content-Type", c.media)
				}
				_, _ = w.Write([]byte(c.body))
			})
			a, err := w.Get(t.Context(), "/", nil, nil)
			require.NoError(t, err)
			var v struct{ X *float64 }
			err = w.Decode(a, "Z", &v)
			if c.text != "" {
				require.ErrorIs(t, err, intensity.KindMalformed)
				require.ErrorContains(t, err, c.text)
				return
			}
			require.NoError(t, err)
			require.NotNil(t, v.X)
			assert.InDelta(t, 1, *v.X, 0)
		})
	}
}
