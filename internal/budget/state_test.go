package budget_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/internal/budget"
)

func save(t testing.TB, b *budget.Budget) []byte {
	t.Helper()
	s, err := b.MarshalBinary()
	require.NoError(t, err)
	return s
}

// used has 30 g of March 12, 170 g of March 13 (100 g of a host with 60 g of
// workloads, and 70 g of workloads elsewhere), 5 g of March 14, and has told 50 and
// 80 % of 200 g.
func used(t testing.TB) *budget.Budget {
	t.Helper()
	b := open(t, budget.Config{Grams: 200, Period: day}, noon)
	a, c := budget.Key{1, 2}, budget.Key{3, 4}
	b.Add(a, budget.Host, noon.Add(-day), noon.Add(-day), 30)
	b.Add(a, budget.Workload, noon, noon, 60)
	b.Add(a, budget.Host, noon, noon, 100)
	b.Add(c, budget.Workload, noon, noon, 70)
	b.Add(c, budget.Workload, noon.Add(day), noon.Add(day), 5)
	require.Len(t, b.Crossings(nil), 2)
	return b
}

func TestRestore(t *testing.T) {
	percents := func(cs []budget.Crossing) []float64 {
		var ps []float64
		for _, c := range cs {
			ps = append(ps, c.Percent)
		}
		return ps
	}
	for _, c := range []struct {
		name string
		cfg  budget.Config
		now  time.Time
		want float64   // g of the current period
		told []float64 // at once
	}{
		{"the same budget", budget.Config{Grams: 200, Period: day}, noon, 170, nil},
		{"on the next day", budget.Config{Grams: 200, Period: day}, noon.Add(day), 5, nil},
		{"two days on", budget.Config{Grams: 200, Period: day}, noon.Add(2 * day), 0, nil},
		{"with a clock that was set back", budget.Config{Grams: 200, Period: day}, noon.Add(-day), 30, nil},
		// 100 % are 160 g now, and 80 % were told at 160 g.
		{"a lower limit tells what it makes reached", budget.Config{Grams: 160, Period: day}, noon, 170, []float64{100}},
		// 50 % are 150 g and stay told; 80 % are 240 g and will be told anew.
		{"a higher limit takes back what is out of reach", budget.Config{Grams: 300, Period: day}, noon, 170, nil},
		{"a new threshold", budget.Config{Grams: 200, Period: day, Thresholds: []float64{50, 60, 80}}, noon, 170, []float64{60}},
		// 30 + 170 + 5 g: the week began on Monday the 11th.
		{"days become a week", budget.Config{Grams: 200, Period: 7 * day}, noon, 205, []float64{50, 80, 100}},
		{"days become the whole run", budget.Config{Grams: 200}, noon, 205, []float64{50, 80, 100}},
		{"a day cannot be cut into hours", budget.Config{Grams: 200, Period: time.Hour}, noon, 0, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := open(t, c.cfg, c.now)
			require.NoError(t, b.UnmarshalBinary(save(t, used(t))))
			s := b.Status()
			assert.Equal(t, c.want, s.Used)       //nolint:testifylint // amounts are exact
			assert.Equal(t, c.cfg.Grams, s.Limit) //nolint:testifylint // copied, not computed
			assert.Equal(t, c.told, percents(b.Crossings(nil)))
		})
	}

	t.Run("accounts go on where they stood", func(t *testing.T) {
		b := open(t, budget.Config{Grams: 200, Period: day}, noon)
		require.NoError(t, b.UnmarshalBinary(save(t, used(t))))
		b.Add(budget.Key{1, 2}, budget.Workload, noon, noon, 39) // 99 g of the host's 100
		assert.Equal(t, 170.0, b.Status().Used)                  //nolint:testifylint // amounts are exact
		b.Add(budget.Key{1, 2}, budget.Workload, noon, noon, 2)
		assert.Equal(t, 171.0, b.Status().Used) //nolint:testifylint // amounts are exact
	})
	t.Run("a higher limit is told when it is reached", func(t *testing.T) {
		b := open(t, budget.Config{Grams: 300, Period: day}, noon)
		require.NoError(t, b.UnmarshalBinary(save(t, used(t))))
		at1(b, noon, 70)
		assert.Equal(t, []float64{80}, percents(b.Crossings(nil)))
	})
	t.Run("the whole run began when it began", func(t *testing.T) {
		b := open(t, budget.Config{Grams: 200}, noon)
		at1(b, noon, 120)
		require.Len(t, b.Crossings(nil), 1)
		again := open(t, budget.Config{Grams: 200}, noon.Add(day))
		require.NoError(t, again.UnmarshalBinary(save(t, b)))
		assert.Equal(t, budget.Status{Start: noon, Used: 120, Limit: 200, Utilization: 0.6, Machines: 1}, again.Status())
		assert.Empty(t, again.Crossings(nil))
		weekly := open(t, budget.Config{Grams: 200, Period: 7 * day}, noon)
		require.NoError(t, weekly.UnmarshalBinary(save(t, b)))
		assert.Zero(t, weekly.Status().Used, "the whole run cannot be cut")
	})
	t.Run("days become a run that began with the first of them that has anything", func(t *testing.T) {
		b := open(t, budget.Config{Grams: 200, Period: day}, noon)
		at1(b, noon, 120)
		again := open(t, budget.Config{Grams: 200}, noon)
		require.NoError(t, again.UnmarshalBinary(save(t, b)))
		assert.Equal(t, at("2024-03-13 00:00:00"), again.Status().Start)
	})
	t.Run("a state takes the place of what is there", func(t *testing.T) {
		b := used(t)
		require.NoError(t, b.UnmarshalBinary(save(t, used(t))))
		assert.Equal(t, 170.0, b.Status().Used) //nolint:testifylint // amounts are exact
	})
	t.Run("machines beyond the bound", func(t *testing.T) {
		b := open(t, budget.Config{Grams: 1e6, Period: day}, noon)
		for i := range uint64(budget.MaxKeys + 10) {
			b.Add(budget.Key{0, i}, budget.Workload, noon, noon, 1)
		}
		again := open(t, budget.Config{Grams: 1e6, Period: day}, noon)
		require.NoError(t, again.UnmarshalBinary(save(t, b)))
		assert.Equal(t, b.Status(), again.Status())
		assert.Equal(t, 65_546.0, again.Status().Used) //nolint:testifylint // amounts are exact
	})
}

