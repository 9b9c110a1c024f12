package sysfs

import (
	"testing"

	"github.com/otelcarbon/otelcarbon/internal/deptest"
)

func TestDependencies(t *testing.T) {
	deptest.Only(t, "golang.org/x/sys/unix")
}
