// Offline measures a program that knows nothing of OpenTelemetry: no key, no network, no
// root.
package main

import (
	"context"
	"fmt"
	"log"
	"math"
	"os"

	"github.com/otelcarbon/otelcarbon/instrumentation/carbon"
)

func main() {
	m, err := carbon.Start(carbon.WithZone("FR")) // or OTELCARBON_ZONE=FR
	if err != nil {
		log.Print(err) // it measures what it can
	}
	defer func() { _ = m.Shutdown(context.Background()) }()
	stop := m.Measure("sum")
	fmt.Fprintln(os.Stdout, work(50_000_000))
	fmt.Fprintln(os.Stdout, stop())
}

// work keeps a CPU busy.
func work(n int) (sum float64) {
	for i := range n {
		sum += math.Sqrt(float64(i))
	}
	return sum
}
