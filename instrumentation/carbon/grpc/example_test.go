package grpc_test

import (
	"context"
	"fmt"
	"log"

	"google.golang.org/grpc"

	"github.com/otelcarbon/otelcarbon/instrumentation/carbon"
	carbongrpc "github.com/otelcarbon/otelcarbon/instrumentation/carbon/grpc"
)

func ExampleUnaryServerInterceptor() {
	m, err := carbon.Start()
	if err != nil {
		log.Print(err)
	}
	// grpc.StatsHandler(otelgrpc.NewServerHandler()) starts the spans.
	server := grpc.NewServer(grpc.ChainUnaryInterceptor(carbongrpc.UnaryServerInterceptor(m)))
	server.Stop()
	fmt.Println(m.Shutdown(context.Background()))
	// Output: <nil>
}

func ExampleStreamServerInterceptor() {
	m, err := carbon.Start()
	if err != nil {
		log.Print(err)
	}
	server := grpc.NewServer(grpc.ChainStreamInterceptor(carbongrpc.StreamServerInterceptor(m)))
	server.Stop()
	fmt.Println(m.Shutdown(context.Background()))
	// Output: <nil>
}
