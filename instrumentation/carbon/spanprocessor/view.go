package spanprocessor

import (
	"slices"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/otelcarbon/otelcarbon/instrumentation/carbon/internal/span"
	"github.com/otelcarbon/otelcarbon/internal/names"
)

// A view is an ended span with more attributes. They are made when an exporter asks,
// not while the application waits for its span to end; several exporters may ask at once.
type view struct {
	sdktrace.ReadOnlySpan

	limit int
	use   span.Use
}

// Attributes returns those of the span, which it leaves alone, and ours.
func (v *view) Attributes() []attribute.KeyValue {
	own := v.ReadOnlySpan.Attributes()
	if !adds(own) {
		return own
	}
	out := append(make([]attribute.KeyValue, 0, len(own)+span.Attributes), own...)
	out = v.append(out, own)
	if v.limit >= 0 && len(out) > v.limit {
		out = out[:max(v.limit, len(own))]
	}
	return slices.Clip(out)
}

// DroppedAttributes counts ours that found no room, too.
func (v *view) DroppedAttributes() int {
	dropped := v.ReadOnlySpan.DroppedAttributes()
	own := v.ReadOnlySpan.Attributes()
	if v.limit < 0 || !adds(own) {
		return dropped
	}
	var buf [span.Attributes]attribute.KeyValue
	ours := len(v.append(buf[:0], own))
	return dropped + min(ours, max(0, len(own)+ours-v.limit))
}

// adds reports whether there is anything to add to own.
func adds(own []attribute.KeyValue) bool {
	return !slices.ContainsFunc(own, func(a attribute.KeyValue) bool {
		return a.Key == names.AttrEnergy || a.Key == names.AttrMethod || a.Key == names.AttrUncertainty
	})
}

func (v *view) append(to, own []attribute.KeyValue) []attribute.KeyValue {
	use := v.use
	use.Priced = use.Priced && !slices.ContainsFunc(own, func(a attribute.KeyValue) bool {
		return a.Key == names.AttrEmissions || strings.HasPrefix(string(a.Key), "carbon.grid.")
	})
	return use.Append(to)
}
