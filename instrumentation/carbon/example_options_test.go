package carbon_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/pprof"
	"os/exec"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/otelcarbon/otelcarbon/instrumentation/carbon"
	"github.com/otelcarbon/otelcarbon/instrumentation/carbon/gpu"
	"github.com/otelcarbon/otelcarbon/intensity"
)

// plugged is a program of which a meter tells 360 kJ until its end.
func plugged(opts ...carbon.Option) carbon.Report {
	m, err := carbon.Start(append(opts, carbon.WithEnergySource(new(plug)), carbon.WithInterval(time.Minute))...)
	if err != nil {
		log.Print(err)
	}
	if err := m.Shutdown(context.Background()); err != nil {
		log.Print(err)
	}
	return m.Report()
}

func ExampleWithZone() {
	for _, zone := range []string{"FR", "US", "aws:eu-west-3"} {
		r := plugged(carbon.WithZone(zone))
		fmt.Printf("%s: %.1f g, %s %s\n", zone, r.Emissions, r.Source, r.Zone)
	}
	// Output:
	// FR: 4.1 g, grids_csv FR
	// US: 38.4 g, grids_csv US
	// aws:eu-west-3: 5.6 g, clouds_csv FR
}

func ExampleWithLocation() {
	r := plugged(carbon.WithLocation(intensity.Location{Country: "US", Subdivision: "US-VT"}))
	fmt.Println(r.Zone)
	// Output: US-VT
}

func ExampleWithPUE() {
	fmt.Printf("%.1f g\n", plugged(carbon.WithZone("FR"), carbon.WithPUE(2)).Emissions) // 2 · 4.145 g
	// Output: 8.3 g
}

func ExampleWithInterval() {
	m, err := carbon.Start(carbon.WithInterval(20 * time.Millisecond)) // spans of 20 ms are right one by one
	if err != nil {
		log.Print(err)
	}
	fmt.Println(m.Shutdown(context.Background()))
	// Output: <nil>
}

func ExampleWithIdle() {
	// On a machine that runs for this program alone, its idle energy is the program's.
	m, err := carbon.Start(carbon.WithIdle(carbon.IdleByUsage))
	if err != nil {
		log.Print(err)
	}
	fmt.Println(m.Shutdown(context.Background()))
	// Output: <nil>
}

func ExampleWithAttributes() {
	m, err := carbon.Start(carbon.WithAttributes(attribute.String("service.namespace", "team-a")))
	if err != nil {
		log.Print(err)
	}
	fmt.Println(m.Shutdown(context.Background()))
	// Output: <nil>
}

func ExampleWithBudget() {
	told := make(chan carbon.BudgetEvent, 3)
	plugged(carbon.WithZone("FR"), carbon.WithBudget(carbon.Budget{
		Name: "run", Grams: 5, OnThreshold: func(e carbon.BudgetEvent) { told <- e },
	}))
	for range 2 { // 4.145 g of 5 g
		e := <-told
		fmt.Printf("%s: %.0f %% of %.0f g\n", e.Name, e.Percent, e.Limit)
	}
	// Output:
	// run: 50 % of 5 g
	// run: 80 % of 5 g
}

func ExampleWithChildren() {
	m, err := carbon.Start(carbon.WithChildren())
	if err != nil {
		log.Print(err)
	}
	if err := exec.CommandContext(context.Background(), "true").Run(); err != nil { // counted when it has ended
		log.Print(err)
	}
	fmt.Println(m.Shutdown(context.Background()))
	// Output: <nil>
}

func ExampleWithGPUs() {
	m, err := carbon.Start(carbon.WithGPUs(gpu.Open))
	if err != nil {
		log.Print(err) // not of GPUs: they are opened in the background, and Describe tells of them
	}
	fmt.Println(m.Shutdown(context.Background()))
	// Output: <nil>
}

func ExampleWithRootPath() {
	m, err := carbon.Start(carbon.WithRootPath("/host")) // in a container that mounts the host's proc and sys there
	fmt.Println(err)
	fmt.Println(m.Shutdown(context.Background()))
	// Output:
	// WithRootPath: "/host" has no folder proc: want where that of the host is mounted, such as /host
	// <nil>
}

func ExampleWithCPUWeights() {
	m, err := carbon.Start(carbon.WithCPUWeights())
	if err != nil {
		log.Print(err)
	}
	ctx, job := m.Task(context.Background(), "job")
	_, waits := m.Task(ctx, "waits")
	working := make(chan carbon.Report)
	go func() {
		_, works := m.Task(ctx, "works")
		for end, x := time.Now().Add(300*time.Millisecond), 1.0; time.Now().Before(end); {
			x += 1 / x
		}
		working <- works.End()
	}()
	worked, waited := <-working, waits.End()
	job.End()
	fmt.Println("who waits has less:", waited.Energy.Total() < worked.Energy.Total())
	fmt.Println(m.Shutdown(context.Background()))
	// Output:
	// who waits has less: true
	// <nil>
}

