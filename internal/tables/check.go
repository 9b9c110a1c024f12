package tables

import (
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/otelcarbon/otelcarbon"
	"github.com/otelcarbon/otelcarbon/data"
)

// Check examines the embedded tables: form, keys, order, ranges, references
// between the tables, and that every source is named in NOTICE and
// data/LICENCES.md. Each error says file, line and what is wrong. The rules are
// those of data/PROVENANCE.md. A test runs it; programs have no need to.
func Check() []error { return check(embedded()) }

// embedded returns the files that Check examines, by their path in the repository.
func embedded() map[string]string {
	return map[string]string{
		"clouds.csv":                  otelcarbon.CloudsCSV(),
		"data/coefficients.csv":       data.Coefficients(),
		"data/cpus.csv":               data.CPUs(),
		"data/embodied.csv":           data.Embodied(),
		"data/gpus.csv":               data.GPUs(),
		"data/grids.csv":              data.Grids(),
		"data/instances.csv":          data.Instances(),
		"data/microarchitectures.csv": data.Microarchitectures(),
		"data/sources.csv":            data.Sources(),
		"data/zones.csv":              data.Zones(),
		"data/LICENCES.md":            data.Licenses(),
		"data/PROVENANCE.md":          data.Provenance(),
		"NOTICE":                      otelcarbon.Notice(),
	}
}

// tableKeys names the columns that each table is sorted by and unique in.
var tableKeys = []struct {
	file string
	keys []string
}{
	{"clouds.csv", []string{"cloud.provider", "cloud.region"}},
	{"data/coefficients.csv", []string{"name"}},
	{"data/cpus.csv", []string{"match_key"}},
	{"data/embodied.csv", []string{"component", "variant"}},
	{"data/gpus.csv", []string{"vendor", "model"}},
	{"data/grids.csv", []string{"zone", "year", "boundary", "basis", "source"}},
	{"data/instances.csv", []string{"cloud.provider", "instance_type"}},
	{"data/microarchitectures.csv", []string{"vendor", "microarchitecture"}},
	{"data/sources.csv", []string{"source"}},
	{"data/zones.csv", []string{"zone_key"}},
}

// maxDataBytes bounds all tables together, because every binary carries them.
const maxDataBytes = 8 << 20

func check(files map[string]string) []error {
	c := &checker{files: files, tables: make(map[string]*table), used: make(map[string]bool)}
	for _, k := range tableKeys {
		c.tables[k.file] = c.load(k.file, k.keys)
	}
	c.sources = c.index("data/sources.csv", "source")
	c.zones = c.index("data/zones.csv", "zone_key")
	c.gridZones = c.index("data/grids.csv", "zone")
	c.families = c.index("data/microarchitectures.csv", "microarchitecture")

	c.checkZones()
	c.checkGrids()
	c.checkClouds()
	c.checkCPUs()
	c.checkMicroarchitectures()
	c.checkGPUs()
	c.checkInstances()
	c.checkConstants()
	c.checkSources()
	c.checkFiles()
	return c.errs
}

type checker struct {
	files  map[string]string
	tables map[string]*table
	errs   []error

	sources, zones, gridZones, families map[string]*entry
	used                                map[string]bool // source ids
}

type table struct {
	file    string
	columns map[string]int
	entries []*entry
	missing map[string]bool // columns that were asked for and are not there
}

// entry is one row of a table under examination.
type entry struct {
	c     *checker
	t     *table
	cells []string
	line  int
}

func (c *checker) report(file string, line int, format string, args ...any) {
	c.errs = append(c.errs, fmt.Errorf("%s:%d: %s", file, line, fmt.Sprintf(format, args...)))
}

// load reads a table and checks what holds for all of them.
func (c *checker) load(file string, keys []string) *table {
	t := &table{file: file, columns: map[string]int{}, missing: map[string]bool{}}
	text := c.files[file]
	c.checkForm(file, text)
	in := csv.NewReader(strings.NewReader(strings.TrimPrefix(text, "\ufeff")))
	in.FieldsPerRecord = -1
	head, err := in.Read()
	if err != nil {
		c.report(file, 1, "no header: %v", err)
		return t
	}
	for i, name := range head {
		if _, twice := t.columns[name]; twice {
			c.report(file, 1, "column %s appears twice", name)
			continue
		}
		t.columns[name] = i
	}
	for {
		cells, err := in.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			if e, ok := errors.AsType[*csv.ParseError](err); ok {
				c.report(file, e.Line, "%v", e.Err)
				continue
			}
			c.report(file, 1, "%v", err)
			break
		}
		line, _ := in.FieldPos(0)
		if len(cells) != len(head) {
			c.report(file, line, "%d cells, header has %d", len(cells), len(head))
			continue
		}
		t.entries = append(t.entries, &entry{c: c, t: t, cells: cells, line: line})
	}
	for _, e := range t.entries {
		e.checkCells(head)
	}
	c.checkOrder(t, keys)
	return t
}

