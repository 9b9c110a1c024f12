package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Kepler v0.11 on a machine of two cores at an interval of 1 s, with a powercap tree as
// sysfs: CPU in % of a core and resident memory in MB, for the same kinds of loads.
var kepler = map[int]struct{ cpu, memory float64 }{200: {1.25, 70}, 2000: {7.95, 70}}

func main() {
	if len(os.Args) == 3 && os.Args[1] == "work" {
		work(os.Args[2])
	}
	var (
		collector = flag.String("collector", "_build/otelcol-carbon", "the collector to measure")
		sizes     = flag.String("processes", "200,2000,10000", "how many processes there are, from few to many")
		running   = flag.Int("running", 20, "how many of them run; together they use 0.4 of a CPU")
		seconds   = flag.Int("seconds", 20, "for how long each is measured")
		levels    = flag.String("levels", "none,containers,processes", "what energy is divided among")
	)
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *collector, *sizes, strings.Split(*levels, ","), *running, time.Duration(*seconds)*time.Second); err != nil {
		fmt.Fprintln(os.Stderr, "overhead:", err)
		os.Exit(1) //nolint:gocritic // the signals end with the process
	}
}

func run(ctx context.Context, collector, sizes string, levels []string, running int, d time.Duration) (err error) {
	m, err := newMachine(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.close()) }()
	fmt.Println(m.where)
	fmt.Printf("%9s  %7s  %-10s  %8s  %7s  %-18s  %s\n", "processes", "running", "level", "CPU", "RSS", "Kepler (CPU, RSS)", "floor: reading each /proc/PID/stat once a second")
	for size := range strings.SplitSeq(sizes, ",") {
		n, err := strconv.Atoi(size)
		if err != nil || n < running {
			return fmt.Errorf("-processes: %q is not a number of at least %d", size, running)
		}
		if err := m.grow(ctx, n, running); err != nil {
			return err
		}
		opened, kept, err := m.floor()
		if err != nil {
			return err
		}
		for _, level := range levels {
			cpu, memory, err := m.measure(ctx, collector, level, d)
			if err != nil {
				return err
			}
			theirs := "-"
			if k, ok := kepler[n]; ok {
				theirs = fmt.Sprintf("%.2f %%, %.0f MB", k.cpu, k.memory)
			}
			share := func(each time.Duration) float64 { return 100 * each.Seconds() * float64(n) }
			fmt.Printf("%9d  %7d  %-10s  %6.2f %%  %4.0f MB  %-18s  %.2f %% opened each time (%v), %.2f %% kept open (%v)\n",
				n, running, level, cpu, memory, theirs, share(opened), opened.Round(100*time.Nanosecond), share(kept), kept.Round(100*time.Nanosecond))
		}
	}
	return nil
}

// work is what a process that runs does: for a time it is busy, ten times a second.
func work(busy string) {
	d, err := time.ParseDuration(busy)
	if err != nil {
		os.Exit(2)
	}
	for {
		end, sum := time.Now().Add(d), 0
		for i := 0; time.Now().Before(end); i++ {
			sum += i
		}
		runtime.KeepAlive(sum)
		time.Sleep(100*time.Millisecond - d)
	}
}
