package otelcarbon_test

import (
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/otelcarbon/otelcarbon/internal/deptest"
)

// Everything embeds clouds.csv through this package, so it may need nothing.
func TestDependencies(t *testing.T) {
	deptest.Only(t)
}

// rule says what some packages never reach through packages of this module. Each
// guarded package says the same in a test of its own, which also looks behind
// other modules; this table makes sure that no package is forgotten.
type rule struct {
	packages []string // folders, with all that lies below; a trailing ! means that folder alone
	but      []string // exceptions, in the same notation
	never    []string // import paths, with all that lies below; "+" stands for this module
	allowed  []string // exceptions among those
	planned  bool     // holds from the first commit of packages that do not exist yet
	reason   string
}

func rules() []rule {
	return []rule{
		{
			packages: []string{".!", "internal/unit", "internal/names", "data"},
			never:    []string{"+"},
			reason:   "words and data know nothing of what is done with them",
		}, {
			packages: []string{"intensity", "internal"},
			never:    []string{"go.opentelemetry.io/collector", "github.com/open-telemetry"},
			reason:   "applications must not inherit the collector, and lower layers get plain structs",
		}, {
			packages: []string{"instrumentation"},
			never:    []string{"go.opentelemetry.io/collector", "github.com/open-telemetry"},
			planned:  true,
			reason:   "applications must not inherit the collector",
		}, {
			packages: []string{"intensity", "instrumentation"},
			but:      []string{"instrumentation/carbon/grpc"},
			never:    []string{"google.golang.org/grpc"},
			reason:   "applications without gRPC must not inherit it",
		}, {
			packages: []string{"instrumentation/carbon!"},
			never:    []string{"go.opentelemetry.io/otel/sdk"},
			planned:  true,
			reason:   "instrumentation needs the API only",
		}, {
			packages: []string{"instrumentation"},
			but:      []string{"instrumentation/carbon/gpu"},
			never: []string{
				"+/internal/host", "+/internal/sensor/all", "+/internal/sensor/nvml",
				"github.com/shirou/gopsutil", "github.com/NVIDIA/go-nvml",
			},
			planned: true,
			reason:  "go mod tidy ignores build tags, so their requirements would enter every application's go.mod",
		}, {
			packages: []string{"receiver"},
			never:    []string{"+/processor", "+/instrumentation", "+/cmd", "+/examples", "+/scripts"},
			reason:   "a face does not import another",
		}, {
			packages: []string{"processor"},
			never:    []string{"+/receiver", "+/instrumentation", "+/cmd", "+/examples", "+/scripts"},
			reason:   "a face does not import another",
		}, {
			packages: []string{"internal", "intensity", "instrumentation", "cmd", "data", "examples"},
			never:    []string{"+/receiver", "+/processor"},
			reason:   "nothing imports a component",
		}, {
			packages: []string{"internal", "intensity", "instrumentation", "data", "examples"},
			never:    []string{"+/cmd", "+/examples", "+/scripts"},
			reason:   "nothing imports a command",
		}, {
			packages: []string{"internal/sensor", "internal/host", "internal/workload", "internal/tables"},
			never:    []string{"+/internal/ledger", "+/internal/emission", "+/intensity"},
			reason:   "data flows from sensors to the ledger to the faces",
		}, {
			packages: []string{"internal/energy"},
			never:    []string{"+"},
			allowed:  []string{"+/internal/unit"},
			reason:   "arithmetic stands on units alone",
		}, {
			packages: []string{"internal/sensor"},
			but:      []string{"internal/sensor/all"},
			never:    []string{"+/internal/host", "github.com/shirou/gopsutil"},
			reason:   "utilization is handed in by the caller",
		}, {
			packages: []string{"."},
			but:      []string{"cmd", "scripts", "examples"},
			never:    []string{"github.com/spf13"},
			reason:   "only commands parse flags",
		}, {
			packages: []string{"."},
			never: []string{
				"github.com/stretchr/testify", "github.com/google/go-cmp", "pgregory.net/rapid", "go.uber.org/goleak",
				"go.opentelemetry.io/collector/component/componenttest",
			},
			but: []string{
				"internal/testfs", "internal/sensor/sensortest", "intensity/intensitytest", "internal/e2e",
				"receiver/powerreceiver/internal/metadatatest", "processor/carbonprocessor/internal/metadatatest",
			},
			reason: "only tests need it",
		},
	}
}

