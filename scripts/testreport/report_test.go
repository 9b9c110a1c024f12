package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReport(t *testing.T) {
	for _, c := range []struct {
		name, in, want string
		ok             bool
	}{
		{
			"passes are one line, skips are listed with their reason",
			`{"Action":"start","Package":"m/a"}
{"Action":"run","Package":"m/a","Test":"TestOne"}
{"Action":"output","Package":"m/a","Test":"TestOne","Output":"=== RUN   TestOne\n"}
{"Action":"pass","Package":"m/a","Test":"TestOne","Elapsed":0}
{"Action":"output","Package":"m/a","Test":"TestTwo","Output":"=== RUN   TestTwo\n"}
{"Action":"output","Package":"m/a","Test":"TestTwo","Output":"    a_test.go:7: no GPU here\n"}
{"Action":"output","Package":"m/a","Test":"TestTwo","Output":"--- SKIP: TestTwo (0.00s)\n"}
{"Action":"skip","Package":"m/a","Test":"TestTwo","Elapsed":0}
{"Action":"output","Package":"m/a","Output":"PASS\n"}
{"Action":"pass","Package":"m/a","Elapsed":1.25}
{"Action":"output","Package":"m/b","Output":"?   \tm/b\t[no test files]\n"}
{"Action":"skip","Package":"m/b","Elapsed":0}
`,
			`ok    m/a  1 tests, 1.2s

1 packages, 1 tests passed, 0 failed, 1 skipped
skipped  m/a TestTwo: a_test.go:7: no GPU here
`, true,
		},
		{
			"a cached result says so",
			`{"Action":"output","Package":"m/a","Output":"ok  \tm/a\t(cached)\n"}
{"Action":"pass","Package":"m/a","Elapsed":0}
`,
			"ok    m/a  0 tests, cached\n\n1 packages, 0 tests passed, 0 failed, 0 skipped\n", true,
		},
		{
			"a failure shows its output and not that of others",
			`{"Action":"output","Package":"m/a","Test":"TestOne","Output":"    a_test.go:3: fine\n"}
{"Action":"pass","Package":"m/a","Test":"TestOne"}
{"Action":"output","Package":"m/a","Test":"TestTwo","Output":"=== RUN   TestTwo\n"}
{"Action":"output","Package":"m/a","Test":"TestTwo","Output":"    a_test.go:9: got 1, want 2\n"}
{"Action":"fail","Package":"m/a","Test":"TestTwo"}
{"Action":"output","Package":"m/a","Output":"FAIL\n"}
{"Action":"fail","Package":"m/a","Elapsed":0.5}
`,
			`FAIL  m/a  0.5s
          a_test.go:9: got 1, want 2
      FAIL

1 packages, 1 tests passed, 1 failed, 0 skipped
`, false,
		},
		{
			"a package that does not compile",
			`{"ImportPath":"m/a [m/a.test]","Action":"build-output","Output":"# m/a\n"}
{"ImportPath":"m/a [m/a.test]","Action":"build-output","Output":"a.go:1:1: undefined: x\n"}
{"ImportPath":"m/a [m/a.test]","Action":"build-fail"}
{"Action":"output","Package":"m/a","Output":"FAIL\tm/a [build failed]\n"}
{"Action":"fail","Package":"m/a","Elapsed":0,"FailedBuild":"m/a [m/a.test]"}
`,
			`FAIL  m/a [m/a.test] does not build
      # m/a
      a.go:1:1: undefined: x
FAIL  m/a  0.0s
      FAIL	m/a [build failed]

1 packages, 0 tests passed, 1 failed, 0 skipped
`, false,
		},
		{
			"a run that was cut off",
			`{"Action":"output","Package":"m/a","Test":"TestOne","Output":"=== RUN   TestOne\n"}
`,
			"FAIL  m/a did not finish\n\n0 packages, 0 tests passed, 1 failed, 0 skipped\n", false,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out strings.Builder
			ok, err := report(strings.NewReader(c.in), &out)
			if err != nil {
				t.Fatal(err)
			}
			if ok != c.ok {
				t.Errorf("ok = %v, want %v", ok, c.ok)
			}
			if diff := cmp.Diff(c.want, out.String()); diff != "" {
				t.Errorf("report (-want +got):\n%s", diff)
			}
		})
	}
}

// What the go command says before any test starts is shown, and is no success.
func TestReportOfNothing(t *testing.T) {
	var out strings.Builder
	ok, err := report(strings.NewReader("go: cannot find main module\n"), &out)
	if ok || err == nil {
		t.Errorf("report of nothing = %v, %v, want an error", ok, err)
	}
	if got := out.String(); got != "go: cannot find main module\n" {
		t.Errorf("output %q", got)
	}
}
