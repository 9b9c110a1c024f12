// Package deptest turns the dependency rules of this module into tests. A rule
// stands in the package that it guards, so that the test runs again whenever
// something below that package changes:
//
//	func TestDependencies(t *testing.T) {
//		deptest.Only(t, mod+"/internal/unit")
//		deptest.Never(t, "applications must not inherit the collector", "go.opentelemetry.io/collector")
//		deptest.Pure(t)
//	}
//
// All rules are about the package in whose folder the test runs, without its
// tests. Files of this module count whatever their build tags and operating
// system are, except for the tag ignore: that is how go mod tidy sees them, and
// so how they enter the go.mod of every user. Packages of other modules are
// taken as they build on the machine that runs the test.
package deptest

import (
	"slices"
	"strings"
	"testing"
)

// Only fails t unless everything that the package under test reaches belongs to
// the standard library, is the package itself, or equals or lies below one of
// the allowed import paths. What an allowed package of another module imports
// has to be allowed too. Each failure names the chain of imports that leads out.
func Only(t testing.TB, allowed ...string) {
	t.Helper()
	report(t, func(g *graph) ([]string, error) { return g.only(allowed), nil })
}

// Never fails t if the package under test reaches a package that equals or lies
// below one of the forbidden import paths; reason ends up in the message. A
// package of the standard library counts only where a package of this module
// imports it itself, since nearly everything reaches os by way of fmt.
func Never(t testing.TB, reason string, forbidden ...string) {
	t.Helper()
	report(t, func(g *graph) ([]string, error) { return g.never(reason, forbidden), nil })
}

// Pure fails t if the package under test, or a package of this module that it
// reaches, imports a way to files, sockets, processes or logs, or uses the clock
// of package time. Types and arithmetic of package time are pure.
func Pure(t testing.TB) {
	t.Helper()
	report(t, func(g *graph) ([]string, error) {
		found := g.never("pure code takes what it needs as arguments", impure())
		clocks, err := g.clocks()
		return append(found, clocks...), err
	})
}

// impure lists what a pure package does not import. Package embed is allowed:
// what it reads was fixed when the program was built.
func impure() []string {
	return []string{
		"C", "crypto/rand", "io/ioutil", "log", "math/rand", "net", "os", "plugin", "syscall", "testing",
		"golang.org/x/sys", "golang.org/x/net", "go.uber.org/zap", "github.com/go-logr/logr",
	}
}

func report(t testing.TB, rule func(*graph) ([]string, error)) {
	t.Helper()
	g, err := load(".")
	if err != nil {
		t.Fatalf("deptest: %v", err)
	}
	found, err := rule(g)
	if err != nil {
		t.Fatalf("deptest: %v", err)
	}
	for _, f := range found {
		t.Errorf("deptest: %s", f)
	}
}

// only returns one message for each import that leaves the allowed packages. It
// does not look behind such an import.
func (g *graph) only(allowed []string) []string {
	var found []string
	g.walk(func(path string, chain []string) bool {
		if g.standard[path] || path == g.start || under(path, allowed) {
			return true
		}
		found = append(found, g.start+" may not reach "+path+": "+strings.Join(chain, " → ")+
			"; allowed are the standard library and "+list(allowed))
		return false
	})
	return found
}

// never reports other modules' packages where they are first reached, and those of
// the standard library at every package of this module that imports them.
func (g *graph) never(reason string, forbidden []string) []string {
	var found []string
	add := func(path string, chain []string) {
		found = append(found, g.start+" must never reach "+path+": "+strings.Join(chain, " → ")+" ("+reason+")")
	}
	g.walk(func(path string, chain []string) bool {
		if path != g.start && !g.standard[path] && under(path, forbidden) {
			add(path, chain)
			return false
		}
		if g.own[path] {
			for _, i := range g.imports[path] {
				if g.standard[i] && under(i, forbidden) {
					add(i, append(slices.Clone(chain), i))
				}
			}
		}
		return true
	})
	return found
}

func under(path string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool {
		return path == p || strings.HasPrefix(path, strings.TrimSuffix(p, "/")+"/")
	})
}

func list(paths []string) string {
	if len(paths) == 0 {
		return "nothing else"
	}
	return strings.Join(paths, ", ")
}
