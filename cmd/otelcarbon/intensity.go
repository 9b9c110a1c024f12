package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/intensity/chain"
	"github.com/otelcarbon/otelcarbon/intensity/offline"
	"github.com/otelcarbon/otelcarbon/intensity/providers"
	"github.com/otelcarbon/otelcarbon/internal/names"
	"github.com/otelcarbon/otelcarbon/internal/tables"
)

type intensityOptions struct {
	boundary string
	year     int
	clouds   string
	live     []string
	asJSON   bool
}

func intensityCommand() *cobra.Command {
	var o intensityOptions
	c := &cobra.Command{
		Use:   "intensity [PLACE]",
		Short: "Print the carbon intensity of electricity at a place",
		Long: "Print how many grams of CO2-equivalent a kilowatt hour stands for at a place, with its\n" +
			"range, where the value comes from and why that value. Without a place: the world.\n\n" +
			"A place is one of\n" +
			"  aws:eu-west-1     a cloud provider and its region or availability zone\n" +
			"  FR, US-VA         a country (ISO 3166-1) or subdivision (ISO 3166-2)\n" +
			"  US-MIDA-PJM       a grid zone, as Electricity Maps spells it\n" +
			"  48.85,2.35        latitude and longitude in degrees",
		Example: "  otelcarbon intensity aws:us-east-1\n  otelcarbon intensity FR --year 2023 --boundary lifecycle\n  otelcarbon intensity DE --json\n  otelcarbon intensity GB --live uk_national_grid",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var place string
			if len(args) > 0 {
				place = args[0]
			}
			return o.run(cmd, place)
		},
	}
	f := c.Flags()
	f.StringVar(&o.boundary, "boundary", "any", "emissions to count: any (lifecycle where known), lifecycle or direct")
	f.IntVar(&o.year, "year", 0, "calendar `year` (default: this one)")
	f.StringVar(&o.clouds, "clouds", "", "`file` that takes the place of the embedded table of cloud regions")
	f.StringSliceVar(&o.live, "live", nil, "ask these `providers` first: "+strings.Join(providers.Names(), ", ")+
		"; credentials are in ELECTRICITY_MAPS_API_KEY, OPEN_ELECTRICITY_API_KEY, WATTTIME_USERNAME and WATTTIME_PASSWORD")
	f.BoolVar(&o.asJSON, "json", false, "print JSON")
	return c
}

func (o *intensityOptions) run(cmd *cobra.Command, place string) error {
	boundary, err := intensity.ParseBoundary(o.boundary)
	if err != nil {
		return fmt.Errorf("--boundary: %w", err)
	}
	at := time.Now().UTC()
	if o.year != 0 {
		if len(o.live) > 0 {
			return errors.New("--live: live providers tell the present, not a --year")
		}
		if o.year < 1900 || o.year > 2200 {
			return fmt.Errorf("--year: %d is not a year between 1900 and 2200", o.year)
		}
		at = time.Date(o.year, time.July, 1, 0, 0, 0, 0, time.UTC)
	}
	loc, err := locationOf(place)
	if err != nil {
		return err
	}
	table, err := o.provider()
	if err != nil {
		return no(err)
	}
	loc, found := known(table, loc)
	if !found.Known && len(o.live) == 0 {
		return no(errors.New(strings.Join(details(found.Problems), "; ")))
	}
	list, err := o.providers(boundary)
	if err != nil {
		return err
	}
	var failed failures
	src, err := chain.New(chain.Config{Hooks: chain.Hooks{Request: failed.note}}, append(list, table)...)
	if err != nil {
		return no(err)
	}
	defer func() { _ = src.Close() }()
	slot, err := src.At(cmd.Context(), intensity.Query{Location: loc, Want: intensity.Basis{Boundary: boundary}}, at)
	if err != nil {
		return no(err)
	}
	a := answerOf(place, at, slot, found)
	a.Warnings = append(a.Warnings, failed.told()...)
	for _, p := range list {
		if c := p.Caps(); c.ID == slot.Origin.Provider {
			a.Attribution = c.Attribution
		}
	}
	if o.asJSON {
		enc := json.NewEncoder(cmd.OutOrStdout())
		enc.SetIndent("", "  ")
		enc.SetEscapeHTML(false)
		return no(enc.Encode(a))
	}
	return no(a.print(cmd.OutOrStdout()))
}