func ExampleMonitor_PauseCPUWeights() {
	m, err := carbon.Start(carbon.WithCPUWeights())
	if err != nil {
		log.Print(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/profile", func(w http.ResponseWriter, r *http.Request) {
		defer m.PauseCPUWeights()()
		pprof.Profile(w, r)
	})
	fmt.Println(m.Shutdown(context.Background()))
	// Output: <nil>
}

func ExampleMonitor_Attach() {
	m, err := carbon.Start(carbon.WithCPUWeights())
	if err != nil {
		log.Print(err)
	}
	jobs, results := make(chan context.Context), make(chan string)
	go func() { // a worker that is older than what it works for
		for ctx := range jobs {
			detach := m.Attach(ctx)
			results <- "worked"
			detach()
		}
	}()
	ctx, task := m.Task(context.Background(), "job")
	jobs <- ctx
	fmt.Println(<-results)
	close(jobs)
	task.End()
	fmt.Println(m.Shutdown(context.Background()))
	// Output:
	// worked
	// <nil>
}

func ExampleMonitor_Describe() {
	m, err := carbon.Start()
	if err != nil {
		log.Print(err)
	}
	fmt.Println(strings.Contains(m.Describe(), "cpu"))
	fmt.Println(m.Shutdown(context.Background()))
	// Output:
	// true
	// <nil>
}

func ExampleMonitor_Report() {
	r := plugged(carbon.WithZone("FR"))
	fmt.Printf("%.0f J, of which %.0f in no span or task; %.2f g (%.2f to %.2f) at %.2f g/kWh of %s by %s, %s\n",
		r.Energy.Total(), r.Unattributed, r.Emissions, r.Lower, r.Upper, r.Intensity, r.Zone, r.Source, r.Method)
	// Output: 360000 J, of which 360000 in no span or task; 4.15 g (2.67 to 5.62) at 41.45 g/kWh of FR by grids_csv, measured
}

func ExampleMonitor_Shutdown() {
	m, err := carbon.Start()
	if err != nil {
		log.Print(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	fmt.Println(m.Shutdown(ctx)) // after the providers of OpenTelemetry, whose last metrics and spans it gives
	// Output: <nil>
}

func ExampleEnergy_Total() {
	fmt.Println(carbon.Energy{CPU: 30, Memory: 2, GPU: 100}.Total(), "J")
	// Output: 132 J
}

func ExamplePrint() {
	m, err := carbon.Start()
	if err != nil {
		log.Print(err)
	}
	defer func() { _ = m.Shutdown(context.Background()) }()
	defer m.Measure("training", carbon.Print)() // a line on the standard error
	fmt.Println("training")
	// Output: training
}

func ExampleTask_End() {
	m, err := carbon.Start()
	if err != nil {
		log.Print(err)
	}
	_, task := m.Task(context.Background(), "job")
	r := task.End()
	fmt.Println(r.Name, r == task.End()) // ended once
	fmt.Println(m.Shutdown(context.Background()))
	// Output:
	// job true
	// <nil>
}

func ExampleTask_Report() {
	m, err := carbon.Start()
	if err != nil {
		log.Print(err)
	}
	_, task := m.Task(context.Background(), "job")
	fmt.Println(task.Report().Name, "goes on")
	task.End()
	fmt.Println(m.Shutdown(context.Background()))
	// Output:
	// job goes on
	// <nil>
}

func ExampleTask_Step() {
	m, err := carbon.Start()
	if err != nil {
		log.Print(err)
	}
	ctx, task := m.Task(context.Background(), "training")
	for range 3 {
		task.Step() // an epoch is over
	}
	f, err := task.Forecast(ctx, 100)
	fmt.Println(f.Steps, "of", f.Of, err)
	task.End()
	fmt.Println(m.Shutdown(context.Background()))
	// Output:
	// 3 of 100 <nil>
	// <nil>
}

func ExampleUnit_Add() {
	m, err := carbon.Start(carbon.WithEnergySource(new(plug)), carbon.WithZone("FR"), carbon.WithInterval(time.Minute))
	if err != nil {
		log.Print(err)
	}
	requests := m.Unit("request")
	requests.Add(1)
	requests.Add(99) // of a batch
	if err := m.Shutdown(context.Background()); err != nil {
		log.Print(err)
	}
	each, _ := requests.Grams()
	fmt.Printf("%.1f mg a request\n", 1000*each) // 4.145 g for 100
	// Output: 41.5 mg a request
}

func ExampleUnit_Grams() {
	m, err := carbon.Start()
	if err != nil {
		log.Print(err)
	}
	_, known := m.Unit("request").Grams()
	fmt.Println(known) // there was none yet
	fmt.Println(m.Shutdown(context.Background()))
	// Output:
	// false
	// <nil>
}
