// Command overhead measures what it costs to divide energy among workloads: CPU time
// and memory of a built otelcol-carbon beside hundreds to thousands of processes, of
// which a few run. In the same run it measures the floor, which is what reading one
// /proc/PID/stat costs here, and prints Kepler's figures beside.
//
// It makes the processes, and the cgroups that look like containers where it may, and
// removes them at its end. It needs Linux; root only for the cgroups.
package main
