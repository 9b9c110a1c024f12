package carbon_test

import (
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Each function, option and method that programs call has an example that runs, here and in
// the packages below. Those whose comment says that they are for another package are not
// called by programs.
func TestEveryEntryHasAnExample(t *testing.T) {
	for dir, path := range map[string]string{".": "carbon", "grpc": "grpc", "gpu": "gpu", "spanprocessor": "spanprocessor"} {
		set := token.NewFileSet()
		var files []*ast.File
		names, err := filepath.Glob(filepath.Join(dir, "*.go"))
		require.NoError(t, err)
		for _, name := range names {
			src, err := os.ReadFile(name)
			require.NoError(t, err)
			f, err := parser.ParseFile(set, name, src, parser.ParseComments)
			require.NoError(t, err)
			files = append(files, f)
		}
		p, err := doc.NewFromFiles(set, files, path)
		require.NoError(t, err)
		have := map[string]bool{}
		for _, f := range files {
			for _, e := range doc.Examples(f) {
				base, _, _ := strings.Cut(e.Name, "_")
				have[e.Name], have[base] = true, true
				if i := strings.LastIndex(e.Name, "_"); i > 0 {
					have[e.Name[:i]] = true // Type_Method_variant
				}
			}
		}
		entries := 0
		need := func(f *doc.Func, of string) {
			entries++
			name := of + f.Name
			if !have[name] && !strings.Contains(f.Doc, "is for package") && !strings.Contains(f.Doc, "are for package") {
				t.Errorf("%s: no Example%s", path, name)
			}
		}
		for _, f := range p.Funcs {
			need(f, "")
		}
		for _, typ := range p.Types {
			for _, f := range typ.Funcs {
				need(f, "")
			}
			for _, f := range typ.Methods {
				need(f, typ.Name+"_")
			}
		}
		require.NotZero(t, entries, path)
	}
}
