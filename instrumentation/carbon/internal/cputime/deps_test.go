package cputime_test

import (
	"testing"

	"github.com/otelcarbon/otelcarbon/internal/deptest"
)

func TestDependencies(t *testing.T) {
	deptest.Only(t) // the standard library: it is in every application
}
