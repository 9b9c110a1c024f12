package gpu

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
)

func TestOpenGivesASensorThatKnowsProcessesOrSaysWhyNot(t *testing.T) {
	s, err := Open()
	if err != nil {
		var p *sensor.Problem
		require.ErrorAs(t, err, &p)
		require.ErrorIs(t, err, errors.ErrUnsupported)
		assert.NotEmpty(t, p.Error())
		assert.Nil(t, s)
		return
	}
	assert.Implements(t, (*sensor.Attributor)(nil), s)
	require.NoError(t, s.Close())
}
