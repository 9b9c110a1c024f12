package sensor_test

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/internal/deptest"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
)

func TestProblemSaysWhatWhereWhyAndTheRemedy(t *testing.T) {
	for want, p := range map[string]*sensor.Problem{
		"rapl: /sys/x: permission denied (chmod a+r /sys/x)": {
			Sensor: "rapl", Class: sensor.Permission, Path: "/sys/x", Err: fs.ErrPermission, Remedy: "chmod a+r /sys/x",
		},
		"rapl: absent":    {Sensor: "rapl", Class: sensor.Absent},
		"rapl: /x: gone":  {Sensor: "rapl", Class: sensor.Gone, Path: "/x"},
		"rapl: io (wait)": {Sensor: "rapl", Class: sensor.IO, Remedy: "wait"},
	} {
		assert.EqualError(t, p, want)
	}
}

func TestProblemsFindsEachOneHoweverItIsWrapped(t *testing.T) {
	problem := func(path string) *sensor.Problem {
		return &sensor.Problem{Sensor: "rapl", Path: path, Err: errors.ErrUnsupported}
	}
	a, b, c := problem("a"), problem("b"), problem("c")
	inner := &sensor.Problem{Sensor: "rapl", Path: "outer", Err: problem("inner")}
	for _, tt := range []struct {
		name string
		err  error
		want []*sensor.Problem
	}{
		{"nil", nil, nil},
		{"another error", errors.New("sad"), nil},
		{"one", a, []*sensor.Problem{a}},
		{"wrapped", fmt.Errorf("read: %w", a), []*sensor.Problem{a}},
		{"joined with another error", errors.Join(a, errors.New("sad"), b), []*sensor.Problem{a, b}},
		{"joined, wrapped and joined again", errors.Join(fmt.Errorf("tick: %w", errors.Join(a, b)), c), []*sensor.Problem{a, b, c}},
		{"two in one text", fmt.Errorf("%w and %w", b, a), []*sensor.Problem{b, a}},
		{"cause of a problem is no other problem", inner, []*sensor.Problem{inner}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.want, slices.Collect(sensor.Problems(tt.err)))
		})
	}
	var first *sensor.Problem
	for p := range sensor.Problems(errors.Join(a, errors.Join(b, c))) {
		first = p
		break
	}
	assert.Same(t, a, first, "the iteration may stop")
	require.ErrorIs(t, fmt.Errorf("open: %w", a), errors.ErrUnsupported)
}

func TestDependencies(t *testing.T) {
	deptest.Only(t, "github.com/otelcarbon/otelcarbon/internal/unit")
	deptest.Pure(t)
}
