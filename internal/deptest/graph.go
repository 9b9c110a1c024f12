package deptest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/build/constraint"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// graph is what one package reaches, without tests.
type graph struct {
	start    string              // import path of the package under test
	module   string              // path of the module that it belongs to
	root     string              // folder of that module
	imports  map[string][]string // sorted; imports of the standard library's own packages are left out
	standard map[string]bool
	own      map[string]bool // packages of the module
}

// load reads the graph of the package in folder dir.
func load(dir string) (*graph, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	g := &graph{imports: map[string][]string{}, standard: map[string]bool{}, own: map[string]bool{}}
	if g.root, g.module, err = findModule(dir); err != nil {
		return nil, err
	}
	rel, err := filepath.Rel(g.root, dir)
	if err != nil {
		return nil, err
	}
	g.start = g.module
	if rel != "." {
		g.start += "/" + filepath.ToSlash(rel)
	}
	outside, err := g.addOwn()
	if err != nil {
		return nil, err
	}
	if err := g.addOutside(outside); err != nil {
		return nil, err
	}
	return g, nil
}

// addOwn follows imports inside the module, from the files themselves, and
// returns the packages of other modules that it meets.
func (g *graph) addOwn() (outside []string, err error) {
	for todo := []string{g.start}; len(todo) > 0; todo = todo[1:] {
		path := todo[0]
		if g.own[path] {
			continue
		}
		g.own[path] = true
		files, err := g.files(path)
		if err != nil {
			return nil, err
		}
		if len(files) == 0 {
			return nil, fmt.Errorf("%s has no Go file outside tests, so there is nothing to check", path)
		}
		for _, f := range files {
			for _, spec := range f.syntax.Imports {
				imported, err := strconv.Unquote(spec.Path.Value)
				if err != nil {
					return nil, fmt.Errorf("%s: import %s: %w", f.name, spec.Path.Value, err)
				}
				g.imports[path] = append(g.imports[path], imported)
				switch {
				case g.inModule(imported):
					todo = append(todo, imported)
				case isStandard(imported):
					g.standard[imported] = true
				default:
					outside = append(outside, imported)
				}
			}
		}
		slices.Sort(g.imports[path])
		g.imports[path] = slices.Compact(g.imports[path])
	}
	slices.Sort(outside)
	return slices.Compact(outside), nil
}

// addOutside asks the go command what packages of other modules import.
func (g *graph) addOutside(paths []string) error {
	if len(paths) == 0 {
		return nil
	}
	cmd := exec.Command("go", append([]string{"list", "-e", "-deps", "-json=ImportPath,Imports,Standard", "--"}, paths...)...) //nolint:gosec,noctx // import paths of our own files
	cmd.Dir = g.root
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=readonly", "GOWORK=off") //nolint:forbidigo // the go command needs it
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("go list -deps in %s: %w\n%s", g.root, err, stderr.Bytes())
	}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			ImportPath string
			Imports    []string
			Standard   bool
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("output of go list -deps: %w", err)
		}
		if p.Standard {
			g.standard[p.ImportPath] = true
			continue
		}
		for _, i := range p.Imports {
			if isStandard(i) {
				g.standard[i] = true
			}
		}
		if !g.own[p.ImportPath] {
			slices.Sort(p.Imports)
			g.imports[p.ImportPath] = p.Imports
		}
	}
}

// walk visits every package once, nearest first, with the shortest chain of
// imports that leads to it, and goes on below those for which visit says so.
func (g *graph) walk(visit func(path string, chain []string) bool) {
	seen := map[string]bool{g.start: true}
	for todo := [][]string{{g.start}}; len(todo) > 0; todo = todo[1:] {
		chain := todo[0]
		path := chain[len(chain)-1]
		if !visit(path, chain) {
			continue
		}
		for _, next := range g.imports[path] {
			if !seen[next] {
				seen[next] = true
				todo = append(todo, append(slices.Clone(chain), next))
			}
		}
	}
}

