package otlpjsonl

import (
	"errors"
	"fmt"
	"time"
)

// Options bound what a Merger keeps and choose what it delivers. Start from [DefaultOptions].
type Options struct {
	// MaxLineBytes is the longest line that is read; longer ones are skipped and counted.
	MaxLineBytes int
	// MaxDepth is the deepest nesting of JSON values that is decoded; a deeper line is broken. The
	// decoder recurses, so this is what keeps a hostile line from exhausting the stack.
	MaxDepth int
	// WindowLines is how many lines of a file wait to be put in order; 0 takes a file as it is.
	WindowLines int
	// WindowBytes also bounds the waiting lines of a file, by the size of their JSON.
	WindowBytes int
	// Ahead is how many lines of a file are decoded before they are asked for.
	Ahead int
	// MaxProblems is how many broken lines are kept with their place and error; all are counted.
	MaxProblems int
	// From and To, where set, keep only the items with From <= event time < To.
	From, To time.Time
}

// DefaultOptions suit recordings whose lines are of some hundred kilobytes and nearly in order.
func DefaultOptions() Options {
	return Options{
		MaxLineBytes: 64 << 20,
		MaxDepth:     256,
		WindowLines:  64,
		WindowBytes:  16 << 20,
		Ahead:        8,
		MaxProblems:  10,
	}
}

// Validate reports everything that is wrong with the options.
func (o Options) Validate() error {
	var errs []error
	if o.MaxLineBytes <= 0 {
		errs = append(errs, fmt.Errorf("maximum line length must be greater than 0, got %d", o.MaxLineBytes))
	}
	if o.MaxDepth <= 0 || o.MaxDepth > 10_000 {
		errs = append(errs, fmt.Errorf("maximum depth must be from 1 to 10000, got %d", o.MaxDepth))
	}
	if o.WindowLines < 0 {
		errs = append(errs, fmt.Errorf("reorder window must not be negative, got %d lines", o.WindowLines))
	}
	if o.WindowBytes < 0 {
		errs = append(errs, fmt.Errorf("reorder window must not be negative, got %d bytes", o.WindowBytes))
	}
	if o.Ahead < 0 {
		errs = append(errs, fmt.Errorf("lines decoded ahead must not be negative, got %d", o.Ahead))
	}
	if o.MaxProblems < 0 {
		errs = append(errs, fmt.Errorf("kept problems must not be negative, got %d", o.MaxProblems))
	}
	for _, t := range []time.Time{o.From, o.To} {
		if !t.IsZero() && (t.Before(time.Unix(0, 0)) || t.After(maxTime)) {
			errs = append(errs, fmt.Errorf("a cut must lie between 1970 and 2262, got %s", t.Format(time.RFC3339)))
		}
	}
	if !o.From.IsZero() && !o.To.IsZero() && !o.From.Before(o.To) {
		errs = append(errs, fmt.Errorf("from (%s) must be before to (%s)", o.From.Format(time.RFC3339Nano), o.To.Format(time.RFC3339Nano)))
	}
	return errors.Join(errs...)
}
