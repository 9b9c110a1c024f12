package bmc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	maxPages    = 8
	maxMembers  = 64
	relistAfter = 30 * time.Second // supplies are pulled and put in while it runs
	chooseAfter = time.Hour        // what a booting controller did not offer comes back
)

// What was measured, as it is called in hw.name.
const (
	nameInputAC     = "chassis input power (AC)"
	nameInputDC     = "chassis input power (DC feed)"
	nameInput       = "chassis input power"
	nameEnvironment = "chassis power (AC or DC side not stated)"
	nameOutput      = "chassis output power of the power supplies (DC)"
	nameLegacy      = "chassis consumed power (AC or DC side not stated)"
)

// redfish is the source that asks a Redfish service.
type redfish struct {
	*wire
	want   string
	maxAge time.Duration

	chassis *chassisDoc // nil: not found yet
	method  method      // nil: not chosen yet
	chosen  time.Time
	good    time.Time // of the last answer

	supplies []supply // those present
	listed   time.Time
}

type supply struct {
	id, kind, metrics string
}

// method is one place in which a service tells power.
type method func(r *redfish, ctx context.Context) (sample, error)

// methods are in the order of preference.
func methods() []method {
	return []method{(*redfish).input, (*redfish).environment, (*redfish).output, (*redfish).legacy}
}

func newRedfish(c Redfish, maxAge time.Duration) (source, error) {
	w, err := newWire(c)
	if err != nil {
		return nil, err
	}
	return &redfish{wire: w, want: c.Chassis, maxAge: maxAge}, nil
}

func (r *redfish) where() string { return r.base.String() }

// sample asks in the way that worked before. If that has stopped to work for
// longer than maxAge, the service is looked at anew.
func (r *redfish) sample(ctx context.Context) (sample, error) {
	r.fresh = false
	s, err := r.measure(ctx)
	switch {
	case err == nil:
		r.good = s.at
	case r.method == nil && !leadsOn(err): // later
	case r.method == nil, time.Since(r.good) > r.maxAge:
		r.chassis, r.method, r.supplies = nil, nil, nil
	}
	return s, err
}

func (r *redfish) measure(ctx context.Context) (sample, error) {
	if r.chassis == nil {
		c, err := r.find(ctx)
		if err != nil {
			return sample{}, err
		}
		r.chassis = c
	}
	if r.method != nil && time.Since(r.chosen) < chooseAfter {
		return r.method(r, ctx)
	}
	r.chosen = time.Now() // if this fails, the method of before goes on
	var errs error
	for _, m := range methods() {
		s, err := m(r, ctx)
		if err == nil {
			r.method = m
			return s, nil
		}
		if !leadsOn(err) {
			return sample{}, err
		}
		errs = also(errs, err)
	}
	return sample{}, errs
}

// leadsOn says whether another way may work where this one did not. What is slow
// or refused now is no reason to take a worse reading for good.
func leadsOn(err error) bool {
	return errors.Is(err, errMissing) || errors.Is(err, errMalformed) || errors.Is(err, errAmbiguous) || errors.Is(err, errServer)
}

// find walks from the service root to the chassis.
func (r *redfish) find(ctx context.Context) (*chassisDoc, error) {
	var root rootDoc
	if _, err := r.get(ctx, rootLink, &root); err != nil {
		return nil, err
	}
	if r.session == nil {
		r.sessions = root.Links.Sessions.ID
	}
	if root.Chassis.ID == "" {
		return nil, fmt.Errorf("%s names no chassis: it is no Redfish service: %w", rootLink, errMalformed)
	}
	all, err := members[chassisDoc](ctx, r, root.Chassis.ID)
	if err != nil {
		return nil, err
	}
	var systems []systemDoc
	if root.Systems.ID != "" { // an enclosure manager has none
		if systems, err = members[systemDoc](ctx, r, root.Systems.ID); err != nil && !leadsOn(err) {
			return nil, err
		}
	}
	return choose(r.want, all, systems)
}

// members reads a collection and its members. One that cannot be read is left out,
// unless all are.
func members[T any](ctx context.Context, r *redfish, id string) ([]T, error) {
	links, err := r.list(ctx, id)
	if err != nil {
		return nil, err
	}
	var (
		found []T
		errs  error
	)
	for _, l := range links {
		var doc T
		if _, err := r.get(ctx, l.ID, &doc); err != nil {
			if !leadsOn(err) {
				return nil, err
			}
			errs = also(errs, err)
			continue
		}
		found = append(found, doc)
	}
	if len(found) == 0 {
		return nil, errs
	}
	return found, nil
}

func (r *redfish) list(ctx context.Context, id string) ([]link, error) {
	var links []link
	for range maxPages {
		var page collectionDoc
		if _, err := r.get(ctx, id, &page); err != nil {
			return nil, err
		}
		links = append(links, page.Members...)
		if len(links) > maxMembers {
			return nil, fmt.Errorf("%s has more than %d members: %w", short(id), maxMembers, errMalformed)
		}
		if page.Next == "" {
			return links, nil
		}
		id = page.Next
	}
	return nil, fmt.Errorf("%s has more than %d pages: %w", short(id), maxPages, errMalformed)
}