// providers returns the live ones that are wanted.
func (o *intensityOptions) providers(boundary intensity.Boundary) (list []intensity.Provider, err error) {
	for _, name := range o.live {
		var po providers.Options
		switch name {
		case names.SourceElectricityMaps:
			po.Key, po.Boundary = os.Getenv("ELECTRICITY_MAPS_API_KEY"), boundary
		case names.SourceOpenElectricity:
			po.Key = os.Getenv("OPEN_ELECTRICITY_API_KEY")
		case names.SourceWattTime:
			po.Username, po.Password = os.Getenv("WATTTIME_USERNAME"), os.Getenv("WATTTIME_PASSWORD")
		}
		p, err := providers.New(name, po)
		if err != nil {
			return nil, fmt.Errorf("--live: %w", err)
		}
		list = append(list, p)
	}
	return list, nil
}

// failures are the requests that failed, of several goroutines.
type failures struct {
	mu    sync.Mutex
	texts []string
}

func (f *failures) note(_, _ string, _ time.Duration, err error) {
	if err == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if text := err.Error(); !slices.Contains(f.texts, text) {
		f.texts = append(f.texts, text)
	}
}

func (f *failures) told() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.texts
}

func (o *intensityOptions) provider() (*offline.Provider, error) {
	if o.clouds == "" {
		return offline.New(offline.Options{})
	}
	f, err := os.Open(o.clouds)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return offline.New(offline.Options{Clouds: f, CloudsName: o.clouds})
}

// locationOf reads a place by its form alone; whether anybody knows it is another
// question.
func locationOf(place string) (intensity.Location, error) {
	if provider, region, ok := strings.Cut(place, ":"); ok {
		if provider == "" || region == "" {
			return intensity.Location{}, fmt.Errorf("place %q: a cloud region is written provider:region, such as aws:eu-west-1", place)
		}
		return intensity.Location{CloudProvider: provider, CloudRegion: region, CloudZone: region}, nil
	}
	if a, b, ok := strings.Cut(place, ","); ok {
		lat, err1 := strconv.ParseFloat(strings.TrimSpace(a), 64)
		lon, err2 := strconv.ParseFloat(strings.TrimSpace(b), 64)
		if err := errors.Join(err1, err2); err != nil || !(lat >= -90 && lat <= 90) || !(lon >= -180 && lon <= 180) {
			return intensity.Location{}, fmt.Errorf("place %q: a position is written latitude,longitude in degrees, such as 48.85,2.35", place)
		}
		return intensity.Location{Point: &intensity.LatLon{Lat: lat, Lon: lon}}, nil
	}
	return intensity.Location{Zone: place}, nil
}

// known returns the reading of a place under which somebody knows it: countries
// and subdivisions without a value of their own are no zones.
func known(p *offline.Provider, loc intensity.Location) (intensity.Location, *offline.Resolution) {
	asZone := p.Explain(loc)
	if asZone.Known || loc.Zone == "" {
		return loc, asZone
	}
	code := strings.ToUpper(strings.TrimSpace(loc.Zone))
	other := intensity.Location{Country: code}
	if country, _, ok := strings.Cut(code, "-"); ok {
		other = intensity.Location{Country: country, Subdivision: code}
	}
	if r := p.Explain(other); r.Known {
		return other, r
	}
	return loc, asZone
}

// answer is what is printed. Its JSON is for programs: names stay.
type answer struct {
	Place       string   `json:"place"`
	Zone        string   `json:"zone"`
	GramsPerKWh float64  `json:"grams_per_kwh"`
	Lower       float64  `json:"lower_grams_per_kwh"`
	Upper       float64  `json:"upper_grams_per_kwh"`
	HalfWidth   float64  `json:"uncertainty"`      // relative
	RangeFrom   string   `json:"uncertainty_from"` // published, observed, assumed
	Signal      string   `json:"signal"`
	Boundary    string   `json:"boundary"`
	Flow        string   `json:"flow,omitempty"`
	Gas         string   `json:"gas"`
	Quality     string   `json:"quality"`
	Flags       []string `json:"flags,omitempty"`
	Year        int      `json:"year"`                 // asked for
	From        string   `json:"holds_from,omitempty"` // of a live value
	Until       string   `json:"holds_until,omitempty"`
	PUE         float64  `json:"pue,omitempty"`
	WUE         float64  `json:"wue_liters_per_kwh,omitempty"`
	Source      string   `json:"source"`  // carbon.grid.source
	DataSet     string   `json:"dataset"` // ids in sources.csv
	Why         string   `json:"why"`
	Warnings    []string `json:"warnings,omitempty"`
	Attribution string   `json:"attribution"`
}

