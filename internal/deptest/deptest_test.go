package deptest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The package follows its own rule: it must be free for any package to use.
func TestDependencies(t *testing.T) {
	Only(t)
}

// shop is a module in which a imports b, b imports c for Windows only, and tests
// and ignored files import what they like. The other module is found by replace,
// so nothing is downloaded.
func shop(t *testing.T) string {
	t.Helper()
	return tree(t, map[string]string{
		"go.mod":              "module example.org/shop // a comment\n\ngo 1.26\n\nrequire example.org/other v0.0.0\n\nreplace example.org/other => ./vendored\n",
		"vendored/go.mod":     "module example.org/other\n\ngo 1.26\n",
		"vendored/x/x.go":     "package x\n\nimport (\n\t_ \"log\"\n\n\t_ \"example.org/other/y\"\n)\n",
		"vendored/y/y.go":     "package y\n\nimport _ \"os\"\n",
		"root.go":             "package shop\n",
		"a/a.go":              "package a\n\nimport (\n\t_ \"fmt\"\n\n\t_ \"example.org/shop/b\"\n)\n",
		"a/a_test.go":         "package a\n\nimport _ \"example.org/shop/forbidden\"\n",
		"a/gen.go":            "//go:build ignore\n\npackage main\n\nimport _ \"example.org/shop/forbidden\"\n",
		"a/_old.go":           "package a\n\nimport _ \"example.org/shop/forbidden\"\n",
		"b/b.go":              "package b\n",
		"b/b_windows.go":      "package b\n\nimport _ \"example.org/shop/c\"\n",
		"c/c.go":              "//go:build never && !linux\n\npackage c\n\nimport _ \"net/http\"\n",
		"d/d.go":              "package d\n\nimport _ \"example.org/other/x\"\n",
		"e/e.go":              "package e\n\nimport (\n\t_ \"example.org/other/y\"\n\n\t_ \"example.org/shop/late\"\n)\n",
		"late/late.go":        "package late\n\nimport _ \"os\"\n",
		"bx/bx.go":            "package bx\n\nimport _ \"example.org/shop/b\"\n",
		"f/f.go":              "package f\n\nimport _ \"example.org/shop/bx\"\n",
		"empty/empty_test.go": "package empty\n",
		"clock/clock.go": "package clock\n\nimport clk \"time\"\n\nvar Second = clk.Second\n\n" +
			"func F() clk.Time { return clk.Now() }\n\nfunc G() { clk.Sleep(Second) }\n",
		"dot/dot.go": "package dot\n\nimport . \"time\"\n\nvar _ = Now\n",
	})
}

