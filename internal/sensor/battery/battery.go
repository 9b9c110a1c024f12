// Package battery reads what a laptop draws from its batteries, through the
// power_supply class of Linux.
//
// It returns one part:
//
//	battery:host   type battery, envelope, the whole host
//
// Its power is the sum over the batteries that are discharging, and there is a
// reading only while that is all that the host draws: no mains adapter, USB or
// wireless charger is online, no battery is charging, and at least one is
// discharging. At any other time Read returns nothing, which is no error: what the
// host draws from a charger is not to be seen here. As soon as there is one the part
// pauses ([sensor.Pauser]), so that nobody waits for it.
//
// Counted are supplies of type Battery that are not of scope Device, which is the
// battery of a mouse or a headset. A laptop with two batteries drains one after
// the other or both at once, so only their sum means something; it is missing if
// one of them cannot be read.
package battery

import (
	"time"

	"github.com/otelcarbon/otelcarbon/internal/names"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
)

// Config has the settings of the sensor. The zero value is the usual one.
type Config struct {
	// RescanInterval is how often Read looks for supplies that came or went; 0 and
	// less mean 5 s. If one turns out to be gone Read looks at once, though not more
	// than once in a second.
	RescanInterval time.Duration
}

const (
	rescanInterval = 5 * time.Second
	rescanPace     = time.Second
)

// rank is behind the meters at the input of the machine, which see it on mains
// too, and before psys, which may leave out the display.
const rank = 2

// Open looks for batteries under root, the folder that holds sys of the machine:
// "/", or where the host is mounted in a container.
//
// Its error wraps errors.ErrUnsupported and is a *sensor.Problem. A battery that
// may not be read is no error here: Read reports it.
func Open(root string, c Config) (sensor.Sensor, error) {
	if root == "" {
		root = "/"
	}
	if c.RescanInterval <= 0 {
		c.RescanInterval = rescanInterval
	}
	return open(root, c)
}

func hostPart() sensor.Part {
	return sensor.Part{
		ID:     names.SensorBattery + ":host",
		Name:   "battery",
		Type:   names.HWTypeBattery,
		Sensor: names.SensorBattery,
		Method: sensor.Integrated,
		Role:   sensor.Envelope,
		Socket: -1,
		Die:    -1,
		Whole:  true,
		Rank:   rank,
	}
}
