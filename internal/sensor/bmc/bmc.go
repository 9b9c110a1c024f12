// Package bmc reads the power of the whole host from its baseboard management
// controller: over the network by Redfish, or from inside by IPMI (DCMI Get Power
// Reading through /dev/ipmi0, Linux).
//
// It has one part, bmc:host: an envelope that is the whole host, a power gauge that
// is integrated over time. Its name says which side of the power supplies was
// measured. Redfish offers it in several places; the first that answers is taken
// and kept:
//
//	PowerSupplies/*/Metrics InputPowerWatts    what the supplies draw, summed over those present
//	EnvironmentMetrics PowerWatts              of the chassis, side not stated
//	PowerSupplies/*/Metrics OutputPowerWatts   what they deliver: losses of the supplies are missing
//	Power PowerControl[].PowerConsumedWatts    the older schema, side not stated
//
// One supply without a reading makes a sum invalid. EnergykWh is not used: its
// steps, up to 1 kWh, are hours apart.
//
// Where a service manages several chassis or hosts, Redfish.Chassis has to name one;
// otherwise the sensor refuses and lists them. IPMI is asked where no Redfish
// endpoint is configured; it is that of the host itself.
//
// A management controller is slow and may fail, so that a goroutine asks it every
// Config.Interval. Read returns what arrived since the last Read and never waits;
// the moment of a reading is that at which the answer came. After failures the
// controller is asked less often: where it refuses the credentials, once in 5 minutes
// if it never took them, else after 30 s, 1, 2, 4 and then 5 minutes, since many lock
// the account after a few attempts.
package bmc

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/unit"
)

const (
	sensorName = "bmc" // the value of carbon.sensor

	defaultInterval = 5 * time.Second
	leastInterval   = time.Second // BMCs refresh no more often
	defaultMaxAge   = 30 * time.Second

	// maxPower is more than any chassis of one host draws: a full rack is designed for
	// up to 140 kW, a host with eight accelerators for 10 to 15 kW.
	maxPower = 100_000 * unit.Watt
)

// Config has the settings of the sensor. The zero value asks /dev/ipmi0.
type Config struct {
	Redfish Redfish
	IPMI    IPMI
	// Interval is the time between two questions; 0 and less mean 5 s, and it is not
	// less than 1 s. Whoever integrates the readings must bridge gaps of several
	// intervals.
	Interval time.Duration
	// MaxAge is how long the controller may repeat an old answer, known by its own time
	// stamp, before the reading counts as missing; 0 and less mean 30 s.
	MaxAge time.Duration
}

// Redfish says where a Redfish service is, and how to ask it.
type Redfish struct {
	// Endpoint is the address of the service, such as https://bmc.example.net; a path in
	// it is that of a proxy before the service. Empty: Redfish is not used. Plain http
	// is refused but to this very machine.
	Endpoint string
	// Username and Password; without a name the service is asked without credentials.
	// The privilege Login is enough.
	Username string
	Password Secret
	// Chassis is the Id of the chassis or of the computer system whose power is meant.
	// Empty: the only one there is.
	Chassis string
	// Client makes the requests; nil means one that verifies the certificate against the
	// system's roots. Its CheckRedirect is not used.
	Client *http.Client
}

// IPMI says how to reach the controller from inside.
type IPMI struct {
	// Device is the character device, /dev/ipmi0 where empty. Set together with
	// Redfish.Endpoint it is an error: they would be two readings of one thing.
	Device string
}

// Open starts to ask the configured controller. Root is the folder that holds sys
// of the machine; it only serves to explain why a device is missing.
//
// The error wraps errors.ErrUnsupported and is a *sensor.Problem where nothing is
// configured and there is no IPMI device. An impossible configuration gives a plain
// error. A controller that does not answer, or a device that may not be opened, is
// no error here: Read reports it, and the readings come when that changes.
func Open(root string, c Config) (sensor.Sensor, error) {
	if root == "" {
		root = "/"
	}
	c = c.withDefaults()
	var (
		src source
		err error
	)
	switch {
	case c.Redfish.Endpoint != "" && c.IPMI.Device != "":
		return nil, errors.New("bmc: redfish endpoint and ipmi device are both set: they would be two readings of one host, leave one out")
	case c.Redfish.Endpoint != "":
		src, err = newRedfish(c.Redfish, c.MaxAge)
	case c.Redfish.Chassis != "" || c.Redfish.Username != "" || c.Redfish.Password.set():
		return nil, errors.New("bmc: redfish has settings but no endpoint: set it to https:// and the address of the management controller")
	default:
		src, err = openIPMI(root, c.IPMI.Device)
	}
	if err != nil {
		return nil, err
	}
	r := newReader(src, c)
	r.start()
	return r, nil
}

func (c Config) withDefaults() Config {
	if c.Interval <= 0 {
		c.Interval = defaultInterval
	}
	c.Interval = max(c.Interval, leastInterval)
	if c.MaxAge <= 0 {
		c.MaxAge = defaultMaxAge
	}
	return c
}

// newPart describes the host as the source measures it.
func newPart(name string, period time.Duration) *sensor.Part {
	return &sensor.Part{
		ID:     sensorName + ":host",
		Name:   name,
		Type:   "other",
		Sensor: sensorName,
		Method: sensor.Integrated,
		Role:   sensor.Envelope,
		Whole:  true,
		Period: period,
		Socket: -1,
		Die:    -1,
	}
}

// plausible gives the power of a reading in W: above 0, since whoever asks is
// running on it, and not beyond maxPower.
func plausible(watts float64) (unit.Microwatts, error) {
	if p := unit.FromWatts(watts); p > 0 && p <= maxPower {
		return p, nil
	}
	return 0, fmt.Errorf("%g W is no power of a running host: %w", watts, errMalformed)
}
