package data_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/otelcarbon/otelcarbon/data"
	"github.com/otelcarbon/otelcarbon/internal/deptest"
)

func TestDependencies(t *testing.T) {
	deptest.Only(t)
	deptest.Pure(t)
}

// A table that lies in the folder and is not embedded would be examined by nobody.
func TestEveryTableIsEmbeddedUnchanged(t *testing.T) {
	embedded := map[string]string{
		"coefficients.csv":       data.Coefficients(),
		"cpus.csv":               data.CPUs(),
		"embodied.csv":           data.Embodied(),
		"gpus.csv":               data.GPUs(),
		"grids.csv":              data.Grids(),
		"instances.csv":          data.Instances(),
		"microarchitectures.csv": data.Microarchitectures(),
		"sources.csv":            data.Sources(),
		"zones.csv":              data.Zones(),
	}
	files, err := filepath.Glob("*.csv")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != len(embedded) {
		t.Errorf("%d tables in the folder, %d embedded", len(files), len(embedded))
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if embedded[name] != string(text) {
			t.Errorf("%s is not what the package returns under its name", name)
		}
	}
}
