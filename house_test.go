package otelcarbon_test

import (
	"bufio"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The rules of the house that no compiler and no linter knows. Dependency rules
// stand in house_deps_test.go.

const module = "github.com/otelcarbon/otelcarbon"

// nested lists the folders with modules of their own: tools that nobody inherits,
// and comparisons and trials with packages that nobody needs.
func nested() []string {
	return []string{"internal/tools", "internal/bench", "internal/scrape", "examples/http-service", "instrumentation/carbon/internal/otlp"}
}

// A file name with a colon makes the whole module unfetchable, and the zip of a
// module refuses most other signs.
func TestFileNamesArePortable(t *testing.T) {
	portable := regexp.MustCompile(`^[A-Za-z0-9._+-]+$`)
	folded := map[string]string{}
	for _, name := range files(t, "") {
		if !portable.MatchString(path.Base(name)) {
			t.Errorf("%s: file names have letters, digits, dots, underscores, plus and minus only; trees with other names are txtar files", name)
		}
		lower := strings.ToLower(name)
		if other := folded[lower]; other != "" {
			t.Errorf("%s and %s are one file where case does not matter", name, other)
		}
		folded[lower] = name
	}
}

func TestModuleFile(t *testing.T) {
	for line := range strings.SplitSeq(read(t, "go.mod"), "\n") {
		switch word, _, _ := strings.Cut(strings.TrimSpace(line), " "); word {
		case "replace", "exclude", "retract", "toolchain", "tool":
			t.Errorf("go.mod: %q breaks go install or burdens users; tools belong to internal/tools/go.mod", line)
		}
	}
	for _, name := range files(t, "go.mod") {
		if name != "go.mod" && !slices.Contains(nested(), path.Dir(name)) {
			t.Errorf("%s: this is one module (docs/decisions/0001-one-module.md)", name)
		}
	}
}

// The components are built against one release of the collector, and the tools
// that generate and build them come from the same.
func TestVersionsAgree(t *testing.T) {
	want := requirements(t, "go.mod")
	tools := requirements(t, "internal/tools/go.mod")
	const prometheus = "github.com/open-telemetry/opentelemetry-collector-contrib/receiver/prometheusreceiver"
	want[prometheus] = requirements(t, "internal/scrape/go.mod")[prometheus]
	entry := regexp.MustCompile(`(?m)^\s*- gomod: (\S+) (v\S+)$`)
	for _, manifest := range []string{"builder-config.yaml", "examples/distribution-full/builder-config.yaml", "examples/gateway/builder-config.yaml"} {
		text := read(t, manifest)
		ours := regexp.MustCompile(`(?m)^  version: (\S+)$`).FindStringSubmatch(text)
		if ours == nil {
			t.Fatalf("%s has no dist version", manifest)
		}
		entries := entry.FindAllStringSubmatch(text, -1)
		if len(entries) < 9 {
			t.Fatalf("%s: found only %d modules", manifest, len(entries))
		}
		for _, e := range entries {
			name, version := e[1], e[2]
			if name == module && version != "v"+ours[1] {
				t.Errorf("%s: %s %s, but the distribution is version %s", manifest, name, version, ours[1])
			}
			if w := want[name]; w != "" && w != version {
				t.Errorf("%s: %s %s, but go.mod has %s", manifest, name, version, w)
			}
			if name == "go.opentelemetry.io/collector/receiver/otlpreceiver" {
				for _, tool := range []string{"go.opentelemetry.io/collector/cmd/builder", "go.opentelemetry.io/collector/cmd/mdatagen"} {
					if tools[tool] != version {
						t.Errorf("internal/tools/go.mod: %s %s, but %s has collector modules of %s", tool, tools[tool], manifest, version)
					}
				}
			}
		}
	}
}

func TestEveryPackageHasAComment(t *testing.T) {
	documented := map[string]bool{}
	for _, f := range parsed(t) {
		if f.test || f.generated {
			continue
		}
		dir := path.Dir(f.name)
		documented[dir] = documented[dir] || f.syntax.Doc != nil
	}
	for dir, ok := range documented {
		if !ok {
			t.Errorf("%s: no file has a package comment", dir)
		}
	}
}

// What init does happens before anyone asked for it and in no order that a reader
// can see. Blank imports exist for the sake of such functions.
func TestNothingHappensAtImport(t *testing.T) {
	for _, f := range parsed(t) {
		if f.generated {
			continue
		}
		for _, d := range f.syntax.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				t.Errorf("%s: func init", f.name)
			}
		}
		for _, i := range f.syntax.Imports {
			if i.Name != nil && i.Name.Name == "_" && i.Path.Value != `"embed"` {
				t.Errorf("%s: blank import of %s", f.name, i.Path.Value)
			}
		}
	}
}

