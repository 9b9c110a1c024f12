//go:build !(nvml && cgo && linux)

package nvml

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
)

func TestOpen(t *testing.T) {
	t.Run("C44_built without NVML", func(t *testing.T) {
		s, err := Open(Config{})
		assert.Nil(t, s)
		require.ErrorIs(t, err, errors.ErrUnsupported)
		var p *sensor.Problem
		require.ErrorAs(t, err, &p)
		assert.Equal(t, sensor.NotBuilt, p.Class)
		require.ErrorContains(t, err, "make build-nvml")
	})
}
