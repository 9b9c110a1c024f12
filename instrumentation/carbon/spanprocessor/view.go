package spanprocessor

import (
	"slices"
	"strings"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/otelcarbon/otelcarbon/instrumentation/carbon/internal/span"
	"github.com/otelcarbon/otelcarbon/internal/names"
)

// A view is an ended span with more attributes. They are made when an exporter asks,
// not while the application waits for its span to end; several exporters may ask at once.
type view struct {
	sdktrace.ReadOnlySpan

	p      *processor
	result span.Result
	use    atomic.Pointer[span.Use] // once somebody asked
}

// Told passes the span on that was waiting.
func (v *view) Told(r span.Result, known bool) {
	if !known {
		v.p.next.OnEnd(v.ReadOnlySpan)
		return
	}
	v.result = r
	v.p.next.OnEnd(v)
}

// used says the same to all who ask: what the grid was may be known better later.
func (v *view) used() *span.Use {
	if u := v.use.Load(); u != nil {
		return u
	}
	u := v.p.monitor.Price(&v.result)
	v.use.CompareAndSwap(nil, &u)
	return v.use.Load()
}

// Attributes returns those of the span, which it leaves alone, and ours.
func (v *view) Attributes() []attribute.KeyValue {
	own := v.ReadOnlySpan.Attributes()
	if !adds(own) {
		return own
	}
	out := append(make([]attribute.KeyValue, 0, len(own)+span.Attributes), own...)
	out = v.append(out, own)
	if v.p.limit >= 0 && len(out) > v.p.limit {
		out = out[:max(v.p.limit, len(own))]
	}
	return slices.Clip(out)
}

// DroppedAttributes counts ours that found no room, too.
func (v *view) DroppedAttributes() int {
	dropped := v.ReadOnlySpan.DroppedAttributes()
	own := v.ReadOnlySpan.Attributes()
	if v.p.limit < 0 || !adds(own) {
		return dropped
	}
	var buf [span.Attributes]attribute.KeyValue
	ours := len(v.append(buf[:0], own))
	return dropped + min(ours, max(0, len(own)+ours-v.p.limit))
}

// adds reports whether there is anything to add to own.
func adds(own []attribute.KeyValue) bool {
	return !slices.ContainsFunc(own, func(a attribute.KeyValue) bool {
		switch a.Key {
		case names.AttrEnergy, names.AttrMethod, names.AttrUncertainty, names.AttrCoverage, names.AttrAttribution:
			return true
		}
		return false
	})
}

func (v *view) append(to, own []attribute.KeyValue) []attribute.KeyValue {
	use := *v.used()
	use.Priced = use.Priced && !slices.ContainsFunc(own, func(a attribute.KeyValue) bool {
		return a.Key == names.AttrEmissions || strings.HasPrefix(string(a.Key), "carbon.grid.")
	})
	return use.Append(to)
}
