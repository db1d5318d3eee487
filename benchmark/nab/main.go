// Command nab measures the anomaly processor on the Numenta Anomaly Benchmark: every series of a NAB folder passes
// through the real processor, with its default configuration, one point after the other.
//
//	go run ./benchmark/nab -data DIR -out DIR2 [-shift MINUTES]
//	go run ./benchmark/nab -data DIR -shifts 8 [-out DIR2]
//
// DIR holds data/<group>/<file>.csv and labels/combined_windows.json. DIR2 gets <group>/<file>.csv with an anomaly
// score for every row, and the file threshold with the score from which on a row is an alarm. With -shifts the mean over
// several harmless shifts of the time axis is printed, and DIR2 gets a folder for each.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// shiftStep lies between the shifts of -shifts: it shares no divisor with an hour, so each one moves whatever bins of
// time a detector may have to another place.
const shiftStep = 37 * time.Minute

func main() {
	data := flag.String("data", "", "NAB folder with data/<group>/*.csv and, to score, labels/combined_windows.json")
	out := flag.String("out", "", "folder to write the scores and the threshold to")
	shift := flag.Int("shift", 0, "minutes to add to the timestamps that the processor sees")
	shifts := flag.Int("shifts", 0, "print the mean over this many shifts of 0, 37, 74, ... minutes")
	verbose := flag.Bool("v", false, "print every file")
	flag.Parse()
	if *data == "" || (*out == "" && *shifts == 0) || *shifts < 0 || (*shifts > 0 && *shift != 0) || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	var err error
	if *shifts > 0 {
		err = runShifts(context.Background(), *data, *out, *shifts, *verbose, os.Stdout)
	} else {
		err = run(context.Background(), *data, *out, time.Duration(*shift)*time.Minute, *verbose, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "nab:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, dir, out string, shift time.Duration, verbose bool, w io.Writer) error {
	began := time.Now()
	c, err := readCorpus(dir)
	if err != nil {
		return err
	}
	d, err := detectAll(ctx, c, shift)
	if err != nil {
		return err
	}
	if err := d.write(out, c); err != nil {
		return err
	}
	scored, err := d.prepare(c)
	if err != nil {
		return err
	}
	report(w, outcomeOf(scored, d.threshold, shift), verbose)
	took(w, c, 1, time.Since(began))
	return nil
}

func runShifts(ctx context.Context, dir, out string, n int, verbose bool, w io.Writer) error {
	began := time.Now()
	c, err := readCorpus(dir)
	if err != nil {
		return err
	}
	var all []outcome
	for i := range n {
		shift := time.Duration(i) * shiftStep
		d, err := detectAll(ctx, c, shift)
		if err != nil {
			return err
		}
		if out != "" {
			if err := d.write(filepath.Join(out, fmt.Sprintf("shift-%03d", int(shift.Minutes()))), c); err != nil {
				return err
			}
		}
		scored, err := d.prepare(c)
		if err != nil {
			return err
		}
		all = append(all, outcomeOf(scored, d.threshold, shift))
	}
	reportShifts(w, all, verbose)
	took(w, c, n, time.Since(began))
	return nil
}

func took(w io.Writer, c *corpus, passes int, d time.Duration) {
	rows := 0
	for _, f := range c.files {
		rows += len(f.rows)
	}
	fmt.Fprintf(w, "%d files, %d rows, %d passes in %s\n", len(c.files), rows, passes, d.Round(10*time.Millisecond))
}