func TestLinksInDocumentsResolve(t *testing.T) {
	link := regexp.MustCompile(`\]\(<?([^()\s<>]+)>?(?: "[^"]*")?\)`)
	reference := regexp.MustCompile(`^\[[^\]]+\]:\s+<?([^\s<>]+)>?`)
	documents := 0
	for _, name := range files(t, ".md") {
		documents++
		fenced := false
		for i, line := range strings.Split(read(t, name), "\n") {
			if strings.HasPrefix(strings.TrimSpace(line), "```") {
				fenced = !fenced
			}
			if fenced {
				continue
			}
			for _, m := range append(link.FindAllStringSubmatch(line, -1), reference.FindAllStringSubmatch(line, -1)...) {
				target, _, _ := strings.Cut(m[1], "#")
				if target == "" || strings.Contains(target, ":") {
					continue // in the same document, or elsewhere
				}
				if _, err := os.Stat(filepath.Join(filepath.Dir(name), filepath.FromSlash(target))); err != nil {
					t.Errorf("%s:%d: link to %s: %v", name, i+1, m[1], err)
				}
			}
		}
	}
	if documents < 5 {
		t.Errorf("looked at %d documents only", documents)
	}
}

// A folder of cases that turns out empty makes its tests pass for ever.
func TestNoCasesAreMissing(t *testing.T) {
	inside := map[string]int64{} // testdata folder → bytes in it
	for _, name := range files(t, "") {
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			if path.Base(dir) != "testdata" {
				continue
			}
			info, err := os.Stat(filepath.FromSlash(name))
			if err != nil {
				t.Fatal(err)
			}
			inside[dir] += info.Size()
		}
	}
	for dir, bytes := range inside {
		if bytes == 0 {
			t.Errorf("%s holds nothing", dir)
		}
	}
	for _, f := range parsed(t) {
		if !f.test {
			continue
		}
		source := read(t, f.name)
		for _, d := range f.syntax.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Recv != nil || !strings.HasPrefix(fn.Name.Name, "Fuzz") {
				continue
			}
			corpus, err := filepath.Glob(filepath.Join(filepath.Dir(f.name), "testdata", "fuzz", fn.Name.Name, "*"))
			if err != nil {
				t.Fatal(err)
			}
			if len(corpus) == 0 && !strings.Contains(source, ".Add(") {
				t.Errorf("%s: %s starts from nothing: f.Add real inputs or check in a corpus", f.name, fn.Name.Name)
			}
		}
	}
}

func TestScriptsCanBeRun(t *testing.T) {
	for _, name := range []string{".ci/run", "scripts/quickstart", "scripts/check-run"} {
		info, err := os.Stat(name)
		if err != nil {
			t.Error(err)
			continue
		}
		if filepath.Separator == '/' && info.Mode()&0o111 == 0 {
			t.Errorf("%s: mode %v, want it executable", name, info.Mode())
		}
	}
}

// files lists all files of the repository whose name ends in suffix, with
// slashes, relative to its top; neither git's own nor what make has built.
func files(t *testing.T, suffix string) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			switch base := d.Name(); {
			case name == "." || base == ".ci":
				return nil
			case base[0] == '.' || base == "_build" || base == "node_modules":
				return fs.SkipDir
			}
			return nil
		}
		if strings.HasSuffix(name, suffix) {
			names = append(names, filepath.ToSlash(name))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(names) == 0 {
		t.Fatalf("found no file that ends in %q", suffix)
	}
	return names
}

type source struct {
	name            string
	syntax          *ast.File
	test, generated bool
}

// imports lists the import paths of s.
func (s source) imports(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, i := range s.syntax.Imports {
		p, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		all = append(all, p)
	}
	return all
}

// parsed returns all Go files of this module, whatever their build tags.
func parsed(t *testing.T) []source {
	t.Helper()
	var all []source
	for _, name := range files(t, ".go") {
		if strings.Contains(name, "/testdata/") || matches(name, nested()) {
			continue
		}
		syntax, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, source{name, syntax, strings.HasSuffix(name, "_test.go"), ast.IsGenerated(syntax)})
	}
	return all
}

// requirements maps the modules that a go.mod requires to their versions.
func requirements(t *testing.T, name string) map[string]string {
	t.Helper()
	versions := map[string]string{}
	for sc := bufio.NewScanner(strings.NewReader(read(t, name))); sc.Scan(); {
		f := strings.Fields(strings.TrimPrefix(strings.TrimSpace(sc.Text()), "require "))
		if len(f) >= 2 && strings.HasPrefix(f[1], "v") {
			versions[f[0]] = f[1]
		}
	}
	if len(versions) < 10 {
		t.Fatalf("%s: found only %d requirements", name, len(versions))
	}
	return versions
}

func read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.FromSlash(name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