func answerOf(place string, at time.Time, s *intensity.Slot, r *offline.Resolution) answer {
	a := answer{
		Place: place, Zone: s.Origin.ZoneServed,
		GramsPerKWh: s.GramsPerKWh, HalfWidth: s.Spread.Half, RangeFrom: s.Spread.From,
		Lower: rounded(s.GramsPerKWh * max(0, 1-s.Spread.Half)), Upper: rounded(s.GramsPerKWh * (1 + s.Spread.Half)),
		Signal: s.Basis.Signal.String(), Boundary: s.Basis.Boundary.String(), Flow: s.Basis.Flow.String(), Gas: s.Basis.Gas.String(),
		Quality: s.Quality.String(), Year: at.Year(), PUE: r.PUE, WUE: r.WUE,
		Source: s.Origin.Provider, DataSet: s.Origin.Model, Why: s.Origin.Why,
		Warnings:    details(r.Problems),
		Attribution: tables.Sources().Attribution(s.Origin.Model),
	}
	if flags := s.Flags.String(); flags != "" {
		a.Flags = strings.Split(flags, "|")
	}
	if place == "" {
		a.Place = "world"
	}
	if !s.Origin.FetchedAt.IsZero() {
		a.From, a.Until = s.Start.Format(time.RFC3339), s.End.Format(time.RFC3339)
	}
	return a
}

// details returns the part of the errors that is for people who asked about one place.
func details(errs []error) []string {
	var texts []string
	for _, err := range errs {
		var e *intensity.Error
		if errors.As(err, &e) && e.Detail != "" {
			texts = append(texts, e.Detail)
		} else {
			texts = append(texts, err.Error())
		}
	}
	return texts
}

// rounded to µg/kWh, so that a product shows no digits of floating point.
func rounded(g float64) float64 { return math.Round(g*1e6) / 1e6 }

func (a *answer) print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) { fmt.Fprintf(t, "%s\t%s\n", name, fmt.Sprintf(format, args...)) }
	row("intensity", "%s g/kWh", grams(a.GramsPerKWh))
	row("range", "%s to %s g/kWh (± %.0f %%, %s)", grams(a.Lower), grams(a.Upper), 100*a.HalfWidth, a.RangeFrom)
	row("zone", "%s", a.Zone)
	row("basis", "%s", strings.Join(strings.Fields(strings.Join([]string{a.Signal, a.Boundary, a.Flow, a.Gas}, " ")), ", "))
	quality := a.Quality
	if len(a.Flags) > 0 {
		quality += ", " + strings.ReplaceAll(strings.Join(a.Flags, ", "), "_", " ")
	}
	row("quality", "%s", quality)
	if a.PUE > 0 {
		row("PUE", "%g", a.PUE)
	}
	if a.WUE > 0 {
		row("WUE", "%g L/kWh", a.WUE)
	}
	if a.From != "" {
		row("holds", "%s to %s", a.From, a.Until)
	}
	if a.DataSet != "" {
		row("source", "%s (%s)", a.Source, a.DataSet)
	} else {
		row("source", "%s", a.Source)
	}
	if a.Why != "" {
		row("why", "%s", a.Why)
	}
	for _, text := range a.Warnings {
		row("note", "%s", text)
	}
	row("data by", "%s", a.Attribution)
	return t.Flush()
}

// grams shows a tenth of a gram where it matters.
func grams(g float64) string {
	if g < 100 {
		return strconv.FormatFloat(g, 'f', 1, 64)
	}
	return strconv.FormatFloat(g, 'f', 0, 64)
}
