// Package experiment is what the command of the experiments and each of them agree on.
package experiment

import (
	"context"
	"fmt"
	"io"

	"github.com/paramedic-otel/paramedic/experiments/internal/result"
)

// Experiment can be run by the command.
type Experiment struct {
	// Name is that of its result; -only takes it.
	Name string
	// Clock is [result.Real] for what waits for real components; such experiments run one at a time and with nothing beside them.
	Clock result.Clock
	// Run makes the result. It fills in everything but Command, Machine, Quick and Took, which the command knows.
	Run func(context.Context, Options) (*result.Result, error)
}

// Options are what the user asked for.
type Options struct {
	// Seeds are the repetitions to run; at least one.
	Seeds []uint64
	// Quick asks for a subset that takes seconds, for continuous integration; it says nothing of accuracy.
	Quick bool
	// Parallel is how many runs may be under way at once.
	Parallel int
	// Log takes a line for each step that is worth waiting for.
	Log io.Writer
}

// Logf writes a line to the log.
func (o Options) Logf(format string, args ...any) {
	if o.Log != nil {
		fmt.Fprintf(o.Log, format+"\n", args...)
	}
}
