package otlpjsonl

import (
	"fmt"
	"strings"
)

// Stats say what was read so far, which runs ahead of what was delivered.
type Stats struct {
	// Lines are those that were decoded.
	Lines int64
	// Items are the spans, points and records in them, without those cut away.
	Items [NumSignals]int64
	// Cut are the items outside Options.From and To.
	Cut int64
	// Empty are the lines without items; they are not delivered. Undated are those without a time.
	Empty, Undated int64
	// Late are the lines that came too late for the reorder window and were delivered out of order.
	Late int64
	// Broken are the lines that could not be decoded, TooLong those above the limit, Unreadable the
	// files that could not be read to their end.
	Broken, TooLong, Unreadable int64
	// Problems are the first of these three kinds, at most Options.MaxProblems, by file and line.
	Problems []Problem
}

// Lost is how many lines, or ends of files, were not read.
func (s Stats) Lost() int64 { return s.Broken + s.TooLong + s.Unreadable }

// Problem is a line that was not read.
type Problem struct {
	Path string
	Line int64
	Err  error
}

func (p Problem) Error() string {
	// The decoder quotes the line, which may hold anything a terminal would obey.
	text := strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, p.Err.Error())
	return fmt.Sprintf("%s:%d: %s", p.Path, p.Line, text)
}

// Unwrap is the cause.
func (p Problem) Unwrap() error { return p.Err }

// Stats sums up all files.
func (m *Merger) Stats() Stats {
	var sum Stats
	for _, f := range m.files {
		f.mu.Lock()
		s := f.stats
		f.mu.Unlock()
		sum.Lines += s.Lines
		for i, n := range s.Items {
			sum.Items[i] += n
		}
		sum.Cut += s.Cut
		sum.Empty += s.Empty
		sum.Undated += s.Undated
		sum.Late += s.Late
		sum.Broken += s.Broken
		sum.TooLong += s.TooLong
		sum.Unreadable += s.Unreadable
		sum.Problems = append(sum.Problems, s.Problems[:min(len(s.Problems), f.opts.MaxProblems-len(sum.Problems))]...)
	}
	return sum
}