func (r *redfish) input(ctx context.Context) (sample, error) {
	return r.sum(ctx, "InputPowerWatts", func(d *metricsDoc) number { return d.InputPowerWatts.Reading }, r.inputName)
}

func (r *redfish) output(ctx context.Context) (sample, error) {
	return r.sum(ctx, "OutputPowerWatts", func(d *metricsDoc) number { return d.OutputPowerWatts.Reading },
		func() string { return nameOutput })
}

func (r *redfish) inputName() string {
	ac, dc := 0, 0
	for _, s := range r.supplies {
		switch s.kind {
		case "AC":
			ac++
		case "DC", "DCregulated":
			dc++
		}
	}
	switch len(r.supplies) {
	case ac:
		return nameInputAC
	case dc:
		return nameInputDC
	}
	return nameInput
}

// sum adds a reading over the supplies that are present. If one has none, a list
// that is not new is made anew: it may have been pulled.
func (r *redfish) sum(ctx context.Context, property string, of func(*metricsDoc) number, name func() string) (sample, error) {
	relisted := false
	if r.supplies == nil || time.Since(r.listed) >= relistAfter {
		if err := r.relist(ctx); err != nil {
			return sample{}, err
		}
		relisted = true
	}
	watts, stamp, err := r.add(ctx, property, of)
	if err != nil && leadsOn(err) && !relisted && r.method != nil {
		if err := r.relist(ctx); err != nil {
			return sample{}, err
		}
		watts, stamp, err = r.add(ctx, property, of)
	}
	if err != nil {
		return sample{}, err
	}
	return newSample(watts, name(), stamp)
}

func (r *redfish) add(ctx context.Context, property string, of func(*metricsDoc) number) (watts float64, stamp string, err error) {
	dates := make([]string, 0, len(r.supplies))
	for _, s := range r.supplies {
		if s.metrics == "" {
			return 0, "", notOffered(fmt.Sprintf("metrics of power supply %q", short(s.id)))
		}
		var d metricsDoc
		date, err := r.get(ctx, s.metrics, &d)
		if err != nil {
			return 0, "", err
		}
		v := of(&d)
		if !v.ok {
			return 0, "", notOffered(fmt.Sprintf("%s of power supply %q", property, short(s.id)))
		}
		if v.value < 0 { // a spare one may show 0
			return 0, "", fmt.Errorf("%s of power supply %q is %g W: %w", property, short(s.id), v.value, errMalformed)
		}
		watts += v.value
		dates = append(dates, date)
	}
	return watts, joinDates(dates), nil
}

// joinDates gives no stamp where one answer has none.
func joinDates(dates []string) string {
	if slices.Contains(dates, "") {
		return ""
	}
	return strings.Join(dates, "|")
}

func (r *redfish) relist(ctx context.Context) error {
	if r.chassis.PowerSubsystem.ID == "" {
		return notOffered("PowerSubsystem")
	}
	var sub subsystemDoc
	if _, err := r.get(ctx, r.chassis.PowerSubsystem.ID, &sub); err != nil {
		return err
	}
	if sub.PowerSupplies.ID == "" {
		return notOffered("PowerSupplies")
	}
	links, err := r.list(ctx, sub.PowerSupplies.ID)
	if err != nil {
		return err
	}
	present := []supply{}
	for _, l := range links {
		var d supplyDoc
		if _, err := r.get(ctx, l.ID, &d); err != nil {
			return err
		}
		if d.Status.State != "Absent" {
			present = append(present, supply{d.ID, d.PowerSupplyType, d.Metrics.ID})
		}
	}
	if len(present) == 0 {
		return notOffered("a power supply that is present")
	}
	r.supplies, r.listed = present, time.Now()
	return nil
}

func (r *redfish) environment(ctx context.Context) (sample, error) {
	if r.chassis.EnvironmentMetrics.ID == "" {
		return sample{}, notOffered("EnvironmentMetrics")
	}
	var d metricsDoc
	date, err := r.get(ctx, r.chassis.EnvironmentMetrics.ID, &d)
	if err != nil {
		return sample{}, err
	}
	if !d.PowerWatts.Reading.ok {
		return sample{}, notOffered("PowerWatts in EnvironmentMetrics")
	}
	if e := d.EnergykWh.Reading; e.ok && date != "" {
		date += fmt.Sprintf("|%g", e.value) // an energy that grows is no repetition
	}
	return newSample(d.PowerWatts.Reading.value, nameEnvironment, date)
}

func (r *redfish) legacy(ctx context.Context) (sample, error) {
	if r.chassis.Power.ID == "" {
		return sample{}, notOffered("Power")
	}
	var d powerDoc
	date, err := r.get(ctx, r.chassis.Power.ID, &d)
	if err != nil {
		return sample{}, err
	}
	v, err := d.whole(r.chassis)
	if err != nil {
		return sample{}, err
	}
	if !v.ok {
		return sample{}, notOffered("PowerConsumedWatts in PowerControl")
	}
	return newSample(v.value, nameLegacy, date)
}

func newSample(watts float64, name, stamp string) (sample, error) {
	p, err := plausible(watts)
	return sample{at: time.Now(), power: p, name: name, stamp: stamp}, err
}

func isCertificate(err error) bool {
	var bad *tls.CertificateVerificationError
	return errors.As(err, &bad)
}
