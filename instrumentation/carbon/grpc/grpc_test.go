package grpc_test

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/test/bufconn"

	"github.com/otelcarbon/otelcarbon/instrumentation/carbon"
	carbongrpc "github.com/otelcarbon/otelcarbon/instrumentation/carbon/grpc"
	"github.com/otelcarbon/otelcarbon/internal/deptest"
)

func TestDependencies(t *testing.T) {
	const mod = "github.com/otelcarbon/otelcarbon"
	deptest.Never(t, "applications must not inherit the Collector or the SDK",
		"go.opentelemetry.io/collector", "go.opentelemetry.io/otel/sdk", mod+"/receiver", mod+"/processor")
}

// watts is a source of a constant power.
type watts struct {
	began time.Time
	power float64
}

func (w watts) Read(context.Context) (carbon.Reading, error) {
	return carbon.Reading{Amounts: []carbon.Amount{{Type: "cpu", Method: "measured", Joules: time.Since(w.began).Seconds() * w.power}}}, nil
}

func (watts) Close() error { return nil }

// A real server and client over memory; spans as otelgrpc makes them around interceptors.
func TestSpansOfCalls(t *testing.T) {
	m, err := carbon.Start(carbon.WithEnergySource(watts{time.Now(), 100}), carbon.WithInterval(10*time.Millisecond), carbon.WithZone("FR"))
	require.NoError(t, err)
	defer func() { require.NoError(t, m.Shutdown(t.Context())) }()
	recorder := tracetest.NewSpanRecorder()
	tracer := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder)).Tracer("test")
	time.Sleep(50 * time.Millisecond) // until the power is known

	server := grpc.NewServer(
		grpc.ChainUnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
			ctx, span := tracer.Start(ctx, "unary")
			defer span.End()
			return handler(ctx, req)
		}, carbongrpc.UnaryServerInterceptor(m)),
		grpc.ChainStreamInterceptor(func(srv any, s grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
			ctx, span := tracer.Start(s.Context(), "stream")
			defer span.End()
			return handler(srv, stream{s, ctx})
		}, carbongrpc.StreamServerInterceptor(m)),
	)
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	listener := bufconn.Listen(1 << 16)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	client, err := grpc.NewClient("passthrough:memory", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	require.NoError(t, err)
	calls := grpc_health_v1.NewHealthClient(client)
	_, err = calls.Check(t.Context(), new(grpc_health_v1.HealthCheckRequest))
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	watch, err := calls.Watch(ctx, new(grpc_health_v1.HealthCheckRequest))
	require.NoError(t, err)
	_, err = watch.Recv()
	require.NoError(t, err)
	time.Sleep(100 * time.Millisecond)
	stop()
	require.Eventually(t, func() bool { return len(recorder.Ended()) == 2 }, 10*time.Second, time.Millisecond)
	require.NoError(t, client.Close())
	server.Stop()
	require.NoError(t, <-served)

	for _, span := range recorder.Ended() {
		attrs := attribute.NewSet(span.Attributes()...)
		energy, ok := attrs.Value("carbon.energy")
		require.True(t, ok, span.Name())
		if span.Name() == "stream" { // 100 W for a tenth of a second, at least
			assert.Greater(t, energy.AsFloat64(), 5.0)
		}
		emissions, _ := attrs.Value("carbon.emissions")
		intensity, _ := attrs.Value("carbon.grid.intensity")
		assert.InDelta(t, energy.AsFloat64()/3.6e6*intensity.AsFloat64(), emissions.AsFloat64(), 1e-12)
	}
}

type stream struct {
	grpc.ServerStream

	ctx context.Context //nolint:containedctx // it is what a stream has
}

func (s stream) Context() context.Context { return s.ctx }
