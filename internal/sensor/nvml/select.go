package nvml

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/otelcarbon/otelcarbon/internal/names"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
)

const (
	prefixGPU = "GPU-"
	prefixMIG = "MIG-"

	maxIndex = 1 << 16
)

// Validate says what is wrong with the selection of devices.
func (c Config) Validate() error {
	for i, s := range c.Devices {
		if !isSelector(s) {
			return fmt.Errorf("nvml: devices[%d]: %q is neither an index such as \"0\", nor the UUID of a GPU (\"GPU-…\") or of a MIG instance (\"MIG-…\"): nvidia-smi -L lists them", i, s)
		}
	}
	return nil
}

func isSelector(s string) bool {
	if _, ok := parseIndex(s); ok {
		return true
	}
	rest, ok := strings.CutPrefix(s, prefixGPU)
	if !ok {
		rest, ok = strings.CutPrefix(s, prefixMIG)
	}
	return ok && rest != "" && len(s) <= maxUUID && strings.Trim(rest, "0123456789abcdefABCDEFGPU-/") == ""
}

func parseIndex(s string) (int, bool) {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.Atoi(s)
	return n, err == nil && n < maxIndex
}

// candidate is a GPU that may be selected.
type candidate struct {
	index int
	key   string // its UUID, or its PCI address
	// mig returns the UUIDs of the MIG devices, asked for only where one is selected.
	mig func() []string
}

// choose marks the candidates that a selection wants, and says what it wants in
// vain. What a selector was found to mean is kept in bound: an index means the
// same GPU for good, even if another one takes its place. Notes are of selectors
// that get more than they name, once.
func choose(selectors []string, bound map[string]string, all []candidate) (chosen []bool, problems, notes []*sensor.Problem) {
	chosen = make([]bool, len(all))
	for i := range chosen {
		chosen[i] = len(selectors) == 0
	}
	for _, s := range selectors {
		if key, ok := bound[s]; ok {
			if i := slices.IndexFunc(all, func(c candidate) bool { return c.key == key }); i >= 0 {
				chosen[i] = true
			}
			continue
		}
		hits := matches(s, all)
		switch len(hits) {
		case 0:
			problems = append(problems, selection(s, sensor.Gone, "it selects no GPU", "nvidia-smi -L lists what there is"))
			continue
		case 1:
		default: // CUDA takes such a prefix for none
			found := make([]string, len(hits))
			for i, hit := range hits {
				found[i] = all[hit].key
			}
			problems = append(problems, selection(s, sensor.Malformed, "it is the beginning of several: "+strings.Join(found, ", "), "write more of the UUID"))
			continue
		}
		c := all[hits[0]]
		chosen[hits[0]], bound[s] = true, c.key
		if strings.HasPrefix(s, prefixMIG) {
			notes = append(notes, selection(s, sensor.Absent, "NVML has no energy of a single MIG instance: all of "+c.key+" is counted", ""))
		}
	}
	return chosen, problems, notes
}

// matches returns the candidates that a selector can mean.
func matches(selector string, all []candidate) (hits []int) {
	if n, ok := parseIndex(selector); ok {
		for i, c := range all {
			if c.index == n {
				return []int{i}
			}
		}
		return nil
	}
	// Before driver 470 a MIG device was called MIG-GPU-<uuid>/<instance>/<compute instance>.
	whole, old := strings.CutPrefix(selector, prefixMIG+prefixGPU)
	if old {
		whole, _, _ = strings.Cut(whole, "/")
		selector = prefixGPU + whole
	}
	for i, c := range all {
		if strings.HasPrefix(selector, prefixGPU) {
			if strings.HasPrefix(c.key, selector) {
				hits = append(hits, i)
			}
			continue
		}
		for _, uuid := range c.mig() {
			if strings.HasPrefix(uuid, selector) {
				hits = append(hits, i)
				break
			}
		}
	}
	return hits
}

func selection(selector string, class sensor.Class, what, remedy string) *sensor.Problem {
	return &sensor.Problem{
		Sensor: names.SensorNVML, Class: class, Path: "devices: " + selector, Remedy: remedy, Err: errors.New(what),
	}
}
