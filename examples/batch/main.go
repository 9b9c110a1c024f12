// Batch is a job in equal steps, as a training is in epochs: it forecasts what the whole
// will emit after the first steps, and stops when its carbon budget is spent.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"math"
	"os"

	"github.com/otelcarbon/otelcarbon/instrumentation/carbon"
)

func main() {
	steps := flag.Int("steps", 10, "of the job")
	size := flag.Int("size", 100_000_000, "of a step")
	grams := flag.Float64("budget", 100, "in g of CO2-equivalent")
	zone := flag.String("zone", "DE", "where the machine is")
	flag.Parse()
	if err := run(*steps, *size, *grams, *zone); err != nil {
		log.Fatal(err)
	}
}

func run(steps, size int, grams float64, zone string) (err error) {
	m, wrong := carbon.Start(carbon.WithZone(zone), carbon.WithBudget(carbon.Budget{
		Name: "half", Grams: grams / 2, Thresholds: []float64{100},
		OnThreshold: func(e carbon.BudgetEvent) { log.Printf("%.3g g of the budget are spent", e.Used) },
	}))
	if wrong != nil {
		log.Print(wrong)
	}
	defer func() { err = errors.Join(err, m.Shutdown(context.Background())) }()

	ctx, done, err := m.Within(context.Background(), carbon.Budget{Name: "job", Grams: grams})
	if err != nil {
		return err
	}
	defer done()
	ctx, task := m.Task(ctx, "job")
	for i := range steps {
		if ctx.Err() != nil {
			fmt.Fprintf(os.Stdout, "stopped before step %d: %v\n", i+1, context.Cause(ctx))
			break
		}
		if math.IsNaN(work(size)) {
			return errors.New("the work failed")
		}
		task.Step()
		if i == 2 {
			tell(ctx, task, steps)
		}
	}
	fmt.Fprintln(os.Stdout, task.End())
	return nil
}

func tell(ctx context.Context, task *carbon.Task, steps int) {
	f, err := task.Forecast(ctx, steps)
	if err != nil {
		log.Print(err)
		return
	}
	fmt.Fprintf(os.Stdout, "after %d of %d steps: %.3g g (%.3g to %.3g) in all, %v to go\n", f.Steps, f.Of, f.Emissions, f.Lower, f.Upper, f.Remaining)
}

func work(n int) (sum float64) {
	for i := range n {
		sum += math.Sqrt(float64(i))
	}
	return sum
}
