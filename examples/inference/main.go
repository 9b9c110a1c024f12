// Inference runs a small neural network on the CPU and tells what one answer costs: grams
// of CO2-equivalent per inference, the SCI of ISO/IEC 21031 without its embodied part.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"math"
	"math/rand/v2"
	"os"

	"github.com/otelcarbon/otelcarbon/instrumentation/carbon"
)

func main() {
	n := flag.Int("n", 2000, "inferences")
	zone := flag.String("zone", "FR", "where the machine is")
	flag.Parse()
	if err := run(*n, *zone); err != nil {
		log.Fatal(err)
	}
}

func run(n int, zone string) error {
	m, err := carbon.Start(carbon.WithZone(zone))
	if err != nil {
		log.Print(err)
	}
	inferences := m.Unit("inference") // carbon.sci, where there is a meter provider
	ctx, task := m.Task(context.Background(), "inference")
	net, input := newNetwork(256, 512, 512, 10), make([]float64, 256)
	classes := make(map[int]int)
	for range n {
		for i := range input {
			input[i] = rand.Float64() //nolint:gosec // of an example
		}
		classes[net.classify(input)]++
		inferences.Add(1)
	}
	if err := m.Shutdown(ctx); err != nil {
		return err
	}
	report := task.End()
	fmt.Fprintln(os.Stdout, report)
	fmt.Fprintf(os.Stdout, "%d inferences of %d classes: %.3g J and %.3g g each\n",
		n, len(classes), report.Energy.Total()/float64(n), report.Emissions/float64(n))
	return nil
}

// network is a perceptron with layers of weights.
type network [][][]float64

func newNetwork(sizes ...int) network {
	var net network
	for l := 1; l < len(sizes); l++ {
		layer := make([][]float64, sizes[l])
		for i := range layer {
			layer[i] = make([]float64, sizes[l-1])
			for j := range layer[i] {
				layer[i][j] = rand.NormFloat64() / math.Sqrt(float64(sizes[l-1])) //nolint:gosec // of an example
			}
		}
		net = append(net, layer)
	}
	return net
}

func (net network) classify(x []float64) (class int) {
	for _, layer := range net {
		y := make([]float64, len(layer))
		for i, weights := range layer {
			for j, w := range weights {
				y[i] += w * x[j]
			}
			y[i] = math.Tanh(y[i])
		}
		x = y
	}
	for i, v := range x {
		if v > x[class] {
			class = i
		}
	}
	return class
}
