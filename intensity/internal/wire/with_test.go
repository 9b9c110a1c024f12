package wire_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/intensity/internal/wire"
)

func TestSecretsThatAServerGivesOutAreHiddenToo(t *testing.T) {
	c, err := wire.New(wire.Config{Provider: "test", Base: "https://api.example", Secrets: []string{"pass/word"}})
	require.NoError(t, err)
	a, b := c.With("token one"), c.With("token-two")
	text := "pass/word, token one, token+one, token-two"
	assert.Equal(t, "[removed], token one, token+one, token-two", c.Error(intensity.KindAuth, "", "%s", text).Detail)
	assert.Equal(t, "[removed], [removed], [removed], token-two", a.Error(intensity.KindAuth, "", "%s", text).Detail)
	assert.Equal(t, "[removed], token one, token+one, [removed]", b.Error(intensity.KindAuth, "", "%s", text).Detail)
}

// keeper adds a header to requests that are all sent back.
type keeper struct{ header string }

func (k keeper) Secrets() []string { return []string{k.header} }

func (k keeper) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("cannot send " + k.header)
}

func TestSecretsThatTheGivenClientAddsAreHiddenToo(t *testing.T) {
	c, err := wire.New(wire.Config{Provider: "test", Base: "https://api.example", HTTP: &http.Client{Transport: keeper{"a/b c"}}, Secrets: []string{"key"}})
	require.NoError(t, err)
	assert.Equal(t, "[removed], [removed], [removed]", c.Error(intensity.KindAuth, "", "%s", "key, a/b c, a%2Fb+c").Detail)
	_, err = c.Get(t.Context(), "/", nil, nil)
	require.ErrorIs(t, err, intensity.KindUpstream)
	assert.NotContains(t, err.Error(), "a/b")

	// A header may have tabs, a key of ours may not.
	_, err = wire.New(wire.Config{Provider: "test", Base: "https://api.example", HTTP: &http.Client{Transport: keeper{"a\tb"}}, Secrets: []string{"key"}})
	require.NoError(t, err)
}

// A timeout that is none is not one that has passed, and who is asked to follow redirects
// does not.
func TestAGivenClientGetsWhatItLacks(t *testing.T) {
	elsewhere := false
	var within time.Duration
	given := &http.Client{
		Timeout:       -1,
		CheckRedirect: func(*http.Request, []*http.Request) error { elsewhere = true; return nil },
		Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			end, _ := r.Context().Deadline()
			within = time.Until(end)
			return &http.Response{StatusCode: http.StatusFound, Header: http.Header{"Location": {"https://elsewhere.example/"}}, Body: http.NoBody, Request: r}, nil
		}),
	}
	c, err := wire.New(wire.Config{Provider: "test", Base: "https://api.example", HTTP: given})
	require.NoError(t, err)
	a, err := c.Get(t.Context(), "/", nil, nil)
	require.NoError(t, err)
	assert.Equal(t, http.StatusFound, a.Status)
	assert.False(t, elsewhere)
	assert.InDelta(t, 20*time.Second, within, float64(5*time.Second))
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
