package bmc

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/sensor/sensortest"
)

// prompt asks within Read, as the suite wants a reading from each.
type prompt struct{ *reader }

func (p prompt) Read(ctx context.Context, dst []sensor.Reading) ([]sensor.Reading, error) {
	p.ask(ctx)
	return p.reader.Read(ctx, dst)
}

func (p prompt) Close() error {
	if err := p.reader.Close(); err != nil {
		return err
	}
	p.src.close(context.Background())
	return nil
}

func TestSuite(t *testing.T) {
	for _, name := range []string{"modern", "ilo", "idrac"} {
		t.Run(name, func(t *testing.T) {
			m := load(t, name)
			c := m.serve(t)
			sensortest.Run(t, func(t *testing.T) sensor.Sensor {
				return prompt{newReader(newSource(t, c), Config{}.withDefaults())}
			}, sensortest.Options{})
		})
	}
	t.Run("ipmi", func(t *testing.T) {
		sensortest.Run(t, func(*testing.T) sensor.Sensor {
			src := &inside{device: "/dev/ipmi0", asker: askFunc(func(context.Context) ([]byte, error) { return statistics(), nil })}
			return prompt{newReader(src, Config{}.withDefaults())}
		}, sensortest.Options{})
	})
}

type askFunc func(ctx context.Context) ([]byte, error)

func (f askFunc) ask(ctx context.Context) ([]byte, error) { return f(ctx) }

func TestOpenRefusesImpossibleConfigurations(t *testing.T) {
	for _, c := range []struct {
		name  string
		c     Config
		words string
	}{
		{"both", Config{Redfish: Redfish{Endpoint: "https://bmc.example.net"}, IPMI: IPMI{Device: "/dev/ipmi0"}}, "leave one out"},
		{"no endpoint", Config{Redfish: Redfish{Username: testUser, Password: NewSecret(testPassword)}}, "no endpoint"},
		{"only a chassis", Config{Redfish: Redfish{Chassis: "1"}}, "no endpoint"},
		{"no URL", Config{Redfish: Redfish{Endpoint: "bmc.example.net"}}, "https://"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := Open("", c.c)
			require.ErrorContains(t, err, c.words)
			assert.Nil(t, s)
			require.NotErrorIs(t, err, errors.ErrUnsupported)
			assert.NotContains(t, err.Error(), testPassword)
		})
	}
}