func (c *checker) checkForm(file, text string) {
	if strings.HasPrefix(text, "\ufeff") {
		c.report(file, 1, "byte order mark")
	}
	line := 0
	for l := range strings.Lines(text) {
		line++
		if !strings.HasSuffix(l, "\r\n") {
			c.report(file, line, "line does not end with CRLF")
			break
		}
		if strings.Contains(l[:len(l)-2], "\r") {
			c.report(file, line, "carriage return inside the line")
		}
		if !utf8.ValidString(l) {
			c.report(file, line, "not UTF-8")
		}
	}
	if line < 2 {
		c.report(file, 1, "no rows")
	}
}

func (e *entry) checkCells(head []string) {
	for i, v := range e.cells {
		if v != strings.TrimSpace(v) {
			e.wrong("space around %s", head[i])
		}
		if strings.ContainsAny(v, "\r\n") {
			e.wrong("line end inside %s", head[i])
		}
		switch strings.ToLower(v) {
		case "nan", "none", "null", "n/a", "-":
			e.wrong("placeholder %q in %s: leave the cell empty", v, head[i])
		}
	}
}

func (c *checker) checkOrder(t *table, keys []string) {
	seen := make(map[string]int)
	for i, e := range t.entries {
		key := make([]string, len(keys))
		for j, k := range keys {
			key[j] = e.get(k)
			if strings.Contains(key[j], `"`) {
				e.wrong("double quote in the key %s", k)
			}
		}
		id := strings.Join(key, ", ")
		if first, twice := seen[id]; twice {
			e.wrong("repeated key %s, first in line %d", id, first)
			continue
		}
		seen[id] = e.line
		if i > 0 && t.entries[i-1].compare(e, keys) > 0 {
			e.wrong("not sorted by %s: belongs further up", strings.Join(keys, ", "))
		}
	}
}

func (e *entry) compare(to *entry, keys []string) int {
	for _, k := range keys {
		a, b := e.get(k), to.get(k)
		if k == "year" {
			x, _ := strconv.Atoi(a)
			y, _ := strconv.Atoi(b)
			if d := cmp.Compare(x, y); d != 0 {
				return d
			}
			continue
		}
		if d := strings.Compare(a, b); d != 0 {
			return d
		}
	}
	return 0
}

func (c *checker) index(file, column string) map[string]*entry {
	m := make(map[string]*entry)
	for _, e := range c.tables[file].entries {
		m[e.get(column)] = e
	}
	return m
}

func (e *entry) wrong(format string, args ...any) { e.c.report(e.t.file, e.line, format, args...) }

func (e *entry) get(column string) string {
	i, ok := e.t.columns[column]
	if !ok {
		if !e.t.missing[column] {
			e.t.missing[column] = true
			e.c.report(e.t.file, 1, "no column %s", column)
		}
		return ""
	}
	return e.cells[i]
}

// number checks a cell and returns its value; ok is false if it is empty or not a
// number.
func (e *entry) number(column string, lo, hi float64) (f float64, ok bool) {
	v := e.get(column)
	if v == "" {
		return 0, false
	}
	if !isDecimal(v) {
		e.wrong("%s is not a plain decimal: %q", column, v)
		return 0, false
	}
	f, err := strconv.ParseFloat(v, 64)
	if err != nil || f < lo || f > hi {
		e.wrong("%s = %s is outside %g..%g", column, v, lo, hi)
	}
	return f, true
}

// value is number for a cell that is checked elsewhere.
func (e *entry) value(column string) float64 {
	f, _ := strconv.ParseFloat(e.get(column), 64)
	return f
}

func (e *entry) required(column string, lo, hi float64) (f float64, ok bool) {
	if e.get(column) == "" {
		e.wrong("%s is empty", column)
	}
	return e.number(column, lo, hi)
}

func (e *entry) year(column string) {
	if v := e.get(column); v != "" && (len(v) != 4 || !all(v, isDigit) || v < "2010" || v > "2029") {
		e.wrong("%s = %q is not a year from 2010 to 2029", column, v)
	}
}

func (e *entry) oneOf(column string, words ...string) {
	if v := e.get(column); !slices.Contains(words, v) {
		e.wrong("%s %q is none of %s", column, v, strings.Join(words, ", "))
	}
}

func (e *entry) country(column string) string {
	v := e.get(column)
	if v != "" && !isCountry(v) {
		e.wrong("%s %q is not an ISO 3166-1 alpha-2 code", column, v)
	}
	return v
}

func (e *entry) subdivision() {
	if v := e.get("subdivision_code"); v != "" && !isSubdivision(v, e.get("country_code")) {
		e.wrong("subdivision_code %q is not one of %q", v, e.get("country_code"))
	}
}

// source checks that every id of a cell is in sources.csv.
func (e *entry) source(column string) {
	for id := range strings.SplitSeq(e.get(column), "+") {
		if id == "" {
			continue
		}
		e.c.used[id] = true
		if e.c.sources[id] == nil {
			e.wrong("%s %q is not in data/sources.csv", column, id)
		}
	}
}

// together checks that a figure has its source and, where wanted, its year.
func (e *entry) together(value, year, source string, needsYear bool) {
	v, y, s := e.get(value), e.get(year), e.get(source)
	if (v == "") != (s == "") {
		e.wrong("%s and %s must be given together", value, source)
	}
	if v == "" && y != "" {
		e.wrong("%s without %s", year, value)
	}
	if needsYear && v != "" && y == "" {
		e.wrong("%s without %s", value, year)
	}
	e.year(year)
	e.source(source)
}
