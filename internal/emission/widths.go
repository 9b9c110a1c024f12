package emission

import (
	"fmt"
	"math"
)

// Width is how far the power readings of a method are believed to lie from the
// truth, which is what the machine draws.
type Width struct {
	Method string  // value of carbon.method; "" for all that no other row names
	Sensor string  // value of carbon.sensor; "" for every sensor of the method
	Half   float64 // relative half-width: 0.07 is ± 7 %
	Source string  // where the figure comes from
}

// Widths is the table of half-widths of power. Its methods are safe for concurrent
// use as long as nobody changes it. An empty one makes every power exact.
type Widths []Width

// DefaultWidths returns the table in use unless a configuration says otherwise.
func DefaultWidths() Widths {
	return Widths{
		{Method: "measured", Half: 0.07, Source: "arXiv 2509.22092: mean absolute error of the hold-out runs after calibration against a wall meter is 6.7 %, " +
			"recomputed over the 159 runs of raphischer/ai-energy-validation d71d339"},
		{Method: "integrated", Half: 0.35, Source: "arXiv 2312.02741 (SC24): gauges of A100 and H100 see 25 % of the run time; " +
			"good practice cuts the error by 35 % on average"},
		{Method: "modelled", Half: 0.60, Source: "106 RAPL samples of five machines shipped with CodeCarbon 3.3.0 (cpu_load_profiling): " +
			"models from TDP are off by 35 to 60 %"},
		{Half: 0.60, Source: "no better than a model until proven"},
	}
}

// Power returns the half-width for a method and a sensor, both as in the
// attributes carbon.method and carbon.sensor; "" where a point has none. The row
// that names both answers before the one that names the method, and that before
// the one for all others. It allocates nothing.
func (ws Widths) Power(method, sensor string) float64 {
	half, rank := 0.0, 0
	for i := range ws {
		w := &ws[i]
		var r int
		switch {
		case w.Method == method && w.Sensor == sensor:
			r = 3
		case w.Method == method && w.Sensor == "":
			r = 2
		case w.Method == "" && w.Sensor == "":
			r = 1
		}
		if r > rank {
			half, rank = w.Half, r
		}
	}
	return half
}

// With returns a copy of the table in which row replaces the one for the same
// method and sensor, or is added.
func (ws Widths) With(row Width) Widths {
	out := append(Widths{}, ws...)
	for i := range out {
		if out[i].Method == row.Method && out[i].Sensor == row.Sensor {
			out[i] = row
			return out
		}
	}
	return append(out, row)
}

// Check returns an error that names the first row whose half-width is not a number
// of 0 or more.
func (ws Widths) Check() error {
	for _, w := range ws {
		if !(w.Half >= 0) || math.IsInf(w.Half, 0) {
			return fmt.Errorf("half-width of method %q, sensor %q is %v: want a number of 0 or more, such as 0.35 for ± 35 %%", w.Method, w.Sensor, w.Half)
		}
	}
	return nil
}
