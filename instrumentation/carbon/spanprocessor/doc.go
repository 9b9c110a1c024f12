// Package spanprocessor puts energy and emissions on the spans of an application,
// without a change to the code that makes them.
//
// Wrap what exports:
//
//	monitor, err := carbon.Start()
//	…
//	provider := trace.NewTracerProvider(trace.WithSpanProcessor(
//		spanprocessor.New(trace.NewBatchSpanProcessor(exporter), monitor)))
//
// Only the wrapped processor sees the attributes: wrap each one that exports.
//
//	carbon.energy          J, of the span itself, its children's not included
//	carbon.method          measured, integrated or modelled
//	carbon.emissions       g
//	carbon.grid.intensity  g/(kW.h)
//	carbon.grid.zone
//	carbon.grid.source
//	carbon.uncertainty     half-width of the range of the emissions, relative
//	carbon.coverage        interpolated or partial: some of it was not read
//	carbon.attribution     cpu: it goes by CPU time (carbon.WithCPUWeights)
//
// Those of emissions and grid and the uncertainty are there if somebody knows the grid; else
// the carbon processor of a Collector can complete the span. Where nothing is known of a span, such as before
// the first reading, it has none of them. The span itself stays as it is: what is passed on is a
// view of it.
//
// # What the application sets itself wins
//
// Numbers that belong together stay together. Has the span carbon.energy,
// carbon.method, carbon.uncertainty, carbon.coverage or carbon.attribution already, nothing is added; has it
// carbon.emissions or anything of carbon.grid, only energy and method are. Where the span has
// as many attributes as it may, further ones are dropped and counted, the first in
// the list above last.
//
// # Which spans share
//
// At each moment the energy of the process is divided among the spans that are in
// progress and have no child in progress. A child in the same process counts,
// also if it was called over the network. The energy of a span is final when it ends, which is
// nearly always between two readings: that part of it is at the power of the last readings,
// and carbon.coverage says so. By how much the last readings were off what those before them
// let expect is in carbon.uncertainty.
//
// Spans that a sampler drops are never seen here and cost nothing, but neither do they
// take their share: one sampled request among a hundred at the same time is given
// the energy of all of them, while it runs. Two ways out: a sampler that returns RecordOnly in
// place of Drop, so that those spans are measured and not exported; or measuring with
// the Monitor what always runs, whether it is sampled or not.
//
// With carbon.WithCPUWeights, spans are passed on up to a second after their end, in the
// order of their ends.
//
// A span that never ends takes its share for ever, or until so many others have
// begun that the table of spans is full and the oldest one makes room; it then gets
// no attributes.
package spanprocessor
