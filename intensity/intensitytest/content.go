package intensitytest

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/intensity"
)

// recorded returns a good answer to a Fetch as the server gives it, and what becomes of it.
func (s *Setup) recorded(t *testing.T) (*httptest.ResponseRecorder, intensity.Series) {
	t.Helper()
	var rec *httptest.ResponseRecorder
	got, err := s.New(t, Serve(s.only(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec = httptest.NewRecorder()
		s.Serve.ServeHTTP(rec, r)
		s.write(w, rec, rec.Body.Bytes())
	}))).Client()).Fetch(t.Context(), s.Zone, s.From, s.To)
	require.NoError(t, err)
	return rec, got
}

func (*Setup) write(w http.ResponseWriter, rec *httptest.ResponseRecorder, body []byte) {
	for k := range rec.Header() {
		w.Header().Set(k, rec.Header().Get(k))
	}
	w.WriteHeader(rec.Code)
	_, _ = w.Write(body)
}

// told is what the provider makes of a body, for a time that may be another one.
func (s *Setup) told(t *testing.T, rec *httptest.ResponseRecorder, body []byte, later time.Duration) (intensity.Series, error) {
	t.Helper()
	p := s.New(t, Serve(s.only(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { s.write(w, rec, body) }))).Client())
	return p.Fetch(t.Context(), s.Zone, s.From.Add(later), s.To.Add(later))
}

// contents tests what becomes of answers that are well formed, but not right: nothing is
// made up from them.
func (s *Setup) contents(t *testing.T) {
	t.Run("nulls", func(t *testing.T) {
		s.at(t, func(t *testing.T) {
			rec, _ := s.recorded(t)
			got, err := s.told(t, rec, nulled(t, rec.Body.Bytes()), 0)
			if err == nil {
				assert.Empty(t, got.Slots, "what is null is missing, and not 0")
				assert.NotEmpty(t, got.Gaps)
			}
		})
	})
	t.Run("half", func(t *testing.T) {
		s.at(t, func(t *testing.T) {
			rec, _ := s.recorded(t)
			_, err := s.told(t, rec, rec.Body.Bytes()[:rec.Body.Len()/2], 0)
			require.ErrorIs(t, err, intensity.KindMalformed)
		})
	})
	t.Run("another zone", func(t *testing.T) {
		s.at(t, func(t *testing.T) {
			rec, good := s.recorded(t)
			served := strconv.Quote(good.Slots[0].Origin.ZoneServed)
			other := strings.ReplaceAll(rec.Body.String(), served, `"ZZ-OTHER"`)
			if other == rec.Body.String() {
				t.Skip("the answer does not name its zone")
			}
			_, err := s.told(t, rec, []byte(other), 0)
			require.ErrorIs(t, err, intensity.KindMismatch)
		})
	})
	t.Run("stale", func(t *testing.T) { // the answer of a week ago, whatever is asked for
		s.later(t, 7*24*time.Hour, func(t *testing.T, rec *httptest.ResponseRecorder) {
			got, err := s.told(t, rec, rec.Body.Bytes(), 7*24*time.Hour)
			if err == nil {
				assert.Empty(t, got.Slots, "old values are not taken for new ones")
			}
		})
	})
	for name, skew := range map[string]time.Duration{"future": -48 * time.Hour, "a clock 2 h behind": -2 * time.Hour, "a clock 2 h ahead": 2 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			s.later(t, skew, func(t *testing.T, rec *httptest.ResponseRecorder) {
				got, err := s.told(t, rec, rec.Body.Bytes(), 0)
				if err != nil {
					return
				}
				require.NoError(t, got.Check())
				for _, slot := range got.Slots {
					if slot.Start.After(time.Now()) {
						assert.Equal(t, intensity.Predicted, slot.Quality, "nobody has seen %v at %v", slot.Start, time.Now())
					}
				}
			})
		})
	}
}

// later runs f with the answer that was given at Now, by a clock that shows another time.
func (s *Setup) later(t *testing.T, skew time.Duration, f func(t *testing.T, rec *httptest.ResponseRecorder)) {
	t.Helper()
	var rec *httptest.ResponseRecorder
	s.at(t, func(t *testing.T) { rec, _ = s.recorded(t) })
	other := *s
	other.Now = s.Now.Add(skew)
	other.at(t, func(t *testing.T) { f(t, rec) })
}

// nulled replaces each number in JSON by null, but for those of counts and versions, without
// which an answer is not one of this kind.
func nulled(t *testing.T, body []byte) []byte {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var v any
	require.NoError(t, d.Decode(&v))
	var walk func(v any) any
	walk = func(v any) any {
		switch v := v.(type) {
		case map[string]any:
			for k, inner := range v {
				if _, number := inner.(json.Number); number && strings.Contains(strings.ToLower(k), "id") {
					continue
				}
				v[k] = walk(inner)
			}
		case []any:
			for i := range v {
				v[i] = walk(v[i])
			}
		case json.Number:
			return nil
		}
		return v
	}
	b, err := json.Marshal(walk(v))
	require.NoError(t, err)
	return b
}
