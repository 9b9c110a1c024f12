package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// The attributes arrive at an OTLP receiver: their keys are in what was sent.
func TestSpansArriveWithTheirEnergy(t *testing.T) {
	var mu sync.Mutex
	var sent bytes.Buffer
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		sent.Write(body)
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	defer receiver.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", receiver.URL+"/v1/traces")

	ctx, stop := context.WithCancel(t.Context())
	address, done := make(chan string, 1), make(chan error, 1)
	go func() { done <- run(ctx, "127.0.0.1:0", func(a string) { address <- a }) }()
	select {
	case a := <-address:
		time.Sleep(300 * time.Millisecond) // until the power is known
		response, err := http.Get("http://" + a + "/primes?below=3000000")
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil || strings.TrimSpace(string(body)) != "216816" { // primes below 3 million
			t.Fatalf("%s, %v", body, err)
		}
	case err := <-done:
		t.Fatal(err)
	}
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	for _, key := range []string{"carbon.energy", "carbon.emissions", "carbon.grid.intensity", "carbon.grid.zone", "carbon.method", "sieve", "request"} {
		if !bytes.Contains(sent.Bytes(), []byte(key)) {
			t.Errorf("%q is not in what was sent", key)
		}
	}
}
