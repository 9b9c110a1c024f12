// Package cputime tells which work in a process burns its CPU time, by the samples of the
// runtime's CPU profiler: 100 in each CPU-second, each with the labels of the goroutine that
// it met.
//
// A program has one profiler. [Profiler] holds it for as long as its owner wants samples
// and does not insist on it: whoever else profiles has it, and Start says so.
//
// One sample is 10 ms of CPU time. So what is met by few of them is hardly known, and
// [Divide] has works of the same kind vouch for each other: see there.
package cputime
