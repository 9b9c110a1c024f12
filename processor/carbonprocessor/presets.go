package carbonprocessor

import (
	"maps"
	"slices"
)

// presets are the metrics of other exporters, by the name of the preset. Each names the
// parts of a machine that do not overlap, and one level of workloads, so that nothing
// counts twice.
func presets() map[string][]InputConfig {
	return map[string][]InputConfig{}
}

func presetNames() []string { return slices.Sorted(maps.Keys(presets())) }
