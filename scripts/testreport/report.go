package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// event is a line of go test -json, see go doc test2json and go help buildjson.
type event struct {
	Action     string
	Package    string
	ImportPath string // of build output, perhaps with a test binary in brackets
	Test       string
	Elapsed    float64 // seconds
	Output     string
}

// tally is what is known about a package whose tests are running.
type tally struct {
	output map[string][]string // test name → its lines; "" for those of no test
	passed int
	failed []string
	cached bool
}

type skip struct{ pkg, test, reason string }

// report reads events from r until its end, writes the result to w and says
// whether all tests passed.
func report(r io.Reader, w io.Writer) (ok bool, err error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 16<<20)
	packages := map[string]*tally{}
	build := map[string][]string{} // import path → what the compiler said
	var skips []skip
	var done, passed, failed int

	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			fmt.Fprintln(w, lines.Text()) // the go command itself, before any test
			continue
		}
		if e.ImportPath != "" {
			build[e.ImportPath] = append(build[e.ImportPath], e.Output)
			if e.Action == "build-fail" { // the packages that needed it fail by themselves
				fmt.Fprintf(w, "FAIL  %s does not build\n%s", e.ImportPath, indent(build[e.ImportPath]))
			}
			continue
		}
		p := packages[e.Package]
		if p == nil {
			p = &tally{output: map[string][]string{}}
			packages[e.Package] = p
		}
		switch {
		case e.Action == "output":
			p.output[e.Test] = append(p.output[e.Test], e.Output)
			p.cached = p.cached || e.Test == "" && strings.HasSuffix(e.Output, "\t(cached)\n")
		case e.Test != "":
			switch e.Action {
			case "pass":
				p.passed++
				delete(p.output, e.Test)
			case "fail":
				p.failed = append(p.failed, e.Test)
			case "skip":
				skips = append(skips, skip{e.Package, e.Test, reason(p.output[e.Test])})
			}
		case e.Action == "pass" || e.Action == "fail":
			done++
			passed += p.passed
			failed += len(p.failed)
			p.print(w, e)
			if e.Action == "fail" && len(p.failed) == 0 {
				failed++ // crashed, timed out, did not build
			}
			delete(packages, e.Package)
		case e.Action == "skip": // no test files
			delete(packages, e.Package)
		}
	}
	if err := lines.Err(); err != nil {
		return false, err
	}
	for name := range packages {
		failed++
		fmt.Fprintf(w, "FAIL  %s did not finish\n", name)
	}
	if done == 0 && failed == 0 {
		return false, errors.New("no package was tested")
	}
	fmt.Fprintf(w, "\n%d packages, %d tests passed, %d failed, %d skipped\n", done, passed, failed, len(skips))
	for _, s := range skips {
		fmt.Fprintf(w, "skipped  %s %s: %s\n", s.pkg, s.test, s.reason)
	}
	return failed == 0, nil
}

// print writes the line of a package, and the output of its failures.
func (p *tally) print(w io.Writer, e event) {
	if e.Action == "pass" {
		took := fmt.Sprintf("%.1fs", e.Elapsed)
		if p.cached {
			took = "cached"
		}
		fmt.Fprintf(w, "ok    %s  %d tests, %s\n", e.Package, p.passed, took)
		return
	}
	fmt.Fprintf(w, "FAIL  %s  %.1fs\n", e.Package, e.Elapsed)
	for _, test := range p.failed {
		fmt.Fprint(w, indent(p.output[test]))
	}
	fmt.Fprint(w, indent(p.output[""]))
}

func indent(lines []string) string {
	var b strings.Builder
	for _, l := range lines {
		if l = strings.TrimRight(l, "\n"); l != "" && !strings.HasPrefix(l, "=== ") {
			b.WriteString("      " + l + "\n")
		}
	}
	return b.String()
}

// reason joins what a skipped test said: "file_test.go:12: why".
func reason(output []string) string {
	var said []string
	for _, l := range output {
		l = strings.TrimSpace(l)
		if l != "" && !strings.HasPrefix(l, "=== ") && !strings.HasPrefix(l, "--- ") {
			said = append(said, l)
		}
	}
	if len(said) == 0 {
		return "no reason given"
	}
	return strings.Join(said, " ")
}
