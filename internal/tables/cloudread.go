package tables

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Bounds of a user's table: fifty times what the embedded one needs.
const (
	maxTableBytes = 16 << 20
	maxTableRows  = 100_000
	maxLineBytes  = 1 << 20
	maxProblems   = 20 // more than anybody repairs in one go
)

// ReadClouds reads a user's table of cloud regions; name is what errors call the
// file. The table has the columns of clouds.csv by name, in any order, as csv in
// UTF-8, with either line end, with or without byte order mark. Required are
// cloud.provider, cloud.region and one of lifecycle_carbon_intensity_g_per_kwh and
// direct_carbon_intensity_g_per_kwh; an empty cell, like a column that is left
// out, means unknown.
//
// If anything is wrong there is no table, and the error joins one error for each
// mistake, at most 20 and then their number: file:line:character: column: what is
// wrong and what would be right. The largest table has 16 MiB and 100 000 rows.
func ReadClouds(name string, r io.Reader) (*CloudTable, error) {
	raw, err := io.ReadAll(io.LimitReader(r, maxTableBytes+1))
	if err != nil {
		return nil, fmt.Errorf("%s: reading the table of cloud regions: %w", name, err)
	}
	if len(raw) > maxTableBytes {
		return nil, fmt.Errorf("%s: larger than %d MiB: this is not a table of cloud regions", name, maxTableBytes>>20)
	}
	rows, err := parseClouds(name, string(raw))
	if err != nil {
		return nil, err
	}
	return newCloudTable(rows), nil
}

func parseClouds(name, text string) ([]Cloud, error) {
	p := &cloudParser{problems: problems{name: name}}
	if text = p.decode(text); p.none() {
		p.parse(text)
	}
	return p.rows, p.err()
}

type cloudParser struct {
	problems

	in      *csv.Reader
	columns []*cloudColumn // of the file, in its order
	at      map[string]int // column name to its position
	seen    map[[2]string]int
	rows    []Cloud
}

// decode refuses what is not text, so that csv sees only UTF-8 in sane lines.
func (p *cloudParser) decode(text string) string {
	if strings.HasPrefix(text, "\xff\xfe") || strings.HasPrefix(text, "\xfe\xff") {
		p.add(1, 1, "", "the file is UTF-16: save it as UTF-8")
		return ""
	}
	text = strings.TrimPrefix(text, "\ufeff")
	p.text = text
	line := 0
	for l := range strings.Lines(text) {
		line++
		l = strings.TrimSuffix(strings.TrimSuffix(l, "\n"), "\r")
		switch {
		case len(l) > maxLineBytes:
			p.add(line, 1, "", "line of %d bytes: the longest allowed has %d", len(l), maxLineBytes)
		case strings.IndexByte(l, 0) >= 0:
			p.add(line, strings.IndexByte(l, 0)+1, "", "NUL byte: this is not a text file")
		case strings.IndexByte(l, '\r') >= 0:
			p.add(line, strings.IndexByte(l, '\r')+1, "", "carriage return inside a line: end lines with LF or CRLF")
		case !utf8.ValidString(l):
			p.add(line, invalid(l)+1, "", "not UTF-8: save the file as UTF-8")
		default:
			continue
		}
		if p.count >= maxProblems {
			break
		}
	}
	return text
}

func invalid(s string) int {
	for i, r := range s {
		if r == utf8.RuneError {
			if _, size := utf8.DecodeRuneInString(s[i:]); size == 1 {
				return i
			}
		}
	}
	return len(s)
}

func (p *cloudParser) parse(text string) {
	p.in = csv.NewReader(strings.NewReader(text))
	p.in.FieldsPerRecord = -1
	p.in.ReuseRecord = true
	p.seen = make(map[[2]string]int)
	head, err := p.in.Read()
	if errors.Is(err, io.EOF) {
		p.add(1, 1, "", "the table is empty: the first line names the columns, as in clouds.csv")
		return
	}
	if err != nil {
		p.malformed(err)
		return
	}
	if p.header(head); !p.none() {
		return
	}
	for {
		cells, err := p.in.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			p.malformed(err)
			continue
		}
		if len(p.rows) == maxTableRows {
			line, _ := p.in.FieldPos(0)
			p.add(line, 1, "", "more than %d rows: this is not a table of cloud regions", maxTableRows)
			return
		}
		p.row(cells)
	}
	if len(p.rows) == 0 && p.none() {
		p.add(1, 1, "", "the table has no rows below its header")
	}
}

func (p *cloudParser) malformed(err error) {
	e, ok := errors.AsType[*csv.ParseError](err)
	if !ok {
		p.add(1, 1, "", "%v", err)
		return
	}
	switch {
	case errors.Is(e.Err, csv.ErrQuote):
		p.add(e.Line, e.Column, "", `a quoted cell, opened in line %d, is not closed by a single ": write a " inside it as ""`, e.StartLine)
	case errors.Is(e.Err, csv.ErrBareQuote):
		p.add(e.Line, e.Column, "", `a " inside a cell that does not begin with one: put the whole cell in quotes and write it as ""`)
	default:
		p.add(e.Line, e.Column, "", "%v", e.Err)
	}
}

