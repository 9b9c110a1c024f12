package tables

import (
	"encoding/csv"
	"sort"
	"strconv"
	"strings"

	"github.com/otelcarbon/otelcarbon/internal/unit"
)

// Value is one figure and where it comes from. The unit is that of the field
// which holds it: g/kWh for intensities, 1 for PUE and fractions, L/kWh for WUE.
type Value struct {
	V      float64
	Year   int    // the year that the figure describes, 0 if its source does not say
	Source string // id in sources.csv; several are joined by "+"
	Area   string // place that the figure is for, "" where that is the row itself
	OK     bool   // false: unknown, V is then 0
}

// row is one record of an embedded table, cells found by column name.
type row struct {
	columns map[string]int
	cells   []string
	line    int
}

func (r row) text(column string) string {
	if i, ok := r.columns[column]; ok && i < len(r.cells) {
		return r.cells[i]
	}
	return ""
}

// number returns 0 for an empty cell.
func (r row) number(column string) float64 {
	v, _ := strconv.ParseFloat(r.text(column), 64)
	return v
}

func (r row) integer(column string) int {
	v, _ := strconv.Atoi(r.text(column))
	return v
}

func (r row) watts(column string) unit.Microwatts { return unit.FromWatts(r.number(column)) }

func (r row) value(column, source string) Value {
	v, err := strconv.ParseFloat(r.text(column), 64)
	if err != nil {
		return Value{}
	}
	return Value{V: v, Source: r.text(source), OK: true}
}

// rows calls yield for each record of an embedded table. Records that cannot be
// read are left out: Check reports them, and a test runs Check.
func rows(text string) func(yield func(row) bool) {
	return func(yield func(row) bool) {
		in := csv.NewReader(strings.NewReader(text))
		in.FieldsPerRecord = -1
		in.ReuseRecord = true
		head, err := in.Read()
		if err != nil {
			return
		}
		columns := positions(head)
		for {
			cells, err := in.Read()
			if cells == nil {
				return
			}
			if err != nil || len(cells) != len(columns) {
				continue
			}
			line, _ := in.FieldPos(0)
			if !yield(row{columns: columns, cells: cells, line: line}) {
				return
			}
		}
	}
}

func positions(head []string) map[string]int {
	columns := make(map[string]int, len(head))
	for i, name := range head {
		columns[strings.Clone(name)] = i
	}
	return columns
}

// sorted searches the text of an embedded table whose rows are sorted by key,
// without parsing the rows that it passes. Keys contain no double quote and rows
// no line end, which Check makes sure of.
type sorted struct {
	columns map[string]int
	body    string
}

func newSorted(text string) *sorted {
	head, body, _ := strings.Cut(text, "\n")
	cells, err := csv.NewReader(strings.NewReader(head)).Read()
	if err != nil {
		return &sorted{}
	}
	return &sorted{columns: positions(cells), body: body}
}

// find returns the row for which compare is 0; compare says how the line of a row
// stands to what is sought.
func (s *sorted) find(compare func(line string) int) (row, bool) {
	n := sort.Search(len(s.body), func(i int) bool {
		return compare(s.lineAt(i)) >= 0
	})
	if n == len(s.body) {
		return row{}, false
	}
	line := s.lineAt(n)
	if compare(line) != 0 {
		return row{}, false
	}
	return s.parse(line)
}

// each calls yield for the lines of the table in order.
func (s *sorted) each(yield func(line string) bool) {
	for line := range strings.Lines(s.body) {
		if !yield(line) {
			return
		}
	}
}

func (s *sorted) parse(line string) (row, bool) {
	cells, err := csv.NewReader(strings.NewReader(line)).Read()
	if err != nil || len(cells) != len(s.columns) {
		return row{}, false
	}
	return row{columns: s.columns, cells: cells}, true
}

// lineAt returns the line that the byte at offset i belongs to.
func (s *sorted) lineAt(i int) string {
	start := strings.LastIndexByte(s.body[:i], '\n') + 1
	end := strings.IndexByte(s.body[start:], '\n')
	if end < 0 {
		return s.body[start:]
	}
	return s.body[start : start+end+1]
}

// firstCell cuts the first cell off a line.
func firstCell(line string) (cell, rest string) {
	if quoted, ok := strings.CutPrefix(line, `"`); ok {
		cell, rest, _ = strings.Cut(quoted, `"`)
		return cell, strings.TrimPrefix(rest, ",")
	}
	cell, rest, _ = strings.Cut(line, ",")
	return cell, rest
}