// clocks names each use of a function of package time that reads the clock or
// waits, in the package under test and what it reaches in this module.
func (g *graph) clocks() ([]string, error) {
	var found []string
	for _, path := range slices.Sorted(maps.Keys(g.own)) {
		files, err := g.files(path)
		if err != nil {
			return nil, err
		}
		for _, f := range files {
			name := importedAs(f.syntax, "time")
			if name == "" {
				continue
			}
			if name == "." {
				found = append(found, f.name+": package time imported with a dot hides uses of the clock")
				continue
			}
			ast.Inspect(f.syntax, func(n ast.Node) bool {
				sel, ok := n.(*ast.SelectorExpr)
				if !ok {
					return true
				}
				if x, ok := sel.X.(*ast.Ident); ok && x.Name == name && readsClock(sel.Sel.Name) {
					found = append(found, f.pos(sel)+": time."+sel.Sel.Name+
						" reads the clock; pure code takes the moment as an argument")
				}
				return true
			})
		}
	}
	return found, nil
}

func readsClock(function string) bool {
	switch function {
	case "Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker":
		return true
	}
	return false
}

type file struct {
	name   string // relative to the module, with slashes
	syntax *ast.File
	fset   *token.FileSet
}

func (f file) pos(n ast.Node) string {
	return f.name + ":" + strconv.Itoa(f.fset.Position(n.Pos()).Line)
}

// files parses the Go files of a package of the module that go mod tidy would
// look at, tests left out.
func (g *graph) files(path string) ([]file, error) {
	rel := strings.TrimPrefix(strings.TrimPrefix(path, g.module), "/")
	dir := filepath.Join(g.root, filepath.FromSlash(rel))
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("package %s: %w", path, err)
	}
	var files []file
	for _, e := range entries {
		name := e.Name()
		if e.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") ||
			strings.HasPrefix(name, "_") || strings.HasPrefix(name, ".") {
			continue
		}
		fset := token.NewFileSet()
		syntax, err := parser.ParseFile(fset, filepath.Join(dir, name), nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		if !ignored(syntax) {
			files = append(files, file{strings.TrimPrefix(rel+"/"+name, "/"), syntax, fset})
		}
	}
	return files, nil
}

// ignored says whether no build at all includes f.
func ignored(f *ast.File) bool {
	for _, group := range f.Comments {
		if group.Pos() > f.Package {
			break
		}
		for _, c := range group.List {
			if !constraint.IsGoBuild(c.Text) {
				continue
			}
			if x, err := constraint.Parse(c.Text); err == nil {
				return !satisfiable(x, true)
			}
		}
	}
	return false
}

// satisfiable takes every tag but ignore as both set and not set.
func satisfiable(x constraint.Expr, want bool) bool {
	switch x := x.(type) {
	case *constraint.TagExpr:
		return x.Tag != "ignore" || !want
	case *constraint.NotExpr:
		return satisfiable(x.X, !want)
	case *constraint.AndExpr:
		if want {
			return satisfiable(x.X, want) && satisfiable(x.Y, want)
		}
		return satisfiable(x.X, want) || satisfiable(x.Y, want)
	case *constraint.OrExpr:
		if want {
			return satisfiable(x.X, want) || satisfiable(x.Y, want)
		}
		return satisfiable(x.X, want) && satisfiable(x.Y, want)
	}
	return true
}

func (g *graph) inModule(path string) bool {
	return path == g.module || strings.HasPrefix(path, g.module+"/")
}

// isStandard uses the rule of the go command: the first element of the path of a
// module has a dot.
func isStandard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".")
}

func importedAs(f *ast.File, path string) string {
	for _, spec := range f.Imports {
		if spec.Path.Value != strconv.Quote(path) {
			continue
		}
		if spec.Name != nil {
			return spec.Name.Name
		}
		return path[strings.LastIndex(path, "/")+1:]
	}
	return ""
}

// findModule returns the folder of the module around dir, and its path.
func findModule(dir string) (root, path string, err error) {
	for root = dir; ; root = filepath.Dir(root) {
		data, err := os.ReadFile(filepath.Join(root, "go.mod"))
		if err == nil {
			path, err = modulePath(data)
			return root, path, err
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", "", err
		}
		if root == filepath.Dir(root) {
			return "", "", fmt.Errorf("no go.mod in %s or above", dir)
		}
	}
}

func modulePath(gomod []byte) (string, error) {
	for sc := bufio.NewScanner(bytes.NewReader(gomod)); sc.Scan(); {
		if f := strings.Fields(sc.Text()); len(f) >= 2 && f[0] == "module" {
			return strings.Trim(f[1], `"`), nil
		}
	}
	return "", errors.New("go.mod has no module line")
}
