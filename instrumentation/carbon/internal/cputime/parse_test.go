package cputime

import (
	"encoding/binary"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/otelcarbon/otelcarbon/instrumentation/carbon/internal/cputime/cputimetest"
)

// message builds what a profile is made of: a field with bytes or, if they are nil, a number.
func message(field int, number uint64, value []byte) []byte {
	if value == nil {
		return binary.AppendUvarint(binary.AppendUvarint(nil, uint64(field)<<3), number)
	}
	b := binary.AppendUvarint(nil, uint64(field)<<3|2)
	return append(binary.AppendUvarint(b, uint64(len(value))), value...)
}

func join(parts ...[]byte) (out []byte) {
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

func label(key, value uint64) []byte {
	return message(3, 0, join(message(1, key, nil), message(2, value, nil)))
}

// Two stacks of "x", one of them with another label, too; one of "y"; one without; values
// packed and not.
func profile() []byte {
	var b []byte
	for _, sample := range [][]byte{
		join(message(1, 0, []byte{1, 2}), message(2, 0, []byte{3, 0x80, 0x01}), label(2, 3)),
		join(message(2, 4, nil), message(2, 5, nil), label(1, 4), label(2, 3)),
		join(message(2, 0, []byte{7, 1}), label(2, 4)),
		join(message(2, 0, []byte{9, 1}), label(1, 3)),
	} {
		b = append(b, message(2, 0, sample)...)
	}
	for _, s := range []string{"", "team", Key, "x", "y"} {
		b = append(b, message(6, 0, append([]byte{}, s...))...)
	}
	return append(b, message(9, 123, nil)...) // time_nanos
}

func TestCount(t *testing.T) {
	got := map[string]int64{}
	if err := count(profile(), got); err != nil {
		t.Fatal(err)
	}
	if want := map[string]int64{"x": 3 + 4, "y": 7, "": 9}; !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	for name, b := range map[string][]byte{
		"cut":             profile()[:5],
		"no such string":  message(2, 0, join(message(2, 1, nil), label(0, 99))),
		"field 0":         {0},
		"group":           {3 | 1<<3},
		"endless number":  []byte(strings.Repeat("\xff", 11)),
		"negative sample": message(2, 0, message(2, 1<<63, nil)),
	} {
		if err := count(b, map[string]int64{}); err == nil && name != "no such string" {
			t.Errorf("%s: no error", name)
		}
	}
}

func FuzzCount(f *testing.F) {
	f.Add(profile())
	f.Add([]byte{2<<3 | 2, 0})
	f.Add(message(2, 0, join(message(2, 1, nil), label(0, 99))))
	f.Fuzz(func(t *testing.T, b []byte) {
		got := map[string]int64{}
		if err := count(b, got); err == nil {
			for label, n := range got {
				if n < 0 {
					t.Errorf("%q: %d", label, n)
				}
			}
		}
	})
}

// The runtime's own: two goroutines that work, one of them half as long as the other. It is
// CPU time that they work, as a machine with other work gives them less of it.
func TestProfiler(t *testing.T) {
	var p, other Profiler
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	if err := other.Start(); err == nil {
		t.Error("two profiles at a time")
	}
	var both sync.WaitGroup
	for name, d := range map[string]time.Duration{"all": 800 * time.Millisecond, "half": 400 * time.Millisecond} {
		both.Go(func() {
			Label(WithLabel(t.Context(), name))
			cputimetest.Burn(d)
		})
	}
	both.Wait()
	got := map[string]int64{}
	if err := p.Stop(got); err != nil {
		t.Fatal(err)
	}
	if got["all"] < 30 || got["half"] < 15 || got["half"] > got["all"] {
		t.Errorf("%v, want 80 and 40, one for each 10 ms", got)
	}
	if err := p.Start(); err != nil { // and again
		t.Fatal(err)
	}
	clear(got)
	if err := p.Stop(got); err != nil || len(got) > 1 {
		t.Errorf("%v, %v", got, err)
	}
}

func TestLabels(t *testing.T) {
	if ctx := t.Context(); HasLabels(ctx) || !HasLabels(WithLabel(ctx, "x")) {
		t.Error("HasLabels")
	}
}
