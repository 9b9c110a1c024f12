package bmc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"
)

const (
	rootLink        = "/redfish/v1/"
	requestDeadline = 10 * time.Second
	maxBody         = 1 << 20
	maxRedirects    = 5
)

// wire makes the requests to one Redfish service: same host, bounded bodies,
// credentials in headers only. One goroutine uses it.
type wire struct {
	client   *http.Client
	own      *http.Transport // nil: the client is the caller's
	base     *url.URL        // without the path of the service itself
	username string
	password Secret

	sessions string   // link under which sessions are made; "" means basic authentication
	session  *session // nil: none
	fresh    bool     // the session was made during this question
}

type session struct {
	token Secret
	link  string
}

func newWire(c Redfish) (*wire, error) {
	base, err := parseEndpoint(c.Endpoint)
	if err != nil {
		return nil, err
	}
	w := &wire{base: base, username: c.Username, password: c.Password}
	client := http.Client{}
	if c.Client != nil {
		client = *c.Client
	} else {
		w.own = &http.Transport{
			DialContext:           (&net.Dialer{Timeout: requestDeadline}).DialContext,
			TLSHandshakeTimeout:   requestDeadline,
			ResponseHeaderTimeout: requestDeadline,
			IdleConnTimeout:       90 * time.Second,
			MaxConnsPerHost:       2,
			ForceAttemptHTTP2:     true,
		}
		client.Transport = w.own
	}
	client.CheckRedirect = w.follow
	w.client = &client
	return w, nil
}

// parseEndpoint never repeats what it was given, since it may hold a password.
func parseEndpoint(endpoint string) (*url.URL, error) {
	u, err := url.Parse(endpoint)
	switch {
	case err != nil, u.Hostname() == "", u.Scheme != "https" && u.Scheme != "http":
		return nil, errors.New("bmc: redfish endpoint is not of the form https://bmc.example.net")
	case u.User != nil:
		return nil, errors.New("bmc: redfish endpoint holds credentials: set username and password instead")
	case u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("bmc: redfish endpoint has a query or fragment: leave it out")
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return nil, errors.New("bmc: redfish endpoint has the scheme http, which shows the password to the network: use https")
	}
	p := strings.TrimSuffix(u.Path, "/")
	p = strings.TrimSuffix(strings.TrimSuffix(p, "/v1"), "/redfish")
	return &url.URL{Scheme: u.Scheme, Host: u.Host, Path: strings.TrimSuffix(p, "/")}, nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// resolve turns a link of the service into an address on the same host.
func (w *wire) resolve(id string) (*url.URL, error) {
	u, err := url.Parse(id)
	switch {
	case err != nil:
		return nil, fmt.Errorf("link %q: %w", short(id), errMalformed)
	case (u.Scheme != "" || u.Host != "") && !w.sameHost(u), u.User != nil:
		return nil, fmt.Errorf("link %q leads to another host: %w", short(id), errMalformed)
	}
	p := strings.TrimPrefix(u.Path, w.base.Path)
	if !strings.HasPrefix(p, "/redfish/") || path.Clean(p) != strings.TrimSuffix(p, "/") {
		return nil, fmt.Errorf("link %q leads out of /redfish/: %w", short(id), errMalformed)
	}
	return &url.URL{Scheme: w.base.Scheme, Host: w.base.Host, Path: w.base.Path + p, RawQuery: u.RawQuery}, nil
}

func (w *wire) sameHost(u *url.URL) bool {
	return u.Scheme == w.base.Scheme && strings.EqualFold(u.Hostname(), w.base.Hostname()) && port(u) == port(w.base)
}

func port(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "http":
		return "80"
	}
	return "443"
}

// follow is CheckRedirect. Headers with the token would go along to any host.
func (w *wire) follow(req *http.Request, via []*http.Request) error {
	switch {
	case !w.sameHost(req.URL):
		return &failure{
			cause:  fmt.Errorf("a redirect to another host (%q) is not followed: %w", short(req.URL.Host), errMalformed),
			remedy: "if that is the management controller, set the endpoint to it",
		}
	case len(via) >= maxRedirects:
		return fmt.Errorf("more than %d redirects: %w", maxRedirects, errMalformed)
	}
	return nil
}

// get reads the resource behind a link and returns the time that the controller
// gave its answer, as it wrote it.
func (w *wire) get(ctx context.Context, id string, into any) (date string, err error) {
	for {
		a, err := w.exchange(ctx, http.MethodGet, id, nil, id != rootLink)
		if err != nil {
			return "", err
		}
		if a.status == http.StatusUnauthorized && w.session != nil && !w.fresh {
			w.session = nil // it has expired
			continue
		}
		if err := a.verdict(); err != nil {
			return "", about(id, err)
		}
		if err := decode(a.body, into); err != nil {
			return "", about(id, err)
		}
		return a.header.Get("Date"), nil
	}
}

