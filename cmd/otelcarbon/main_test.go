package main

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/internal/deptest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"otelcarbon": main})
}

// Each script in testdata runs the command as a user does. UPDATE_SCRIPTS=1
// rewrites the outputs that they compare with.
func TestScripts(t *testing.T) {
	scripts, err := os.ReadDir("testdata")
	require.NoError(t, err)
	require.NotEmpty(t, scripts)
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") != "",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
}

func TestDependencies(t *testing.T) {
	const mod = "github.com/otelcarbon/otelcarbon"
	deptest.Never(t, "the command is a face of its own, beside the components",
		"go.opentelemetry.io/collector", "github.com/open-telemetry", mod+"/receiver", mod+"/processor", mod+"/instrumentation")
}
