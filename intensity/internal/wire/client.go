package wire

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/otelcarbon/otelcarbon/intensity"
)

// The bounds of a request, where the given http.Client has none of its own.
const (
	connectWithin = 5 * time.Second
	headersWithin = 10 * time.Second
	wholeWithin   = 20 * time.Second

	// maxBody bounds an answer after decompression. The largest known that a provider
	// of ours sends is a day of 5-minute values, some 100 kB.
	maxBody = 4 << 20

	// maxRetryAfter bounds what a server can make us wait.
	maxRetryAfter = 15 * time.Minute
)

// userAgent says who asks. Providers want to know, and some refuse Go's own.
const userAgent = "otelcarbon (+https://github.com/otelcarbon/otelcarbon)"

// Config of a Client.
type Config struct {
	Provider string // value of carbon.grid.source, for errors
	// Base is the URL under which the paths lie. It has to be https, unless its host is
	// on loopback or Insecure is set.
	Base     string
	Insecure bool
	// HTTP is copied; nil means one of our own. Its Transport, its Timeout and its Jar
	// are used, its CheckRedirect is not. If the Transport is a Keeper, its secrets are
	// hidden like those below.
	HTTP *http.Client
	// Secrets are taken out of every error, in plain and in the forms in which a URL
	// holds them.
	Secrets []string
}

// Keeper is a http.RoundTripper that adds secrets of its own to requests, in headers for
// instance, which a server may send back.
type Keeper interface{ Secrets() []string }

// Client makes the requests of one provider. It is safe for concurrent use.
type Client struct {
	provider string
	base     *url.URL
	http     http.Client
	secrets  func() []string // hidden from package fmt
}

// New checks the configuration. Errors are of KindConfig.
func New(c Config) (*Client, error) {
	own := c.Secrets
	if c.HTTP != nil {
		if k, ok := c.HTTP.Transport.(Keeper); ok {
			c.Secrets = slices.Concat(own, k.Secrets())
		}
	}
	refuse := func(format string, args ...any) error {
		return &intensity.Error{Kind: intensity.KindConfig, Provider: c.Provider, Detail: intensity.Scrub(fmt.Sprintf(format, args...), forms(c.Secrets)...)}
	}
	base, err := url.Parse(c.Base)
	switch {
	case err != nil:
		return nil, refuse("the endpoint is no URL: %v", inner(err))
	case base.User != nil:
		return nil, refuse("the endpoint holds credentials; they have keys of their own")
	case base.RawQuery != "" || base.Fragment != "":
		return nil, refuse("the endpoint has a query or a fragment; want scheme, host and path only")
	case base.Host == "" || base.Scheme != "https" && base.Scheme != "http":
		return nil, refuse("the endpoint %q is not of the form https://host/path", c.Base)
	case base.Scheme == "http" && !c.Insecure && !loopback(base.Hostname()):
		return nil, refuse("the endpoint of %s is not https, and what is sent there could be read by anybody", base.Host)
	}
	base.Path = strings.TrimSuffix(base.Path, "/")
	for _, s := range own {
		if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return nil, refuse("a credential holds a line break or another control character; was it read from a file with its end of line?")
		}
	}
	hidden := forms(c.Secrets)
	w := &Client{provider: c.Provider, base: base, secrets: func() []string { return hidden }}
	if c.HTTP != nil {
		w.http = *c.HTTP
	} else {
		w.http.Transport = transport()
	}
	if w.http.Timeout <= 0 {
		w.http.Timeout = wholeWithin
	}
	// Go takes only some headers away where a redirect leads to another host; those
	// that hold the keys of our providers are not among them.
	w.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return w, nil
}

func transport() http.RoundTripper {
	t := &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: connectWithin, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout:    connectWithin,
		ResponseHeaderTimeout:  headersWithin,
		MaxResponseHeaderBytes: 64 << 10,
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           4,
		IdleConnTimeout:        90 * time.Second,
	}
	return t
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}