func (p *cloudParser) header(head []string) {
	if len(head) == 1 {
		for _, c := range []struct{ sep, name string }{{";", "semicolons"}, {"\t", "tabs"}} {
			if strings.Contains(head[0], c.sep) {
				p.add(1, 1, "", "columns are separated by %s: separate them by commas", c.name)
				return
			}
		}
	}
	p.at = make(map[string]int, len(head))
	p.columns = make([]*cloudColumn, len(head))
	for i, name := range head {
		if first, twice := p.at[name]; twice {
			p.cell(i, name, "column appears twice, as number %d and %d: remove one", first+1, i+1)
			continue
		}
		p.at[name] = i
		if p.columns[i] = cloudColumnNamed(name); p.columns[i] == nil {
			p.cell(i, shorten(name), "unknown column%s", p.suggest(name))
		}
	}
	for _, name := range []string{columnProvider, columnRegion} {
		if _, ok := p.at[name]; !ok {
			p.add(1, 1, name, "required column is missing")
		}
	}
	_, lifecycle := p.at[columnLifecycle]
	_, direct := p.at[columnDirect]
	if !lifecycle && !direct {
		p.add(1, 1, columnLifecycle, "this column or %s is required", columnDirect)
	}
}

func (p *cloudParser) suggest(name string) string {
	if strings.TrimSpace(name) == "" {
		return ": every column needs a name"
	}
	near := nearest(strings.ToLower(strings.TrimSpace(name)), func(yield func(string) bool) {
		for i := range cloudColumns {
			if !yield(cloudColumns[i].name) {
				return
			}
		}
	})
	if near == "" {
		return ": remove it, or name it as clouds.csv does"
	}
	return fmt.Sprintf(": did you mean %s?", near)
}

func (p *cloudParser) row(cells []string) {
	line, _ := p.in.FieldPos(0)
	if blank(cells) {
		return // a spreadsheet's leftover
	}
	if len(cells) != len(p.columns) {
		p.add(line, 1, "", "%d cells, but the header has %d: a comma inside a cell needs quotes around the cell", len(cells), len(p.columns))
		return
	}
	before := p.count
	c := Cloud{Line: line}
	for i, v := range cells {
		col := p.columns[i]
		if v == "" {
			if col.required {
				p.cell(i, col.name, "empty: every row names its provider and region")
			}
			continue
		}
		if wrong := col.read(&c, v); wrong != "" {
			p.cell(i, col.name, "%q %s", shorten(v), wrong)
		}
	}
	if p.count > before {
		return // what follows would only repeat it
	}
	if p.relations(&c, cells); p.count > before {
		return
	}
	key := [2]string{c.Provider, c.Region}
	if first, twice := p.seen[key]; twice {
		p.cell(p.at[columnRegion], columnRegion, "%s %s stands in line %d already: keep one of the two", c.Provider, c.Region, first)
		return
	}
	p.seen[key] = line
	p.rows = append(p.rows, c)
}

// relations checks what one cell alone cannot tell.
func (p *cloudParser) relations(c *Cloud, cells []string) {
	for i := range cloudFigures {
		f := &cloudFigures[i]
		v := f.of(c)
		switch {
		case v.OK:
		case v.Year != 0:
			p.named(f.year, "is given without %s", f.value)
		case v.Source != "":
			p.named(f.source, "is given without %s", f.value)
		case v.Area != "":
			p.named(f.area, "is given without %s", f.value)
		}
	}
	if c.Chosen.OK && c.ChosenBoundary == "" {
		p.named(columnChosen, "is given without %s: say lifecycle or direct", columnBoundary)
	}
	if c.Subdivision != "" && !isSubdivision(c.Subdivision, c.Country) {
		p.named("subdivision_code", "%q is not an ISO 3166-2 code of the country %q, such as US-VA", c.Subdivision, c.Country)
	}
	for _, pair := range [][2]string{
		{"latitude_deg", "longitude_deg"},
		{"carbon_intensity_min_g_per_kwh", "carbon_intensity_max_g_per_kwh"},
	} {
		if a, b := p.given(cells, pair[0]), p.given(cells, pair[1]); a && !b {
			p.named(pair[0], "is given without %s", pair[1])
		} else if b && !a {
			p.named(pair[1], "is given without %s", pair[0])
		}
	}
	if c.HasRange && c.Min > c.Max {
		p.named("carbon_intensity_min_g_per_kwh", "%g is above the maximum %g of the same row", c.Min, c.Max)
	}
}

func (p *cloudParser) given(cells []string, column string) bool {
	i, ok := p.at[column]
	return ok && cells[i] != ""
}

func blank(cells []string) bool {
	for _, c := range cells {
		if c != "" {
			return false
		}
	}
	return true
}

// cell reports a mistake in a cell of the current record.
func (p *cloudParser) cell(i int, column, format string, args ...any) {
	line, at := p.in.FieldPos(i)
	p.add(line, at, column, format, args...)
}

// named is cell for a column by name, or the line if the file lacks the column.
func (p *cloudParser) named(column, format string, args ...any) {
	i, ok := p.at[column]
	if !ok {
		i = 0
	}
	p.cell(i, column, format, args...)
}
