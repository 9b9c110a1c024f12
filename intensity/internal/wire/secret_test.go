package wire_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/otelcarbon/otelcarbon/intensity/internal/wire"
)

func TestSecretEscapedInJSON(t *testing.T) {
	for _, c := range []struct{ secret, body, leak string }{
		{"abc/def/ghi12345", `{"message":"the key abc\/def\/ghi12345 is not known"}`, `abc\/def`},
		{"pass&word<1>xyz", `{"message":"the key pass\u0026word\u003c1\u003exyz is not known"}`, `u0026word`},
		{`qu"ote9876543`, `{"message":"the key qu\"ote9876543 is not known"}`, `ote9876543`},
		{strings.Repeat("tokentoken", 10), strings.Repeat(" ", 905) + strings.Repeat("tokentoken", 10), `tokentoken`},
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = w.Write([]byte(c.body))
		}))
		cl, err := wire.New(wire.Config{Provider: "p", Base: s.URL, Secrets: []string{c.secret}})
		if err != nil {
			t.Fatal(err)
		}
		a, err := cl.Get(t.Context(), "/x", nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if e := cl.Refused(a, "z").Error(); strings.Contains(e, c.leak) {
			t.Errorf("%q leaks: %s", c.secret, e)
		}
		s.Close()
	}
}
