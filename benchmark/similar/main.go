// Command similar asks, of repeated faults of the simulated shop, whether the incident store finds the incident of the same fault at the
// same service among all past ones.
//
//	go run ./benchmark/similar -first 2 -seeds 3
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"
)

type options struct {
	first, seeds, services, repeats, workers int
	learn, watch, after                      time.Duration
	save, load                               string
	verbose                                  bool
}

func main() {
	var o options
	flag.IntVar(&o.first, "first", 2, "the first seed; 1 is the one that the weights were chosen with")
	flag.IntVar(&o.seeds, "seeds", 3, "how many seeds to draw faults with")
	flag.IntVar(&o.services, "services", 6, "at how many services, at most, each kind of fault is injected")
	flag.IntVar(&o.repeats, "repeats", 3, "how often each fault is injected at each of them")
	flag.IntVar(&o.workers, "workers", 2, "simulations at a time")
	flag.DurationVar(&o.learn, "learn", 10*time.Minute, "least simulated time before a fault")
	flag.DurationVar(&o.watch, "watch", 2*time.Minute, "simulated time for which a fault lasts")
	flag.DurationVar(&o.after, "after", 90*time.Second, "simulated time to go on after the fault")
	flag.StringVar(&o.save, "save", "", "file to write what was simulated to, one JSON object per line")
	flag.StringVar(&o.load, "load", "", "file to read it from instead of simulating")
	flag.BoolVar(&o.verbose, "v", false, "print every miss")
	flag.Parse()
	if flag.NArg() > 0 || o.seeds < 1 || o.workers < 1 || o.repeats < 1 || o.services < 1 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(context.Background(), o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "similar:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options, w io.Writer) error {
	draws, err := o.injections(ctx)
	if err != nil {
		return err
	}
	if o.save != "" {
		if err := save(o.save, draws); err != nil {
			return err
		}
	}
	return judge(ctx, o, draws, w)
}

// injections are those of each seed, simulated or read.
func (o options) injections(ctx context.Context) ([][]injection, error) {
	if o.load != "" {
		return load(o.load)
	}
	var draws [][]injection
	for draw := o.first; draw < o.first+o.seeds; draw++ {
		plan := newPlan(o, draw)
		if err := simulate(ctx, o, plan); err != nil {
			return nil, err
		}
		draws = append(draws, plan)
	}
	return draws, nil
}

func save(path string, draws [][]injection) (err error) {
	f, err := os.Create(path) //nolint:gosec // the file that the user names
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	e := json.NewEncoder(f)
	for _, plan := range draws {
		for i := range plan {
			if err := e.Encode(&plan[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

func load(path string) (draws [][]injection, err error) {
	f, err := os.Open(path) //nolint:gosec // the file that the user names
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	d := json.NewDecoder(bufio.NewReader(f))
	for {
		var one injection
		if err := d.Decode(&one); errors.Is(err, io.EOF) {
			return draws, nil
		} else if err != nil {
			return nil, err
		}
		if n := len(draws); n == 0 || draws[n-1][0].Draw != one.Draw {
			draws = append(draws, nil)
		}
		draws[len(draws)-1] = append(draws[len(draws)-1], one)
	}
}
