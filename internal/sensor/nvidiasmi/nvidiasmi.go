// Package nvidiasmi reads the power of NVIDIA GPUs from one nvidia-smi that runs
// as long as the sensor is open. It is for builds without cgo, which cannot load
// the library that nvidia-smi loads; where package nvml is built in, that is
// better: it has energy counters, where this one integrates power.
//
// The parts that it returns are
//
//	nvidia_smi:GPU-5f3a…   type gpu, primary
//
// A GPU is known by its UUID. Each line of nvidia-smi is one reading of one GPU
// at the moment at which it arrived. A reading is returned once; when Read is
// called again before the next line there is none, and one that nobody fetched for
// three intervals is dropped: late is missing. Read itself only takes a lock: it
// never waits for the driver.
//
// The process gets fixed arguments, a fixed environment and no shell. One that ends,
// hangs or writes what is no table is killed with its children and started again,
// 1 s later at first, then 2 s, up to 1 min. While it runs it holds the driver's
// device files, as every monitor does: unloading the driver needs the sensor closed.
//
// Power is power.draw, which since Ampere (without GA100) is the mean of the last
// second and so covers all the time between two lines of one second; with a
// shorter interval it is power.draw.instant, where the driver has it. On A100 and
// H100 an instant is a window of 25 ms in each 100 ms, of which the rest is unseen
// (arXiv 2312.02741): short loads are known within some ten per cent only.
package nvidiasmi

import (
	"fmt"
	"path/filepath"
	"time"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
)

const sensorName = "nvidia_smi" // carbon.sensor

// Config has the settings of the sensor. The zero value is the usual one.
type Config struct {
	// Path of nvidia-smi, absolute. Where it is "", the usual places are searched;
	// the PATH of the environment is not.
	Path string
	// Interval between two lines of a GPU, from 100 ms to 1 min; 0 means 1 s. The
	// interval at which Read is called is a good choice.
	Interval time.Duration
	// Devices are the GPUs to read; none means all. Each is an index as nvidia-smi
	// counts, or a UUID, GPU-…, of which the beginning is enough. As in
	// CUDA_VISIBLE_DEVICES, -1 ends the list; the indices are the same as there only
	// under CUDA_DEVICE_ORDER=PCI_BUS_ID.
	Devices []string
	// NoWait has Open not wait for the first lines. That there is nothing to read is
	// then told by Read, unless there is no nvidia-smi at all.
	NoWait bool
}

const (
	defaultInterval = time.Second
	minInterval     = 100 * time.Millisecond
	maxInterval     = time.Minute
)

// staleAfter is how many intervals a reading may wait.
const staleAfter = 3

// Open starts nvidia-smi and waits for its first lines, unless NoWait is set, though
// not longer than 3 s: on a machine without persistence mode the driver needs longer
// to wake up, which is no error.
//
// Its error wraps errors.ErrUnsupported and is a *sensor.Problem if there is no
// nvidia-smi, no driver, no GPU or none that tells its power. It is a plain error
// if the configuration makes no sense. Whatever else keeps nvidia-smi from working
// may pass, and Read reports it.
func Open(c Config) (sensor.Sensor, error) {
	if c.Interval == 0 {
		c.Interval = defaultInterval
	}
	if c.Interval < minInterval || c.Interval > maxInterval {
		return nil, fmt.Errorf("%s: interval %v is not between %v and %v", sensorName, c.Interval, minInterval, maxInterval)
	}
	if c.Path != "" && !filepath.IsAbs(c.Path) {
		return nil, fmt.Errorf("%s: path %q is not absolute", sensorName, c.Path)
	}
	wanted, err := parseDevices(c.Devices)
	if err != nil {
		return nil, err
	}
	return open(c, wanted, defaultLimits(c.Interval))
}

// limits are times that a test shortens.
type limits struct {
	open    time.Duration // that Open waits for the first lines
	startup time.Duration // until the first line of a process
	silence time.Duration // between two lines: longer is a hang
	close   time.Duration // that Close waits for a process that was killed
	first   time.Duration // before the second process
	longest time.Duration // before another process; one that lived longer was good
}

func defaultLimits(interval time.Duration) limits {
	return limits{
		open:    3 * time.Second,
		startup: 30 * time.Second,
		silence: max(5*interval, 2*time.Second),
		close:   2 * time.Second,
		first:   time.Second,
		longest: time.Minute,
	}
}