// forms returns the secrets as they may stand in a text.
func forms(secrets []string) (out []string) {
	for _, s := range secrets {
		if s == "" {
			continue
		}
		quoted, _ := json.Marshal(s) // of a string: never fails
		escaped := strings.Trim(string(quoted), `"`)
		plain := strings.NewReplacer(`\u0026`, "&", `\u003c`, "<", `\u003e`, ">").Replace(escaped)
		out = append(out, s, url.QueryEscape(s), url.PathEscape(s), escaped, plain, strings.ReplaceAll(plain, "/", `\/`))
	}
	return out
}

// With returns a client whose errors hide these secrets too: those that a server gives
// out, such as tokens. Both share connections.
func (c *Client) With(secrets ...string) *Client {
	both := *c
	hidden := slices.Concat(c.secrets(), forms(secrets))
	both.secrets = func() []string { return hidden }
	return &both
}

// Answer is what a server sent, whatever its status.
type Answer struct {
	Status     int
	Body       []byte
	Date       time.Time     // by the server's clock; zero if it did not say
	RetryAfter time.Duration // 0 if it did not say; 15 min at most

	mediaType string
	location  string // host that a redirect leads to
}

// Get makes one request. Where there is no answer, the error is that of ctx, or of
// KindUpstream; where it is too large, of KindMalformed.
func (c *Client) Get(ctx context.Context, path string, query url.Values, header http.Header) (*Answer, error) {
	u := *c.base
	u.Path += path
	u.RawQuery = query.Encode()
	bounded, cancel := context.WithTimeout(ctx, c.http.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(bounded, http.MethodGet, u.String(), http.NoBody)
	if err != nil {
		return nil, c.Error(intensity.KindConfig, "", "no request can be made for %s: %v", path, inner(err))
	}
	if header != nil {
		req.Header = header.Clone()
	}
	req.Header.Set("User-Agent", userAgent)
	req.Header.Set("Accept", "application/json")
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.failed(ctx, path, err)
	}
	defer func() { _ = resp.Body.Close() }() // it has been read, or is not wanted
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if err == nil {
		// A server that notices how we hang up may end its answer in time for us to take
		// the half of it for the whole.
		err = bounded.Err()
	}
	switch {
	case err != nil:
		return nil, c.failed(ctx, path, err)
	case len(body) > maxBody:
		return nil, c.Error(intensity.KindMalformed, "", "the answer to %s is larger than %d MiB", path, maxBody>>20)
	}
	a := &Answer{Status: resp.StatusCode, Body: body, RetryAfter: retryAfter(resp.Header)}
	a.Date, _ = http.ParseTime(resp.Header.Get("Date"))
	a.mediaType, _, _ = mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if to, err := resp.Location(); err == nil {
		a.location = to.Host
	}
	return a, nil
}

// GetJSON makes one request of a service that takes no key, about a zone. It has an answer
// of status 200 that holds one JSON value, or an error: see Get, Refused and Decode.
func (c *Client) GetJSON(ctx context.Context, path string, query url.Values, zone string) (*Answer, error) {
	a, err := c.Get(ctx, path, query, nil)
	if err != nil {
		return nil, err
	}
	if a.Status != http.StatusOK {
		return nil, c.Refused(a, zone)
	}
	var body json.RawMessage
	if err := c.Decode(a, zone, &body); err != nil {
		return nil, err
	}
	return a, nil
}

// failed is the error of a request without an answer.
func (c *Client) failed(ctx context.Context, path string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	err = inner(err)
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return c.Error(intensity.KindUpstream, "", "%s%s does not answer in time", c.base.Host, path)
	}
	return c.Error(intensity.KindUpstream, "", "%s%s: %v", c.base.Host, path, err)
}

// inner is what went wrong, without the URL, which may hold a key.
func inner(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}

// Error returns an error of the provider, without secrets.
func (c *Client) Error(kind intensity.Kind, zone, format string, args ...any) *intensity.Error {
	return &intensity.Error{
		Kind: kind, Provider: c.provider, Zone: intensity.Scrub(zone, c.secrets()...),
		Detail: intensity.Scrub(fmt.Sprintf(format, args...), c.secrets()...),
	}
}

