package carbon_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/otelcarbon/otelcarbon/instrumentation/carbon"
	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/intensity/chain"
	"github.com/otelcarbon/otelcarbon/intensity/offline"
	"github.com/otelcarbon/otelcarbon/intensity/providers"
)

// plug is a meter in the socket of this machine, which shows 360 kJ, 100 Wh, more each
// time it is asked.
type plug struct{ joules float64 }

func (p *plug) Read(context.Context) (carbon.Reading, error) {
	p.joules += 360_000
	return carbon.Reading{Amounts: []carbon.Amount{{Type: "other", Method: "measured", Sensor: "plug", Joules: p.joules}}}, nil
}

func (p *plug) Close() error { return nil }

func ExampleStart() {
	m, err := carbon.Start(carbon.WithZone("FR"))
	if err != nil {
		log.Print(err) // it measures what it can
	}
	defer func() { _ = m.Shutdown(context.Background()) }()
	fmt.Println("working")
	// Output: working
}

func ExampleStart_mistakes() {
	m, err := carbon.Start(carbon.WithInterval(time.Hour))
	fmt.Println(err)
	fmt.Println(m.Shutdown(context.Background()))
	// Output:
	// interval of 1h0m0s: want 10ms to 1m0s
	// <nil>
}

func ExampleWithEnergySource() {
	m, err := carbon.Start(carbon.WithEnergySource(new(plug)), carbon.WithInterval(time.Minute), carbon.WithLocation(intensity.Location{Country: "FR"}))
	fmt.Println(err)
	fmt.Println(m.Shutdown(context.Background())) // which reads once more
	r := m.Report()
	fmt.Printf("%.0f kJ, %s; %.3f g at %.2f g/kWh of %s\n", r.Energy.Total()/1000, r.Method, r.Emissions, r.Intensity, r.Zone)
	// Output:
	// <nil>
	// <nil>
	// 360 kJ, measured; 4.145 g at 41.45 g/kWh of FR
}

func ExampleWithIntensity() {
	// Live values of Great Britain, and the tables where there are none.
	live, err := providers.New("uk_national_grid", providers.Options{})
	if err != nil {
		log.Print(err)
		return
	}
	tables, err := offline.New(offline.Options{})
	if err != nil {
		log.Print(err)
		return
	}
	grid, err := chain.New(chain.Config{}, live, tables)
	if err != nil {
		log.Print(err)
		return
	}
	m, err := carbon.Start(carbon.WithIntensity(grid), carbon.WithZone("GB"))
	if err != nil {
		log.Print(err)
	}
	defer func() { _ = errors.Join(m.Shutdown(context.Background()), grid.Close()) }()
	fmt.Println("working")
}

func ExampleWithMeterProvider() {
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))
	m, err := carbon.Start(carbon.WithMeterProvider(meters), carbon.WithPUE(1.2), carbon.WithIdle(carbon.IdleByUsage),
		carbon.WithAttributes(attribute.String("service.namespace", "team-a")))
	if err != nil {
		log.Print(err)
	}
	defer func() { _ = m.Shutdown(context.Background()) }()
	fmt.Println("working")
	// Output: working
}

func ExampleMonitor_Measure() {
	m, err := carbon.Start()
	if err != nil {
		log.Print(err)
	}
	defer func() { _ = m.Shutdown(context.Background()) }()
	func() {
		defer m.Measure("training", func(r carbon.Report) { fmt.Println(r.Name, "is done") })()
	}()
	// Output: training is done
}

func ExampleMonitor_Task() {
	m, err := carbon.Start()
	if err != nil {
		log.Print(err)
	}
	defer func() { _ = m.Shutdown(context.Background()) }()
	ctx, job := m.Task(context.Background(), "job")
	for _, name := range []string{"load", "train"} {
		_, part := m.Task(ctx, name) // part of the job
		r := part.End()
		fmt.Println(r.Name)
	}
	fmt.Println(job.End().Name)
	// Output:
	// load
	// train
	// job
}

func ExampleTask_Forecast() {
	m, err := carbon.Start()
	if err != nil {
		log.Print(err)
	}
	defer func() { _ = m.Shutdown(context.Background()) }()
	ctx, task := m.Task(context.Background(), "training")
	defer task.End()
	_, err = task.Forecast(ctx, 10)
	fmt.Println(err)
	task.Step()
	f, err := task.Forecast(ctx, 10)
	fmt.Println(f.Steps, f.Of, err)
	// Output:
	// no step is done yet: call Step after each
	// 1 10 <nil>
}

func ExampleMonitor_Within() {
	m, err := carbon.Start(carbon.WithBudget(carbon.Budget{Name: "today", Grams: 500, Period: 24 * time.Hour, OnThreshold: func(e carbon.BudgetEvent) {
		log.Printf("%s: %.0f %% of %.0f g", e.Name, e.Percent, e.Limit)
	}}))
	if err != nil {
		log.Print(err)
	}
	defer func() { _ = m.Shutdown(context.Background()) }()
	ctx, done, err := m.Within(context.Background(), carbon.Budget{Name: "job", Grams: 20})
	if err != nil {
		log.Print(err)
	}
	defer done()
	fmt.Println(ctx.Err()) // of what works under it: carbon.ErrBudgetSpent is the cause, once it is
	// Output: <nil>
}

func ExampleMonitor_Unit() {
	m, err := carbon.Start()
	if err != nil {
		log.Print(err)
	}
	defer func() { _ = m.Shutdown(context.Background()) }()
	inferences := m.Unit("inference")
	inferences.Add(1)
	_, known := inferences.Grams()
	fmt.Println(known)
	// Output: true
}

func ExampleMonitor_Span() {
	m, err := carbon.Start()
	if err != nil {
		log.Print(err)
	}
	defer func() { _ = m.Shutdown(context.Background()) }()
	ctx, span := otel.Tracer("shop").Start(context.Background(), "checkout")
	defer span.End()
	_, done := m.Span(ctx, attribute.String("operation", "checkout"))
	defer done() // sets the attributes, before the span ends
	fmt.Println("working")
	// Output: working
}

func ExampleMonitor_Handler() {
	m, err := carbon.Start()
	if err != nil {
		log.Print(err)
	}
	defer func() { _ = m.Shutdown(context.Background()) }()
	// Inside of otelhttp.NewHandler, which starts the span.
	_ = m.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	// Output:
}

func ExampleReport_String() {
	fmt.Println(carbon.Report{
		Name: "training", Duration: 31 * time.Minute, Energy: carbon.Energy{CPU: 412_000}, Method: "modelled",
		Emissions: 6.2, Lower: 2, Upper: 10.4, Intensity: 54.3, Zone: "FR", Source: "grids_csv",
	})
	// Output: training: 412 kJ in 31m0s (modelled), 6.2 g CO2e (2 g to 10.4 g) at 54.3 g/kWh, grids_csv FR
}
