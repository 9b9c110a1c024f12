// Package carbon measures what a program itself uses: the energy of its process and the
// emissions of that energy, on its spans, metrics and in reports.
//
//	m, err := carbon.Start(carbon.WithZone("FR"))
//	if err != nil { log.Print(err) }
//	defer m.Shutdown(context.Background())
//
// That is all in a program that has OpenTelemetry: carbon.energy and carbon.emissions
// are counters of the global meter provider from then on. A program without reads
// Monitor.Report, or measures parts of itself:
//
//	defer m.Measure("training", carbon.Print)()
//
// # Energy
//
// It comes from the sensors that the process may read, as the receiver "power" of the
// Collector reads them, times the share of the process in the CPU time of the machine;
// else from its CPU time and a model. The idle energy of the machine is nobody's, unless
// WithIdle says otherwise. What was measured how is on every output.
//
// # Spans and tasks
//
// A virtual clock divides the energy of the process evenly among the spans and tasks
// that are active leaves at that moment, those without an active child. The energy of a
// span is its own: over a trace it can be added up. Package spanprocessor puts it on all
// spans of a program, without a change of its code; Monitor.Handler and Monitor.Span on
// those that they wrap, before the span ends, with any SDK. With WithCPUWeights they share
// by the CPU time that they burn.
//
// # Emissions
//
// They are energy times the carbon intensity of the grid at the time at which it was
// drawn, from the embedded tables unless WithIntensity has a live source. No key and no
// network is needed.
//
// A Monitor never panics into, stops or slows its program. All of its methods work on a
// nil *Monitor, and do nothing.
package carbon