// What is written today must be readable by every version to come.
func TestStateOfVersion1(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("testdata", "state-v1.hex"))
	require.NoError(t, err)
	saved, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
	require.NoError(t, err)
	assert.Equal(t, saved, save(t, used(t)))
	b := open(t, budget.Config{Grams: 200, Period: day}, noon)
	require.NoError(t, b.UnmarshalBinary(saved))
	assert.Equal(t, used(t).Status(), b.Status())
}

// sealed corrects the checksum, so that what it protects is read.
func sealed(data []byte) []byte {
	n := len(data) - 4
	return binary.BigEndian.AppendUint32(append([]byte{}, data[:n]...), crc32.Checksum(data[:n], crc32.MakeTable(crc32.Castagnoli)))
}

func TestStatesThatAreRefused(t *testing.T) {
	good := save(t, used(t))
	// The first period begins at 38, after magic (4), length (8), count and three
	// thresholds (1 + 24), and the number of periods (1): start 38 and 46, told 50,
	// lumped 54, lump 55, number of machines 87, the only machine 91 to 139.
	const first, machines, second = 38, 87, 139
	put := func(at int, bytes ...byte) []byte {
		bad := append([]byte{}, good...)
		copy(bad[at:], bytes)
		return sealed(bad)
	}
	for _, c := range []struct {
		name string
		data []byte
		want string
	}{
		{"nothing", nil, "cut off"},
		{"another file", []byte("a text that is long enough to be one"), "no state of a budget"},
		{"a later version", put(3, 2), "version 2: want 1"},
		{"a flipped bit", func() []byte { b := put(0, 'o'); b[60] ^= 1; return b }(), "checksum"},
		{"cut off", sealed(good[:60]), "cut off"},
		{"cut off in a machine", sealed(good[:130]), "machines"},
		{"bytes too many", sealed(append(append([]byte{}, good...), 0)), "1 bytes too many"},
		{"a negative length", put(4, 0xff), "periods of"},
		{"periods that are too short", put(4, 0, 0, 0, 0, 0, 0, 0, 1), "periods of 1ns"},
		{"too many thresholds", put(12, 17), "17 thresholds"},
		{"too many periods", put(37, 4), "4 periods"},
		{"a start within a period", put(first+7, good[first+7]+1), "begins no period"},
		{"a start at the end of time", put(first, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), "period"},
		{"too many nanoseconds", put(first+8, 0xff), "ns in a second"},
		{"the same period twice", put(second, good[first:first+8]...), "does not come after"},
		{"an account that is not shared", put(machines-1, 1), "not there"},
		{"a flag that is none", put(first+16, 2), "not there"},
		{"more machines than bytes", put(machines, 0, 1, 0, 0), "65536 machines"},
		{"more machines than are told apart", put(machines, 0xff, 0xff, 0xff, 0xff), "4294967295 machines"},
		{"an absurd amount", put(machines+4+16, 0xff), "more than a machine emits"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := used(t)
			err := b.UnmarshalBinary(c.data)
			require.ErrorContains(t, err, c.want)
			require.ErrorContains(t, err, `budget "test": restore state`)
			assert.Equal(t, good, save(t, b), "changed by a state that was refused")
		})
	}
}

// FuzzUnmarshalBinary restores whatever there is, into several budgets. What is
// accepted can be saved and restored again, and comes to the same.
func FuzzUnmarshalBinary(f *testing.F) {
	f.Add(save(f, used(f)))
	f.Add(save(f, open(f, budget.Config{Grams: 1, Thresholds: []float64{1}}, noon)))
	f.Add(save(f, open(f, budget.Config{Grams: 1, Period: math.MaxInt64}, noon)))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, length := range []time.Duration{day, 7 * day, 0} {
			b := open(t, budget.Config{Grams: 200, Period: length}, noon)
			err := b.UnmarshalBinary(data)
			if err != nil && len(data) >= 4 {
				err = b.UnmarshalBinary(sealed(data))
			}
			if err != nil {
				continue
			}
			s := b.Status()
			if !(s.Used >= 0) || math.IsInf(s.Used, 0) || s.Machines > budget.MaxKeys {
				t.Fatalf("%+v", s)
			}
			saved := save(t, b)
			again := open(t, budget.Config{Grams: 200, Period: length}, noon)
			if err := again.UnmarshalBinary(saved); err != nil {
				t.Fatal(err)
			}
			if got := save(t, again); !bytes.Equal(got, saved) || again.Status() != s {
				t.Fatalf("%+v became %+v", s, again.Status())
			}
			b.Turn(noon.Add(day))
			b.Add(budget.Key{1, 2}, budget.Host, noon, noon.Add(day), 1)
			b.Crossings(nil)
			if _, err := b.MarshalBinary(); err != nil {
				t.Fatal(err)
			}
		}
	})
}
