package intensity_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/intensity"
)

func TestKindIsFoundInWrappedAndJoinedErrors(t *testing.T) {
	plan := &intensity.Error{Kind: intensity.KindPlan, Provider: "electricity_maps", Zone: "DE", Status: 401}
	err := errors.Join(errors.New("other"), fmt.Errorf("asking: %w", plan))
	require.ErrorIs(t, err, intensity.KindPlan)
	require.NotErrorIs(t, err, intensity.KindAuth)
	var e *intensity.Error
	require.ErrorAs(t, err, &e)
	assert.Equal(t, 401, e.Status)
}

func TestErrorLeavesOutWhatIsEmpty(t *testing.T) {
	for want, e := range map[string]*intensity.Error{
		"watttime PJM_DC: throttled: slow down":      {Kind: intensity.KindRate, Provider: "watttime", Zone: "PJM_DC", Detail: "slow down"},
		"grids_csv: unknown zone":                    {Kind: intensity.KindZone, Provider: "grids_csv"},
		"configuration: pue is below 1":              {Kind: intensity.KindConfig, Detail: "pue is below 1"},
		"XX: unknown kind of error":                  {Zone: "XX"},
		"x: malformed answer: line one line two":     {Kind: intensity.KindMalformed, Provider: "x", Detail: "line one\r\n\x1b line\ttwo\n"},
		"x: provider unavailable: see //h/p":         {Kind: intensity.KindUpstream, Provider: "x", Detail: "see //user:pass@h/p"},
		"x: credential rejected: Invalid auth-token": {Kind: intensity.KindAuth, Provider: "x", Detail: "Invalid auth-token"},
	} {
		assert.EqualError(t, e, want)
	}
}

func TestEveryKindHasAText(t *testing.T) {
	seen := map[string]bool{}
	for k := intensity.KindZone; k <= intensity.KindConfig; k++ {
		assert.NotEqual(t, "unknown kind of error", k.Error())
		assert.False(t, seen[k.Error()], "%q is used twice", k.Error())
		seen[k.Error()] = true
	}
}

func TestScrub(t *testing.T) {
	const key = "s3cr3t+k/y=="
	for _, c := range []struct{ name, in, want string }{
		{"plain text stays", "no data for zone FR", "no data for zone FR"},
		{"a sentence with a question mark stays", "unlicensed? ask sales", "unlicensed? ask sales"},
		{"queries go", "GET https://h/p?api_key=" + key + "&x=1 failed", "GET https://h/p?[removed] failed"},
		{"known secrets go", "echo " + key + "!", "echo [removed]!"},
		{"headers go", "Authorization: Bearer abcdef.123456", "Authorization: [removed] [removed]"},
		{"headers by another name go", "auth-token: abcdef123456", "auth-token: [removed]"},
		{"JSON values go", `{"api_key":"abc123","zone":"FR"}`, `{"api_key":"[removed]","zone":"FR"}`},
		{"environment goes", "WATTTIME_PASSWORD=hunter2", "WATTTIME_PASSWORD=[removed]"},
		{"invalid text goes", "a\xffb", "ab"},
		{"direction marks go", "a\u202eb", "a b"},
	} {
		t.Run(c.name, func(t *testing.T) {
			assert.Equal(t, c.want, intensity.Scrub(c.in, key, ""))
		})
	}
}

func TestScrubCutsAtARune(t *testing.T) {
	got := intensity.Scrub(strings.Repeat("é", 500))
	assert.LessOrEqual(t, len(got), 200)
	assert.True(t, strings.HasSuffix(got, "é…"), "%q", got)
}

func FuzzScrub(f *testing.F) {
	const key = "kq7Zx0vJ93"
	f.Add("https://h/p?securityToken=" + key)
	f.Add(`{"error":"bad token ` + key + `"}`)
	f.Add("auth-token: " + key + "\r\nX: \x00\xff")
	f.Add(strings.Repeat("=", 5000) + key)
	f.Fuzz(func(t *testing.T, s string) {
		got := intensity.Scrub(s, key)
		if strings.Contains(got, key) {
			t.Errorf("the key is still in %q", got)
		}
		if len(got) > 200 || !utf8.ValidString(got) || strings.ContainsAny(got, "\r\n\x00\x1b") {
			t.Errorf("not fit for a log: %q", got)
		}
	})
}
