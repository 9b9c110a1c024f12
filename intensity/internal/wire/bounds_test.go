package wire

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestOurOwnTransportIsBounded(t *testing.T) {
	c, err := New(Config{Provider: "test", Base: "https://api.example"})
	require.NoError(t, err)
	assert.Equal(t, 20*time.Second, c.http.Timeout)
	tr, ok := c.http.Transport.(*http.Transport)
	require.True(t, ok)
	assert.Equal(t, 10*time.Second, tr.ResponseHeaderTimeout)
	assert.Equal(t, 5*time.Second, tr.TLSHandshakeTimeout)
	assert.Positive(t, tr.MaxResponseHeaderBytes)
	assert.NotNil(t, tr.DialContext)
	assert.NotNil(t, tr.Proxy, "the environment's")
	assert.False(t, tr.TLSClientConfig != nil && tr.TLSClientConfig.InsecureSkipVerify)
}

func TestRetryAfter(t *testing.T) {
	const date = "Mon, 01 Jun 2026 12:00:00 GMT"
	for _, c := range []struct {
		name, after, date string
		want              time.Duration
	}{
		{"absent", "", date, 0},
		{"seconds", "42", date, 42 * time.Second},
		{"seconds with blanks", " 42 ", date, 42 * time.Second},
		{"now", "0", date, 0},
		{"the past in seconds", "-5", date, 0},
		{"just the most", "900", date, 15 * time.Minute},
		{"ten years", "315360000", date, 15 * time.Minute},
		{"more than an int64 holds", "99999999999999999999", date, 0},
		{"a fraction", "1.5", date, 0},
		{"a word", "soon", date, 0},
		{"a date by the server's clock", "Mon, 01 Jun 2026 12:02:00 GMT", date, 2 * time.Minute},
		{"a date in the form of RFC 850", "Monday, 01-Jun-26 12:02:00 GMT", date, 2 * time.Minute},
		{"a date in the form of C", "Mon Jun  1 12:02:00 2026", date, 2 * time.Minute},
		{"a date that has passed", "Mon, 01 Jun 2026 11:00:00 GMT", date, 0},
		{"a date in ten years", "Tue, 01 Jun 2036 12:00:00 GMT", date, 15 * time.Minute},
		{"a date long past by our clock", "Sat, 01 Jan 2000 00:00:00 GMT", "", 0},
		{"a date in the far future by our clock", "Fri, 31 Dec 9999 23:59:59 GMT", "", 15 * time.Minute},
		{"a date beside one that is none", "Fri, 31 Dec 9999 23:59:59 GMT", "yesterday", 15 * time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := http.Header{}
			if c.after != "" {
				h.Set("Retry-After", c.after)
			}
			if c.date != "" {
				h.Set("Date", c.date)
			}
			assert.Equal(t, c.want, retryAfter(h))
		})
	}
}

func FuzzRetryAfter(f *testing.F) {
	for _, after := range []string{"", "42", "-1", "315360000", "soon", "Mon, 01 Jun 2026 12:02:00 GMT"} {
		f.Add(after, "Mon, 01 Jun 2026 12:00:00 GMT")
		f.Add(after, "")
	}
	f.Fuzz(func(t *testing.T, after, date string) {
		got := retryAfter(http.Header{"Retry-After": {after}, "Date": {date}})
		assert.GreaterOrEqual(t, got, time.Duration(0))
		assert.LessOrEqual(t, got, 15*time.Minute)
	})
}

func FuzzUnmarshal(f *testing.F) {
	for _, s := range []string{`{"x":1}`, `{"x":null} `, `{"x":1}{}`, `[`, ``, ` `, `"text"`, `{"x":1e999}`, "\xff"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var v any
		err := Unmarshal(b, &v)
		if json.Valid(b) != (err == nil) { // 1e999 is valid, but no number for any
			require.Error(t, err)
			var typed *json.UnmarshalTypeError
			require.ErrorAs(t, err, &typed)
		}
	})
}
