package powerreceiver

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/otelcarbon/otelcarbon/internal/ledger"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/sensor/sensortest"
	"github.com/otelcarbon/otelcarbon/internal/unit"
)

// hundred runs n collections of 10 samples each, of what is always 100 W.
func hundred(t *testing.T, n int, good, spare *sensor.Part, goodAt, spareAt func(int) bool, gauge bool) {
	t.Helper()
	i := -1
	f := &sensortest.Fake{Next: func(int, time.Time) (st sensortest.Step) {
		i++
		when, e := at(time.Duration(i)*time.Second), unit.Microjoules(i)*100*joule
		if goodAt(i) {
			st.Readings = append(st.Readings, counting(good, when, e))
		}
		if spareAt(i) {
			if gauge {
				st.Readings = append(st.Readings, power(spare, when, 100))
			} else {
				st.Readings = append(st.Readings, counting(spare, when, e))
			}
		}
		return st
	}}
	s, _ := scripted(t, f)
	s.sampler.ledger = ledger.New(ledger.Config{MaxGap: 3 * time.Second})
	s.patience = 30 * time.Second
	s.shortest = 500 * time.Millisecond
	for k := range n {
		if k > 0 {
			for range 9 {
				s.sampler.sample(t.Context())
			}
		}
		md := scrape(t, s)
		for _, id := range []string{good.ID, spare.ID} {
			if got, _, ok := value(md, "hw.power", id); ok {
				assert.InDelta(t, 100, got, 1, "%s at %d s", id, i)
			}
		}
		if got, _, ok := value(md, "hw.host.power", "host"); ok {
			assert.InDelta(t, 100, got, 1, "host at %d s", i)
		}
	}
}

// 100 W; perf is silent from 16 to 46 s; rapl counts from 15 s (told at 46 s) to 48 s.
func TestThePowerOfAPartReplacedWithinOneCollection(t *testing.T) {
	good, spare := rapl("package-0", "cpu", sensor.Primary, 0), rapl("package-0", "cpu", sensor.Primary, 0)
	good.ID, good.Sensor, good.Same = "perf:package-0", "perf", "package-0"
	spare.Same, spare.Rank = "package-0", 1
	hundred(t, 9, good, spare, func(i int) bool { return i < 16 || i > 46 }, func(int) bool { return true }, false)
}

// 100 W; nvidia_smi was not read from 5 to 30 s, while nvml counted; nvml falls silent after 59 s.
func TestThePowerOfASpareThatHadAGap(t *testing.T) {
	good := &sensor.Part{ID: "nvml:x", Type: "gpu", Sensor: "nvml", Method: sensor.Measured, Same: "gpu/x", Socket: -1, Die: -1}
	spare := &sensor.Part{ID: "nvidia_smi:x", Type: "gpu", Sensor: "nvidia_smi", Method: sensor.Integrated, Same: "gpu/x", Rank: 1, Socket: -1, Die: -1}
	hundred(t, 13, good, spare, func(i int) bool { return i < 60 }, func(i int) bool { return i < 5 || i > 30 }, true)
}
