package carbonprocessor

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configmiddleware"
	"go.opentelemetry.io/collector/extension/extensionmiddleware"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/intensity/chain"
	"github.com/otelcarbon/otelcarbon/intensity/providers"
	"github.com/otelcarbon/otelcarbon/intensity/static"
	"github.com/otelcarbon/otelcarbon/internal/names"
)

// live is what the pipelines of one configuration share about its live providers: their
// clients, what is counted of them, and how they are.
type live struct {
	set       component.TelemetrySettings
	counters  *counters
	requests  map[string]*[classes]metric.AddOption // by provider
	fetched   map[string]*fetched                   // by provider
	qualities [intensity.Assumed + 1]metric.AddOption
	status    *status

	// Of one run.
	providers []intensity.Provider
	clients   []*http.Client
}

// fetched is when the newest value was fetched with which energy was priced, in ns since
// 1970; 0 if none was.
type fetched struct {
	at     atomic.Int64
	source metric.ObserveOption
}

func newLive(cfg *Config, set component.TelemetrySettings, c *counters) *live {
	l := &live{
		set: set, counters: c, status: newStatus(set.Logger),
		requests: make(map[string]*[classes]metric.AddOption), fetched: make(map[string]*fetched),
	}
	for _, p := range cfg.Providers {
		if p.Live == nil {
			continue
		}
		options := new([classes]metric.AddOption)
		for i, outcome := range classNames() {
			options[i] = metric.WithAttributeSet(attribute.NewSet(attribute.String("provider", p.Name), attribute.String("outcome", outcome)))
		}
		l.requests[p.Name] = options
		l.fetched[p.Name] = &fetched{source: metric.WithAttributeSet(attribute.NewSet(attribute.String(names.AttrGridSource, p.Name)))}
	}
	for q := range l.qualities {
		l.qualities[q] = metric.WithAttributeSet(attribute.NewSet(attribute.String(names.AttrGridQuality, intensity.Quality(q).String())))
	}
	return l
}

// open makes the providers of the configuration, in order. It makes no request.
func (l *live) open(ctx context.Context, cfg *Config, host component.Host) ([]intensity.Provider, error) {
	want, err := cfg.want()
	if err != nil {
		return nil, err
	}
	l.providers, l.clients = nil, nil
	all := make([]intensity.Provider, 0, len(cfg.Providers)+1)
	for i := range cfg.Providers {
		c := &cfg.Providers[i]
		var client *http.Client
		if c.Live != nil {
			if client, err = c.Live.client(ctx, cfg.Offline, host, l.set); err != nil {
				return nil, fmt.Errorf("providers[%d]: %s: %w", i, c.Name, err)
			}
			l.clients = append(l.clients, client)
		}
		p, err := c.open(cfg, client)
		if err != nil {
			return nil, fmt.Errorf("providers[%d]: %w", i, err)
		}
		all = append(all, p)
		caps := p.Caps()
		if caps.Network {
			l.providers = append(l.providers, p)
		}
		if !caps.Offers(want) {
			l.set.Logger.Warn("a provider is never used, because it has no values of the basis that is wanted: change signal or boundary, or remove it",
				zap.String("provider", caps.ID), zap.Stringer("wanted", want), zap.Stringers("values", caps.Bases))
		}
	}
	return all, nil
}

// open makes one provider, whose requests go through a client.
func (p *ProviderConfig) open(cfg *Config, client *http.Client) (intensity.Provider, error) {
	if s := p.Static; s != nil {
		// What an operator knows of a grid is an average, and never stands in for a marginal value.
		return static.New(static.Options{GramsPerKWh: *s.GramsPerKWh, Half: s.HalfWidth, Basis: intensity.Basis{Signal: intensity.Average}})
	}
	o, err := p.options(cfg)
	if err != nil {
		return nil, err
	}
	o.HTTP = client
	return providers.New(p.Name, o)
}

// close is for when nobody makes requests any more.
func (l *live) close() {
	for _, c := range l.clients {
		c.CloseIdleConnections()
	}
	l.providers, l.clients = nil, nil
}

// transport is that of a client of ours.
type transport struct {
	http.RoundTripper

	base    *http.Transport
	secrets func() []string // hidden from package fmt
}

// Secrets are those that requests get on their way, for errors to be without them.
func (t *transport) Secrets() []string { return t.secrets() }

// CloseIdleConnections is what the wrappers around the base do not pass on.
func (t *transport) CloseIdleConnections() { t.base.CloseIdleConnections() }