// Refused returns what an answer means whose status is not 200, as far as the status
// tells. Providers look into the body first, where they say more in it.
//
//	401, 403            KindAuth
//	404 with a page     KindConfig: the address is wrong
//	404, 410            KindNoData
//	408, 425, 5xx       KindUpstream
//	429                 KindRate
//	redirects           KindUpstream
//	all others          KindConfig: the request is wrong, and stays so
func (c *Client) Refused(a *Answer, zone string) *intensity.Error {
	kind := intensity.KindConfig
	said := c.said(a)
	switch s := a.Status; {
	case s == http.StatusUnauthorized, s == http.StatusForbidden:
		kind = intensity.KindAuth
	case s == http.StatusNotFound && a.IsHTML(): // from a server that has no such path
		said += ": is the endpoint right?"
	case s == http.StatusNotFound, s == http.StatusGone:
		kind = intensity.KindNoData
	case s == http.StatusTooManyRequests:
		kind = intensity.KindRate
	case s == http.StatusRequestTimeout, s == http.StatusTooEarly, s >= 500:
		kind = intensity.KindUpstream
	case s >= 300 && s < 400:
		kind = intensity.KindUpstream
		if a.location != "" {
			said = "it redirects to " + a.location + ", which is not followed"
		}
	}
	e := c.Error(kind, zone, "status %d: %s", a.Status, said)
	e.Status = a.Status
	if kind == intensity.KindRate || kind == intensity.KindUpstream {
		e.RetryAfter = a.RetryAfter
	}
	return e
}

// said is what an error body says, if it is text that a person can read.
func (c *Client) said(a *Answer) string {
	var body struct {
		Error   json.RawMessage `json:"error"`
		Message json.RawMessage `json:"message"`
		Detail  json.RawMessage `json:"detail"`
	}
	if json.Unmarshal(a.Body, &body) == nil {
		for _, raw := range []json.RawMessage{body.Error, body.Message, body.Detail} {
			if len(raw) > 0 && !bytes.Equal(raw, []byte("null")) {
				var text string
				if json.Unmarshal(raw, &text) == nil {
					return text
				}
				return string(raw)
			}
		}
	}
	if a.IsHTML() {
		return "a page of HTML"
	}
	if len(a.Body) == 0 {
		return "nothing else"
	}
	return intensity.Scrub(string(a.Body), c.secrets()...) // before anything is cut
}

// Now is the moment by the server's clock, or ours where it did not say.
func (a *Answer) Now(ours time.Time) time.Time {
	if a.Date.IsZero() {
		return ours
	}
	return a.Date.UTC()
}

// IsHTML reports whether the body is a page for people, as servers put in front of an API
// send it: it says nothing that the API knows.
func (a *Answer) IsHTML() bool {
	return a.mediaType == "text/html" || bytes.HasPrefix(bytes.TrimSpace(a.Body), []byte("<"))
}

// Decode reads the JSON of an answer into v. Fields that v does not have are ignored;
// anything behind the value, or anything that is no JSON, is an error of KindMalformed.
func (c *Client) Decode(a *Answer, zone string, v any) error {
	if a.IsHTML() {
		return c.Error(intensity.KindMalformed, zone, "status %d with a page of HTML instead of JSON", a.Status)
	}
	if err := Unmarshal(a.Body, v); err != nil {
		return c.Error(intensity.KindMalformed, zone, "%v", err)
	}
	return nil
}

// Unmarshal reads one JSON value and nothing behind it.
func Unmarshal(b []byte, v any) error {
	if len(bytes.TrimSpace(b)) == 0 {
		return errors.New("the answer is empty")
	}
	if err := json.Unmarshal(b, v); err != nil {
		if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
			return fmt.Errorf("no JSON from byte %d of %d on: %w", syntax.Offset, len(b), err)
		}
		return err
	}
	return nil
}

// retryAfter reads the header, which holds seconds or a date.
func retryAfter(h http.Header) time.Duration {
	text := strings.TrimSpace(h.Get("Retry-After"))
	if text == "" {
		return 0
	}
	if seconds, err := strconv.ParseInt(text, 10, 64); err == nil {
		switch {
		case seconds <= 0:
			return 0
		case seconds > int64(maxRetryAfter/time.Second):
			return maxRetryAfter
		}
		return time.Duration(seconds) * time.Second
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	now, err := http.ParseTime(h.Get("Date")) // the server's clock
	if err != nil {
		now = time.Now()
	}
	return min(max(at.Sub(now), 0), maxRetryAfter)
}
