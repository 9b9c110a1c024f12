// Package grpc measures the spans of gRPC servers, without the SDK:
//
//	server := grpc.NewServer(
//		grpc.StatsHandler(otelgrpc.NewServerHandler()),
//		grpc.ChainUnaryInterceptor(carbongrpc.UnaryServerInterceptor(m)),
//		grpc.ChainStreamInterceptor(carbongrpc.StreamServerInterceptor(m)),
//	)
//
// Where package spanprocessor measures all spans, they are not needed.
package grpc

import (
	"context"

	"google.golang.org/grpc"

	"github.com/otelcarbon/otelcarbon/instrumentation/carbon"
)

// UnaryServerInterceptor measures the span of each call. A nil Monitor measures nothing.
func UnaryServerInterceptor(m *carbon.Monitor) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		ctx, done := m.Span(ctx)
		defer done()
		return handler(ctx, req)
	}
}

// StreamServerInterceptor measures the span of each stream, from its first message to its
// last. A nil Monitor measures nothing.
func StreamServerInterceptor(m *carbon.Monitor) grpc.StreamServerInterceptor {
	return func(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		ctx, done := m.Span(stream.Context())
		defer done()
		return handler(srv, measured{stream, ctx})
	}
}

type measured struct {
	grpc.ServerStream

	ctx context.Context //nolint:containedctx // it is what a stream has
}

func (s measured) Context() context.Context { return s.ctx }