func about(id string, err error) error { return fmt.Errorf("%s: %w", short(id), err) }

// answer is a response whose body was read, up to its bound.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (w *wire) exchange(ctx context.Context, verb, id string, body []byte, withCredentials bool) (*answer, error) {
	u, err := w.resolve(id)
	if err != nil {
		return nil, err
	}
	if withCredentials && w.username != "" && w.sessions != "" && w.session == nil {
		if err := w.login(ctx); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, requestDeadline)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, verb, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, about(id, errMalformed)
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("OData-Version", "4.0")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	switch {
	case !withCredentials || w.username == "":
	case w.session != nil:
		req.Header.Set("X-Auth-Token", w.session.token.text())
	default:
		req.SetBasicAuth(w.username, w.password.text())
	}
	res, err := w.client.Do(req)
	if err != nil {
		return nil, about(id, transportFailure(err))
	}
	defer func() { _ = res.Body.Close() }()
	content, err := io.ReadAll(io.LimitReader(res.Body, maxBody+1))
	if ctx.Err() != nil { // a server may end the body when it sees that nobody waits any more
		err = ctx.Err()
	}
	if err != nil {
		return nil, about(id, fmt.Errorf("the answer breaks off: %w", err))
	}
	if len(content) > maxBody {
		return nil, about(id, fmt.Errorf("the answer is larger than %d bytes: %w", maxBody, errMalformed))
	}
	return &answer{res.StatusCode, res.Header, content}, nil
}

// transportFailure drops the address, which stands in Problem.Path.
func transportFailure(err error) error {
	if ue := (*url.Error)(nil); errors.As(err, &ue) {
		err = ue.Err
	}
	if isCertificate(err) {
		return &failure{cause: err, remedy: "give the client the authority that signed the controller's certificate, " +
			"and use the name that stands in it"}
	}
	return err
}

// verdict is what a status means.
func (a *answer) verdict() error {
	switch a.status {
	case http.StatusOK, http.StatusCreated:
		return nil
	case http.StatusUnauthorized:
		return denied("the controller does not accept the credentials (status 401)",
			"check redfish username and password, and that the account is not locked")
	case http.StatusForbidden:
		return denied("the account may not read this (status 403)", "give it a role with the privilege Login")
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusGone, http.StatusNotImplemented:
		return notOffered(fmt.Sprintf("status %d", a.status))
	case http.StatusInternalServerError:
		return fmt.Errorf("status %d: %w", a.status, errServer)
	}
	return fmt.Errorf("status %d", a.status)
}

func denied(what, remedy string) error {
	return &failure{cause: fmt.Errorf("%s: %w", what, errDenied), remedy: remedy + "; it is tried again after pauses of up to 5 minutes, lest the account be locked"}
}

// login makes a session (DSP0266, 13.3.4). A service without sessions is asked with
// basic authentication from then on.
func (w *wire) login(ctx context.Context) error {
	body, err := json.Marshal(map[string]string{"UserName": w.username, "Password": w.password.text()})
	if err != nil {
		return errors.New("the credentials cannot be written as JSON")
	}
	a, err := w.exchange(ctx, http.MethodPost, w.sessions, body, false)
	if err != nil {
		return err
	}
	if a.status == http.StatusBadRequest {
		return denied("the controller does not make a session with these credentials (status 400)", "check redfish username and password")
	}
	if err = a.verdict(); errors.Is(err, errMissing) {
		w.sessions = ""
		return nil
	}
	if err != nil {
		return about(w.sessions, err)
	}
	token := a.header.Get("X-Auth-Token")
	if token == "" {
		return about(w.sessions, fmt.Errorf("no X-Auth-Token in the answer: %w", errMalformed))
	}
	var self link
	id := a.header.Get("Location")
	if id == "" && decode(a.body, &self) == nil {
		id = self.ID
	}
	if u, err := url.Parse(id); err == nil {
		id = u.EscapedPath() // some give their own idea of their address
	}
	w.session, w.fresh = &session{NewSecret(token), id}, true
	return nil
}

// close ends the session, of which controllers allow few.
func (w *wire) close(ctx context.Context) {
	if w.session != nil && w.session.link != "" {
		_, _ = w.exchange(ctx, http.MethodDelete, w.session.link, nil, true) // else it ends by itself
	}
	w.session = nil
	if w.own != nil {
		w.own.CloseIdleConnections()
	}
}