// maxHeader bounds the header of an answer; Go's own bound is 10 MiB.
const maxHeader = 64 << 10

// client makes the client of a provider, as the keys beside its own have it.
func (l *LiveConfig) client(ctx context.Context, offline bool, host component.Host, set component.TelemetrySettings) (*http.Client, error) {
	if offline {
		return &http.Client{Transport: nowhere{}}, nil
	}
	t := &transport{secrets: l.headers}
	// The base lies inside of wrappers that cannot be taken off again, so that it is looked
	// at while it is wrapped.
	id := component.MustNewIDWithName("carbon", "connections")
	extensions := maps.Clone(host.GetExtensions())
	if extensions == nil {
		extensions = make(map[component.ID]component.Component, 1)
	}
	extensions[id] = &innermost{
		GetHTTPRoundTripperFunc: func(context.Context) (extensionmiddleware.WrapHTTPRoundTripperFunc, error) {
			return func(_ context.Context, base http.RoundTripper) (http.RoundTripper, error) {
				t.base, _ = base.(*http.Transport)
				return base, nil
			}, nil
		},
	}
	config := l.ClientConfig
	config.Middlewares = append(slices.Clone(config.Middlewares), configmiddleware.Config{ID: id})
	c, err := config.ToClient(ctx, extensions, set)
	if err != nil {
		return nil, err
	}
	if t.base == nil {
		return nil, errors.New("the HTTP client has no transport that can be closed")
	}
	t.base.MaxResponseHeaderBytes = maxHeader
	t.RoundTripper, c.Transport = c.Transport, t
	return c, nil
}

// headers are the values of the configured ones, but for words too short to be secret.
func (l *LiveConfig) headers() (values []string) {
	const enough = 6
	for _, v := range l.Headers.Iter {
		if len(v) >= enough {
			values = append(values, string(v))
		}
	}
	return values
}

// innermost is an extension that ToClient asks to wrap its transport before all others.
type innermost struct {
	component.StartFunc
	component.ShutdownFunc
	extensionmiddleware.GetHTTPRoundTripperFunc
}

// nowhere makes no request.
type nowhere struct{}

func (nowhere) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("offline: no request is made")
}

// hooks are called from the background of the chain.
func (l *live) hooks() chain.Hooks {
	return chain.Hooks{
		Request: func(provider, zone string, _ time.Duration, err error) {
			c := classOf(err)
			if options := l.requests[provider]; options != nil {
				l.counters.ProcessorCarbonProviderRequests.Add(context.Background(), 1, options[c])
			}
			l.status.request(provider, zone, c, err, time.Now())
		},
		Trouble: l.status.trouble,
	}
}

// usage is with what the energy of a batch was priced.
type usage struct {
	flags intensity.Flags // of all slots
	grams [intensity.Assumed + 1]float64
}

func (u *usage) add(p *part) {
	u.flags |= p.tariff.slot.Flags
	if q := p.tariff.slot.Quality; q <= intensity.Assumed {
		u.grams[q] += p.sum.Grams
	}
}

// report passes on what a batch was priced with.
func (l *live) report(ctx context.Context, u *usage, gauges []*gauge) {
	for q, grams := range u.grams {
		if grams > 0 {
			l.counters.ProcessorCarbonEmissionsPriced.Add(ctx, grams, l.qualities[q])
		}
	}
	for _, g := range gauges {
		l.used(g.slot)
	}
	l.settle(u.flags, gauges)
}

// used notes how old a value is with which energy was priced.
func (l *live) used(s *intensity.Slot) {
	if len(l.fetched) == 0 {
		return
	}
	if f := l.fetched[s.Origin.Provider]; f != nil && !s.Origin.FetchedAt.IsZero() {
		f.raise(s.Origin.FetchedAt.UnixNano())
	}
}

// settle tells the status with what a batch was priced.
func (l *live) settle(flags intensity.Flags, gauges []*gauge) {
	if len(l.fetched) > 0 {
		l.status.settle(flags&(intensity.FellBack|intensity.Stale) != 0, gauges, time.Now())
	}
}

func (f *fetched) raise(at int64) {
	for {
		old := f.at.Load()
		if at <= old || f.at.CompareAndSwap(old, at) {
			return
		}
	}
}

func (l *live) observeAges(_ context.Context, o metric.Float64Observer) error {
	now := time.Now().UnixNano()
	for _, f := range l.fetched {
		if at := f.at.Load(); at != 0 {
			o.Observe(float64(max(now-at, 0))/1e9, f.source)
		}
	}
	return nil
}
