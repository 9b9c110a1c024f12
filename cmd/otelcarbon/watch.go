package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/otelcarbon/otelcarbon/internal/ledger"
	"github.com/otelcarbon/otelcarbon/internal/unit"
)

// sampling is how often sensors are read while power is printed; a slower print
// means a longer mean, not fewer reads, so that no counter wraps unseen.
const sampling = time.Second

// watch prints the mean power of each part every interval, count times, or until
// ctx ends if count is 0. It fails if nothing can be read.
func (m *machine) watch(ctx context.Context, out, problems io.Writer, interval time.Duration, count int) error {
	books := ledger.New(ledger.Config{MaxGap: 3 * min(interval, sampling)})
	t := table{books: books, last: map[string]balance{}}
	m.read(ctx)
	books.Book(m.readings)
	if len(m.readings) == 0 {
		return errors.New("no sensor gives anything: run otelcarbon sensors for the reasons")
	}
	t.take(nil)
	told := ""
	for n := 0; count == 0 || n < count; n++ {
		for rest := interval; rest > 0; rest -= sampling {
			if !wait(ctx, min(rest, sampling)) {
				return nil
			}
			m.read(ctx)
			books.Book(m.readings)
		}
		if now := m.failures(); now != told { // once per change
			told = now
			fmt.Fprint(problems, told)
		}
		if err := t.print(out, time.Now()); err != nil {
			return err
		}
	}
	return nil
}

func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// failures tells, a line each, which sensors that were opened cannot be read.
func (m *machine) failures() string {
	var b strings.Builder
	for _, r := range m.sensors {
		if r.sensor != nil && r.err != nil {
			fmt.Fprintf(&b, "otelcarbon: %v\n", r.err)
		}
	}
	return b.String()
}

// table prints differences of accounts.
type table struct {
	books *ledger.Ledger
	last  map[string]balance // by hw.id; "" is the host
}

type balance struct {
	energy unit.Microjoules
	at     time.Time
}

// take remembers what the accounts hold, after yielding each with its mean power
// since the last time; known is false where there is none.
func (t *table) take(yield func(a *ledger.Account, mean unit.Microwatts, known bool)) {
	for a := range t.books.Accounts {
		id := ""
		if a.Part != nil {
			id = a.Part.ID
		}
		was, known := t.last[id]
		dt := a.At.Sub(was.at)
		t.last[id] = balance{a.Energy, a.At}
		if yield != nil {
			yield(&a, (a.Energy - was.energy).Power(dt), known && dt > 0 && a.Live)
		}
	}
}

func (t *table) print(w io.Writer, now time.Time) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(tw, "%s\twatts\tjoules\tmethod\t\n", now.Format("15:04:05"))
	t.take(func(a *ledger.Account, mean unit.Microwatts, known bool) {
		power := "-"
		if known {
			power = fmt.Sprintf("%.2f", mean.Watts())
		}
		switch a.Kind {
		case ledger.HostAccount:
			fmt.Fprintf(tw, "host\t%s\t%.1f\t\t\n", power, a.Energy.Joules())
		case ledger.DetailAccount:
			fmt.Fprintf(tw, "(%s)\t%s\t%.1f\t%s\t\n", a.Part.ID, power, a.Energy.Joules(), a.Part.Method)
		case ledger.PartAccount:
			fmt.Fprintf(tw, "%s\t%s\t%.1f\t%s\t\n", a.Part.ID, power, a.Energy.Joules(), a.Part.Method)
		case ledger.UncountedAccount: // something else stands for it
		}
	})
	return tw.Flush()
}