func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, body := range files {
		name = filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestOnly(t *testing.T) {
	root := shop(t)
	const mod = "example.org/shop"
	for _, c := range []struct {
		name, pkg string
		allowed   []string
		want      []string // chain that each message shows
	}{
		{"a package without imports needs no permission", "", nil, nil},
		{"tests, ignored and underscored files do not count", "a", []string{mod + "/b", mod + "/c"}, nil},
		{"a prefix allows what lies below", "a", []string{mod}, nil},
		{"a trailing slash changes nothing", "a", []string{mod + "/"}, nil},
		{"a file for another system counts", "a", []string{mod + "/b"}, []string{mod + "/a → " + mod + "/b → " + mod + "/c"}},
		{"nothing behind a violation is reported", "a", nil, []string{mod + "/a → " + mod + "/b"}},
		{"a prefix ends at a slash", "f", []string{mod + "/b"}, []string{mod + "/f → " + mod + "/bx"}},
		{"another module is followed", "d", []string{"example.org/other/x"}, []string{mod + "/d → example.org/other/x → example.org/other/y"}},
		{"another module as a whole", "d", []string{"example.org/other"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			g, err := load(filepath.Join(root, c.pkg))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, chains(g.only(c.allowed))); diff != "" {
				t.Errorf("chains (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNever(t *testing.T) {
	root := shop(t)
	const mod = "example.org/shop"
	for _, c := range []struct {
		name, pkg string
		forbidden []string
		want      []string
	}{
		{"what is not reached is no violation", "a", []string{mod + "/forbidden", "example.org/other"}, nil},
		{"the chain is named", "a", []string{mod + "/c"}, []string{mod + "/a → " + mod + "/b → " + mod + "/c"}},
		{"fmt may reach os", "a", []string{"os"}, nil},
		{"a package of the standard library imported by our own", "a", []string{"net"}, []string{mod + "/a → " + mod + "/b → " + mod + "/c → net/http"}},
		{"another module may use log", "d", []string{"log", "os"}, nil},
		{"our own import counts although another module's is nearer", "e", []string{"os"}, []string{mod + "/e → " + mod + "/late → os"}},
		{"a package deep in another module", "d", []string{"example.org/other/y"}, []string{mod + "/d → example.org/other/x → example.org/other/y"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			g, err := load(filepath.Join(root, c.pkg))
			if err != nil {
				t.Fatal(err)
			}
			found := g.never("because", c.forbidden)
			if diff := cmp.Diff(c.want, chains(found)); diff != "" {
				t.Errorf("chains (-want +got):\n%s", diff)
			}
			for _, f := range found {
				if !strings.HasSuffix(f, " (because)") {
					t.Errorf("message %q lacks the reason", f)
				}
			}
		})
	}
}

func TestPureNamesEveryUseOfTheClock(t *testing.T) {
	root := shop(t)
	for pkg, want := range map[string][]string{
		"":      nil,
		"bx":    nil,
		"clock": {"clock/clock.go:7: time.Now", "clock/clock.go:9: time.Sleep"},
		"dot":   {"dot/dot.go: package time"},
	} {
		g, err := load(filepath.Join(root, pkg))
		if err != nil {
			t.Fatal(err)
		}
		found, err := g.clocks()
		if err != nil {
			t.Fatal(err)
		}
		if len(found) != len(want) {
			t.Errorf("%s: found %q, want %q", pkg, found, want)
			continue
		}
		for i := range want {
			if !strings.HasPrefix(found[i], want[i]) {
				t.Errorf("%s: found %q, want %q", pkg, found[i], want[i])
			}
		}
	}
}

// A rule over nothing would hold for ever.
func TestLoadRefusesWhatItCannotCheck(t *testing.T) {
	root := shop(t)
	for _, c := range []struct{ name, dir, want string }{
		{"a folder with tests only", filepath.Join(root, "empty"), "no Go file"},
		{"a folder that does not exist", filepath.Join(root, "nowhere"), "nowhere"},
		{"no module", t.TempDir(), "no go.mod"},
		{"a go.mod without a module line", tree(t, map[string]string{"go.mod": "go 1.26\n", "a.go": "package a\n"}), "module line"},
		{"a broken file", tree(t, map[string]string{"go.mod": "module x.org/x\n", "a.go": "package\n"}), "expected"},
		{"an import that is not there", tree(t, map[string]string{"go.mod": "module x.org/x\n", "a.go": "package a\n\nimport _ \"x.org/x/gone\"\n"}), "gone"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := load(c.dir); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("load = %v, want an error about %q", err, c.want)
			}
		})
	}
}

// The exported functions work on the folder in which the test runs.
func TestFailuresReachTheTest(t *testing.T) {
	t.Chdir(filepath.Join(shop(t), "a"))
	for name, c := range map[string]struct {
		rule func(testing.TB)
		want int
	}{
		"Only":  {func(t testing.TB) { t.Helper(); Only(t, "example.org/shop/b") }, 1},
		"Never": {func(t testing.TB) { t.Helper(); Never(t, "because", "example.org/shop/b", "net") }, 1},
		"Pure":  {func(t testing.TB) { t.Helper(); Pure(t) }, 1},
		"clean": {func(t testing.TB) { t.Helper(); Only(t, "example.org/shop") }, 0},
	} {
		var r recorder
		c.rule(&r)
		if len(r.errors) != c.want {
			t.Errorf("%s reported %q, want %d", name, r.errors, c.want)
		}
	}
}

// recorder is a testing.TB that keeps what it is told.
type recorder struct {
	testing.TB
	errors []string
}

func (r *recorder) Helper() {}

func (r *recorder) Errorf(format string, args ...any) {
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
}

// chains cuts the chain out of each message.
func chains(found []string) []string {
	var out []string
	for _, f := range found {
		_, f, _ = strings.Cut(f, ": ")
		f, _, _ = strings.Cut(f, ";")
		f, _, _ = strings.Cut(f, " (")
		out = append(out, f)
	}
	slices.Sort(out)
	return out
}
