package powerreceiver

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/receiverhelper"
	scrapers "go.opentelemetry.io/collector/scraper"
	"go.opentelemetry.io/collector/scraper/scraperhelper"

	"github.com/otelcarbon/otelcarbon/internal/host"
	"github.com/otelcarbon/otelcarbon/internal/ledger"
	"github.com/otelcarbon/otelcarbon/receiver/powerreceiver/internal/metadata"
)

// minPatience is the least time for which the host's sum waits for a part that
// cannot be read.
const minPatience = 30 * time.Second

// powerReceiver is a scraperhelper controller with two additions: it can be shut
// down twice, and it reports the interval that was under way when it is.
type powerReceiver struct {
	receiver.Metrics // the controller

	cfg     *Config
	set     receiver.Settings
	next    consumer.Metrics
	obs     *receiverhelper.ObsReport
	scraper *scraper // set by Start
	tel     *selfTelemetry

	started  bool
	shutdown sync.Once
	err      error // of shutdown
}

func newReceiver(set receiver.Settings, cfg *Config, next consumer.Metrics) (*powerReceiver, error) {
	obs, err := receiverhelper.NewObsReport(receiverhelper.ObsReportSettings{ReceiverID: set.ID, ReceiverCreateSettings: set})
	if err != nil {
		return nil, err
	}
	r := &powerReceiver{cfg: cfg, set: set, next: next, obs: obs}
	sc, err := scrapers.NewMetrics(func(ctx context.Context) (pmetric.Metrics, error) { return r.scraper.scrape(ctx) })
	if err != nil {
		return nil, err
	}
	r.Metrics, err = scraperhelper.NewMetricsController(&cfg.ControllerConfig, set, notEmpty{next}, scraperhelper.AddMetricsScraper(metadata.Type, sc))
	return r, err
}

// notEmpty passes on what holds any points. The controller also hands on the result
// of a collection that found nothing new.
type notEmpty struct{ consumer.Metrics }

// ConsumeMetrics implements consumer.Metrics.
func (n notEmpty) ConsumeMetrics(ctx context.Context, md pmetric.Metrics) error {
	if md.DataPointCount() == 0 {
		return nil
	}
	return n.Metrics.ConsumeMetrics(ctx, md)
}

// Start opens the sensors, takes the baseline of every counter and begins to
// sample and to collect.
func (r *powerReceiver) Start(ctx context.Context, h component.Host) error {
	facts, err := host.Read(ctx, r.cfg.RootPath)
	if err != nil {
		r.set.Logger.Warn("facts about the host are incomplete: " + err.Error())
	}
	tel, err := newSelfTelemetry(r.set.TelemetrySettings)
	if err != nil {
		return err
	}
	r.tel = tel
	rb := metadata.NewResourceBuilder(r.cfg.ResourceAttributes)
	if facts.HostID != "" {
		rb.SetHostID(facts.HostID)
	}
	if facts.HostName != "" {
		rb.SetHostName(facts.HostName)
	}
	redfish, err := r.cfg.Sensors.BMC.client(ctx, h, r.set.TelemetrySettings)
	if err != nil {
		tel.shutdown()
		return err
	}
	books := ledger.New(ledger.Config{
		MaxGap: 3 * r.cfg.SamplingInterval, Psys: psysTrust(r.cfg.Sensors.RAPL.Psys), Calibration: r.cfg.Calibration.translate(),
		Idle: idlePolicies[r.cfg.Workloads.IdlePolicy], Retention: max(r.cfg.Workloads.Retention, 3*r.cfg.CollectionInterval),
	})
	smp := newSampler(r.cfg.SamplingInterval, books, r.set.Logger, tel)
	smp.idle = newIdleFloors(r.cfg.IdleWatts, host.NewCPUMeter(r.cfg.RootPath).Times)
	smp.sources = r.cfg.sources(facts, smp.isMeasured, redfish) //nolint:contextcheck // a sensor lives longer than Start
	smp.openWorkloads(r.cfg)
	if err = smp.start(ctx); err != nil {
		tel.shutdown()
		return err
	}
	if err = tel.observe(smp); err != nil {
		tel.shutdown()
		return errors.Join(err, smp.stop(ctx))
	}
	described := rb.Emit()
	r.scraper = &scraper{
		sampler:  smp,
		mb:       metadata.NewMetricsBuilder(r.cfg.MetricsBuilderConfig, r.set, metadata.WithStartTime(pcommon.NewTimestampFromTime(time.Now()))),
		resource: described,
		streams:  make(map[string]*stream),

		workloads: newWorkloads(r.cfg.ResourceAttributes, described),

		age:      min(r.cfg.SamplingInterval, r.cfg.CollectionInterval) / 2,
		shortest: min(r.cfg.SamplingInterval, r.cfg.CollectionInterval) / 2,
		patience: max(3*r.cfg.CollectionInterval, minPatience),
	}
	if err = r.Metrics.Start(ctx, h); err != nil {
		tel.shutdown()
		return errors.Join(err, smp.stop(ctx))
	}
	r.started = true
	return nil
}

// Shutdown stops collecting, reports what was drawn since the last collection,
// and closes the sensors. It may be called twice, and without Start.
func (r *powerReceiver) Shutdown(ctx context.Context) error {
	r.shutdown.Do(func() {
		if !r.started {
			return
		}
		r.err = errors.Join(r.Metrics.Shutdown(ctx), r.flush(ctx), r.scraper.sampler.stop(ctx))
		r.tel.shutdown()
	})
	return r.err
}

// flush reports the last, partial interval, so that a stop loses no energy.
func (r *powerReceiver) flush(ctx context.Context) error {
	r.scraper.sampler.sampleLast(ctx)
	r.scraper.final = true
	metrics, _ := r.scraper.scrape(ctx) // a failed sensor is no reason to keep the others' energy back
	points := metrics.DataPointCount()
	if points == 0 {
		return nil
	}
	ctx = r.obs.StartMetricsOp(ctx)
	err := r.next.ConsumeMetrics(ctx, metrics)
	r.obs.EndMetricsOp(ctx, metadata.Type.String(), points, err)
	return err
}

func psysTrust(word string) ledger.Trust {
	switch word {
	case "envelope":
		return ledger.TrustAlways
	case "ignore":
		return ledger.TrustNever
	default:
		return ledger.TrustAuto
	}
}
