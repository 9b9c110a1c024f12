package intensitytest

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"
)

// Server answers the requests of a provider inside the test: a http.RoundTripper, which
// works with a test's own clock too (testing/synctest). It is safe for concurrent use.
type Server struct {
	handler http.Handler

	mu       sync.Mutex
	requests []*http.Request
}

// Serve returns a Server that answers with h.
func Serve(h http.Handler) *Server { return &Server{handler: h} }

// Client returns a client that reaches s and nothing else, at any host.
func (s *Server) Client() *http.Client { return &http.Client{Transport: s} }

// Requests returns what was asked so far, in order of arrival.
func (s *Server) Requests() []*http.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*http.Request(nil), s.requests...)
}

// RoundTrip implements http.RoundTripper.
func (s *Server) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	s.requests = append(s.requests, r.Clone(r.Context()))
	s.mu.Unlock()
	w := &writer{header: make(http.Header), status: http.StatusOK, sent: make(chan struct{})}
	pr, pw := io.Pipe()
	w.pipe = pw
	go func() {
		s.handler.ServeHTTP(w, r)
		w.begin()
		// An answer that the end of its request has ended is not complete.
		_ = pw.CloseWithError(r.Context().Err()) // of a pipe: never fails
	}()
	select {
	case <-w.sent:
	case <-r.Context().Done():
		_ = pr.CloseWithError(r.Context().Err())
		return nil, r.Context().Err()
	}
	if w.fail != nil {
		return nil, w.fail
	}
	context := r.Context()
	stop := make(chan struct{})
	body := &body{PipeReader: pr, closed: sync.OnceFunc(func() { close(stop) })}
	go func() {
		select {
		case <-context.Done():
			_ = pr.CloseWithError(context.Err())
		case <-stop:
		}
	}()
	return &http.Response{
		Status: http.StatusText(w.status), StatusCode: w.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.copied, Body: body, ContentLength: -1, Request: r,
	}, nil
}

type body struct {
	*io.PipeReader

	closed func()
}

func (b *body) Close() error {
	b.closed()
	return b.PipeReader.Close()
}

// writer is the http.ResponseWriter of one request.
type writer struct {
	header http.Header
	status int
	pipe   *io.PipeWriter
	fail   error
	once   sync.Once
	copied http.Header
	sent   chan struct{}
}

func (w *writer) begin() {
	w.once.Do(func() {
		w.copied = maps.Clone(w.header)
		if w.copied.Get("Date") == "" {
			w.copied.Set("Date", time.Now().UTC().Format(http.TimeFormat))
		}
		close(w.sent)
	})
}

func (w *writer) Header() http.Header { return w.header }

func (w *writer) WriteHeader(status int) {
	w.status = status
	w.begin()
}

func (w *writer) Write(b []byte) (int, error) {
	w.begin()
	return w.pipe.Write(b)
}

// Flush implements http.Flusher.
func (w *writer) Flush() { w.begin() }

// Fail has the request end with an error instead of an answer, as where nobody listens
// or no such host is known. It is for handlers of a Server, before they write.
func Fail(w http.ResponseWriter, err error) {
	if own, ok := w.(*writer); ok {
		own.fail = err
		own.begin()
		return
	}
	panic("intensitytest: Fail is for handlers of a Server")
}

// Cut has the body of the answer end too early. It is for handlers of a Server, after
// they have written.
func Cut(w http.ResponseWriter) {
	if own, ok := w.(*writer); ok {
		own.begin()
		_ = own.pipe.CloseWithError(errUnexpectedEnd) // of a pipe: never fails
	}
}

var errUnexpectedEnd = errors.New("unexpected EOF")

// File returns a handler that sends a file with a status; its name says the media type.
func File(t testing.TB, status int, path string) http.Handler {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return Bytes(status, mediaType(path, b), b)
}

// Bytes returns a handler that sends b with a status and a media type.
func Bytes(status int, media string, b []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", media)
		w.WriteHeader(status)
		_, _ = w.Write(b) // who asked may have gone
	})
}

func mediaType(path string, b []byte) string {
	if bytes.HasPrefix(bytes.TrimSpace(b), []byte("<")) {
		return "text/html; charset=utf-8"
	}
	return "application/json"
}
