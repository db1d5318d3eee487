package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode"

	"golang.org/x/term"
)

type colour string

const (
	plain  colour = ""
	green  colour = "\x1b[32m"
	red    colour = "\x1b[31m"
	yellow colour = "\x1b[33m"
	bold   colour = "\x1b[1m"
	reset         = "\x1b[0m"
)

// teller prints what happens, one line each, with the time since the run began and, in its second column, since the
// fault was injected.
type teller struct {
	out      io.Writer
	colours  bool
	began    time.Time
	injected time.Time
}

func newTeller(out *os.File) *teller {
	return &teller{out: out, colours: os.Getenv("NO_COLOR") == "" && term.IsTerminal(int(out.Fd()))}
}

// say prints a line that belongs to the moment at.
func (t *teller) say(at time.Time, c colour, format string, args ...any) {
	since := strings.Repeat(" ", 8)
	if !t.injected.IsZero() {
		since = fmt.Sprintf("%+7.1fs", at.Sub(t.injected).Seconds())
	}
	t.print(c, fmt.Sprintf("%6.1fs %s  ", at.Sub(t.began).Seconds(), since), fmt.Sprintf(format, args...))
}

// detail prints a line that belongs to the one before.
func (t *teller) detail(format string, args ...any) {
	t.print(plain, strings.Repeat(" ", 20), fmt.Sprintf(format, args...))
}

func (t *teller) line(c colour, format string, args ...any) {
	t.print(c, "", fmt.Sprintf(format, args...))
}

func (t *teller) print(c colour, margin, text string) {
	text = printable(text)
	if t.colours && c != plain {
		text = string(c) + text + reset
	}
	fmt.Fprintln(t.out, margin+text)
}

// printable takes away what could make a terminal do something: texts come from telemetry.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsPrint(r):
			return r
		case r == '\t':
			return ' '
		}
		return '�'
	}, s)
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

// table prints rows in columns as wide as their contents; the first row is a heading.
func (t *teller) table(rows [][]string) {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], len([]rune(cell)))
		}
	}
	for n, row := range rows {
		var b strings.Builder
		for i, cell := range row {
			b.WriteString(cell + strings.Repeat(" ", widths[i]-len([]rune(cell))+2))
		}
		c := plain
		if n == 0 {
			c = bold
		}
		t.line(c, "%s", strings.TrimRight(b.String(), " "))
	}
}
