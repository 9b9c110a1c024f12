package tables

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// problems collects the mistakes in one file, the first maxProblems as text.
type problems struct {
	name  string
	text  string // of the file, to count characters
	errs  []error
	count int
}

func (p *problems) none() bool { return p.count == 0 }

// add records a mistake at a line and a byte of it, both counted from 1.
func (p *problems) add(line, at int, column, format string, args ...any) {
	if p.count++; p.count > maxProblems {
		return
	}
	if column != "" {
		column += ": "
	}
	p.errs = append(p.errs, fmt.Errorf("%s:%d:%d: %s%s",
		p.name, line, p.character(line, at), column, fmt.Sprintf(format, args...)))
}

// character turns a position in bytes into one in characters, which editors show.
func (p *problems) character(line, at int) int {
	rest := p.text
	for range line - 1 {
		_, rest, _ = strings.Cut(rest, "\n")
	}
	return utf8.RuneCountInString(rest[:min(at-1, len(rest))]) + 1
}

func (p *problems) err() error {
	if p.count > len(p.errs) {
		return errors.Join(append(p.errs, fmt.Errorf("%s: and %d more", p.name, p.count-len(p.errs)))...)
	}
	return errors.Join(p.errs...)
}

// shorten keeps a cell fit for an error message.
func shorten(s string) string {
	const most = 60
	if len(s) <= most {
		return s
	}
	cut := most
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}
