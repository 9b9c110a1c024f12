package watttime

import (
	"context"
	"encoding/base64"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/intensity/internal/wire"
)

const (
	pathLogin = "/login"

	tokenLasts = 30 * time.Minute // [docs.watttime.org]
	renewAfter = 25 * time.Minute // so that none ends on its way
)

// session holds the token of an account. It is safe for concurrent use.
type session struct {
	http  *wire.Client
	basic wire.Secret

	turn chan struct{} // holds the one login in flight

	mu     sync.Mutex // guards what follows
	now    *token     // nil before the first login
	logins int        // that have ended
	last   error      // of the last of them
}

type token struct {
	text  wire.Secret
	since time.Time
	used  atomic.Bool
}

func newSession(client *wire.Client, basic string) *session {
	return &session{http: client, basic: wire.NewSecret(basic), turn: make(chan struct{}, 1)}
}

// token returns a token that is not refused, and not about to end. A failed login does not
// matter while the old token still counts.
func (s *session) token(ctx context.Context, refused *token) (*token, error) {
	have, logins, _ := s.state()
	if usable(have, refused, renewAfter) {
		return have, nil
	}
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	have, ended, last := s.state() // somebody else may have logged in meanwhile
	switch {
	case usable(have, refused, renewAfter):
		return have, nil
	case ended > logins && last != nil: // or have tried, and all the others that wait would fail likewise
		return fallBack(have, refused, last)
	}
	t, err := s.login(ctx)
	if err != nil && ctx.Err() != nil {
		return nil, err // says nothing about the login
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.logins++
	s.last = err
	if err != nil {
		return fallBack(have, refused, err)
	}
	s.now = t
	return t, nil
}

func (s *session) state() (t *token, logins int, last error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now, s.logins, s.last
}

func fallBack(have, refused *token, err error) (*token, error) {
	if usable(have, refused, tokenLasts-time.Minute) {
		return have, nil
	}
	return nil, err
}

func usable(t, refused *token, lasts time.Duration) bool {
	return t != nil && t != refused && time.Since(t.since) < lasts
}

func (s *session) login(ctx context.Context) (*token, error) {
	since := time.Now()
	a, err := s.http.Get(ctx, pathLogin, nil, http.Header{"Authorization": {"Basic " + s.basic.Show()}})
	if err != nil {
		return nil, err
	}
	if a.Status != http.StatusOK {
		e := s.http.Refused(a, "")
		switch e.Kind {
		case intensity.KindAuth:
			e.Detail = "the login is refused; check name and password: " + e.Detail
		case intensity.KindNoData: // 404: not of data, but of the way to log in
			e.Kind = intensity.KindConfig
			e.Detail = "there is no login at this endpoint: " + e.Detail
		}
		return nil, e
	}
	var body struct {
		Token string `json:"token"`
	}
	if err := s.http.Decode(a, "", &body); err != nil {
		return nil, err
	}
	for _, r := range body.Token {
		if r <= ' ' || r > '~' {
			return nil, s.http.Error(intensity.KindMalformed, "", "the token holds a character that no header can")
		}
	}
	if body.Token == "" {
		return nil, s.http.Error(intensity.KindMalformed, "", "the login is answered without a token")
	}
	return &token{text: wire.NewSecret(body.Token), since: since}, nil
}

// basicAuth is what a login sends.
func basicAuth(name, password string) string {
	return base64.StdEncoding.EncodeToString([]byte(name + ":" + password))
}