func TestWhoMayImportWhom(t *testing.T) {
	imports := imported(t)
	for _, r := range rules() {
		guarded := 0
		for pkg := range imports {
			if !matches(pkg, r.packages) || matches(pkg, r.but) {
				continue
			}
			guarded++
			for _, chain := range reached(imports, pkg) {
				target := chain[len(chain)-1]
				if target == module+strings.TrimPrefix("/"+pkg, "/.") || within(target, r.packages) ||
					!below(target, r.never) || below(target, r.allowed) {
					continue
				}
				t.Errorf("%s → %s: %s", pkg, strings.Join(chain, " → "), r.reason)
			}
		}
		if guarded == 0 && !r.planned {
			t.Errorf("no package under %v, so the rule %q guards nothing", r.packages, r.reason)
		}
	}
}

// pure packages are where the numbers come from: the same arguments give the same
// results, at any time and on any machine.
func pure() []string {
	return []string{
		"internal/unit", "internal/names", "internal/energy", "internal/emission", "internal/budget", "internal/ledger", "internal/idle", "intensity!",
		"instrumentation/carbon/internal/clock",
	}
}

func TestPurePackagesTouchNothing(t *testing.T) {
	clock := regexp.MustCompile(`\btime\.(Now|Since|Until|Sleep|After|AfterFunc|Tick|NewTimer|NewTicker)\(`)
	outside := []string{"C", "crypto/rand", "log", "math/rand", "net", "os", "syscall", "golang.org/x/sys", "go.uber.org/zap"}
	seen := map[string]bool{}
	for _, f := range parsed(t) {
		pkg := path.Dir(f.name)
		if f.test || !matches(pkg, pure()) {
			continue
		}
		seen[pkg] = true
		for _, i := range f.imports(t) {
			if below(i, outside) {
				t.Errorf("%s imports %s", f.name, i)
			}
		}
		for n, line := range strings.Split(read(t, f.name), "\n") {
			code, _, _ := strings.Cut(line, "//")
			if clock.MatchString(code) {
				t.Errorf("%s:%d: %s", f.name, n+1, strings.TrimSpace(line))
			}
		}
	}
	for _, pkg := range pure() {
		if !seen[strings.TrimSuffix(pkg, "!")] {
			t.Errorf("%s has no files", pkg)
		}
	}
}

// A rule is checked again when the guarded package changes only if it is a test of
// that package.
func TestGuardedPackagesGuardThemselves(t *testing.T) {
	guards := map[string]bool{}
	for _, f := range parsed(t) {
		if f.test && slices.Contains(f.imports(t), module+"/internal/deptest") {
			guards[path.Dir(f.name)] = true
		}
	}
	for pkg := range imported(t) {
		if !matches(pkg, []string{"internal", "intensity", "instrumentation", "data", ".!"}) ||
			strings.HasSuffix(pkg, "test") || matches(pkg, []string{"internal/testfs", "internal/e2e"}) {
			continue
		}
		if !guards[pkg] {
			t.Errorf("%s has no deps_test.go with deptest.Only", pkg)
		}
	}
}

// imported maps each folder with a package to what its files import, tests left out.
func imported(t *testing.T) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	for _, f := range parsed(t) {
		if !f.test {
			pkg := path.Dir(f.name)
			all[pkg] = append(all[pkg], f.imports(t)...)
		}
	}
	return all
}

// reached lists a shortest chain to everything that pkg reaches through packages
// of this module.
func reached(imports map[string][]string, pkg string) [][]string {
	var chains [][]string
	seen := map[string]bool{}
	todo := [][]string{nil}
	for ; len(todo) > 0; todo = todo[1:] {
		chain, from := todo[0], pkg
		if len(chain) > 0 {
			last := chain[len(chain)-1]
			chains = append(chains, chain)
			if last != module && !strings.HasPrefix(last, module+"/") {
				continue
			}
			if from = strings.TrimPrefix(strings.TrimPrefix(last, module), "/"); from == "" {
				from = "."
			}
		}
		for _, next := range imports[from] {
			if !seen[next] {
				seen[next] = true
				todo = append(todo, append(slices.Clone(chain), next))
			}
		}
	}
	return chains
}

// matches says whether the folder pkg is one of patterns.
func matches(pkg string, patterns []string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		if exact, ok := strings.CutSuffix(p, "!"); ok {
			return pkg == exact
		}
		return p == "." || pkg == p || strings.HasPrefix(pkg, p+"/")
	})
}

// within says whether the import path target lies in one of the folders.
func within(target string, folders []string) bool {
	pkg, ours := strings.CutPrefix(target, module+"/")
	return ours && matches(pkg, folders)
}

// below says whether the import path target is one of paths or lies below.
func below(target string, paths []string) bool {
	return slices.ContainsFunc(paths, func(p string) bool {
		p = strings.Replace(p, "+", module, 1)
		return target == p || strings.HasPrefix(target, p+"/")
	})
}
