package names_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/otelcarbon/otelcarbon/internal/deptest"
	"github.com/otelcarbon/otelcarbon/internal/names"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
)

func TestDependencies(t *testing.T) {
	deptest.Only(t)
	deptest.Pure(t)
}

// Sensors speak of the method in words of their own, since they stand below.
func TestSensorsUseTheSameWords(t *testing.T) {
	for method, want := range map[sensor.Method]string{
		sensor.Measured:   names.MethodMeasured,
		sensor.Integrated: names.MethodIntegrated,
		sensor.Modelled:   names.MethodModelled,
	} {
		if string(method) != want {
			t.Errorf("sensor says %q, names say %q", method, want)
		}
	}
}

func TestNamesAreWellFormedAndDistinct(t *testing.T) {
	forms := map[string]*regexp.Regexp{
		"Metric":   regexp.MustCompile(`^(hw|carbon)(\.[a-z][a-z_]*)+$`),
		"Attr":     regexp.MustCompile(`^(hw|carbon)(\.[a-z][a-z_]*)+$`),
		"Resource": regexp.MustCompile(`^(host|cloud|geo|process|container|k8s)(\.[a-z][a-z_]*)+$`),
		"Unit":     regexp.MustCompile(`^\S+$`),
		"":         regexp.MustCompile(`^[a-z][a-z0-9_]*$`),
	}
	seen := map[string]string{}
	for name, value := range constants(t) {
		group := ""
		for g := range forms {
			if g != "" && strings.HasPrefix(name, g) {
				group = g
			}
		}
		if !forms[group].MatchString(value) {
			t.Errorf("%s = %q does not match %v", name, value, forms[group])
		}
		if group == "" {
			continue // an enumeration may share words with another: measured
		}
		if other := seen[group+value]; other != "" {
			t.Errorf("%s and %s are both %q", name, other, value)
		}
		seen[group+value] = name
	}
}

// constants reads all string constants of the package from its source, so that
// none can be forgotten here.
func constants(t *testing.T) map[string]string {
	t.Helper()
	paths, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok {
				return true
			}
			for i, name := range spec.Names {
				value, err := strconv.Unquote(spec.Values[i].(*ast.BasicLit).Value)
				if err != nil {
					t.Fatalf("%s: %v", name.Name, err)
				}
				all[name.Name] = value
			}
			return true
		})
	}
	if len(all) < 50 {
		t.Fatalf("only %d constants found", len(all))
	}
	return all
}
