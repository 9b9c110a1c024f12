package offline_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/intensity"
)

// The figures in docs/intensity/README.md are those of the tables.
func TestFiguresOfTheDocumentation(t *testing.T) {
	b, err := os.ReadFile("../../docs/intensity/README.md")
	require.NoError(t, err)
	p := provider(t)
	for _, c := range []struct {
		place    intensity.Location
		boundary intensity.Boundary
		year     int
		line     string // in which the figure stands
	}{
		{cloud("gcp", "europe-west9"), intensity.Lifecycle, 2025, "**boundary**"},
		{cloud("gcp", "europe-west9"), intensity.Direct, 2025, "**boundary**"},
		{cloud("gcp", "europe-west2"), intensity.Lifecycle, 2025, "**boundary**"},
		{cloud("gcp", "europe-west2"), intensity.Direct, 2025, "**boundary**"},
		{cloud("gcp", "us-central1"), intensity.Lifecycle, 2025, "`gcp,us-central1`"},
		{intensity.Location{Country: "FR"}, intensity.Lifecycle, 2022, "**Years matter**"},
		{intensity.Location{Country: "FR"}, intensity.Lifecycle, 2023, "**Years matter**"},
		{intensity.Location{Country: "FR"}, intensity.Lifecycle, 2024, "**Years matter**"},
	} {
		slot := peek(t, p, c.place, c.boundary, c.year)
		found := false
		lines := strings.Split(string(b), "\n")
		for i, line := range lines {
			if strings.Contains(line, c.line) {
				next := ""
				if i+1 < len(lines) { // sentences go on
					next = lines[i+1]
				}
				found = found || strings.Contains(line+next, fmt.Sprint(slot.GramsPerKWh))
			}
		}
		assert.True(t, found, "%+v of %d: %v g/kWh is not in the line of %s", c.place, c.year, slot.GramsPerKWh, c.line)
	}
}
