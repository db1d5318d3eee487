// Command petshop measures root-cause localisation on the PetShop data.
//
//	go run ./benchmark/petshop -data DIR -mode window|baseline|specificity -out FILE
//
// DIR is a folder of scenario folders, each with graph.csv, train, test and noissue. FILE gets one JSON object per line and
// issue, or fault-free window and metric; a summary is printed.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/paramedic-otel/paramedic/internal/nodeimpact"
)

func main() {
	var o options
	flag.StringVar(&o.data, "data", "", "folder of scenario folders")
	flag.StringVar(&o.out, "out", "", "file to write one JSON object per line and issue to; none without")
	flag.StringVar(&o.mode, "mode", modeWindow, "window, baseline or specificity")
	flag.DurationVar(&o.late, "late", 0, "how much later than in the data the symptom is noticed")
	flag.BoolVar(&o.sweeps, "sweeps", false, "print what becomes of the accuracy without parts of the method, with edges missing, and with other parameters")
	flag.BoolVar(&o.verbose, "v", false, "print the first candidates of each issue")
	flag.Parse()
	if o.data == "" || flag.NArg() > 0 || !slices.Contains([]string{modeWindow, modeBaseline, modeSpecificity}, o.mode) {
		flag.Usage()
		os.Exit(2)
	}
	if err := o.run(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "petshop:", err)
		os.Exit(1)
	}
}

type options struct {
	data, out, mode string
	late            time.Duration
	sweeps, verbose bool
}

func (o *options) run(w io.Writer) error {
	scenarios, err := readScenarios(o.data)
	if err != nil {
		return err
	}
	r := run{mode: o.mode, parameters: nodeimpact.Defaults(), late: o.late}
	var results []result
	if o.mode == modeSpecificity {
		results = r.specificity(w, scenarios)
		if o.sweeps {
			specificitySweep(w, r, scenarios)
		}
	} else {
		results = r.all(scenarios)
		if o.verbose {
			explain(w, results)
		}
		summarize(w, results)
		if o.sweeps {
			sweep(w, r, scenarios)
		}
	}
	if o.out == "" {
		return nil
	}
	return write(o.out, results)
}

// all localises the issues of all scenarios.
func (r *run) all(scenarios []scenario) []result {
	var out []result
	for i := range scenarios {
		out = append(out, r.localise(&scenarios[i])...)
	}
	return out
}

// explain prints where the true cause came and who else was named.
func explain(w io.Writer, results []result) {
	const first = 4
	for i := range results {
		r := &results[i]
		place := "missed"
		if rank := r.rank(); rank != missed {
			place = fmt.Sprint(rank)
		}
		fmt.Fprintf(w, "%s %s %s %s, cause %s: %s of %d;", r.Scenario, r.Split, r.Issue, r.Metric, r.cause, place, len(r.Ranking))
		for _, c := range r.Ranking[:min(len(r.Ranking), first)] {
			fmt.Fprintf(w, " %s %.3g", c.Entity, c.Score)
		}
		fmt.Fprintln(w)
	}
}

func write(path string, results []result) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	b := bufio.NewWriter(f)
	e := json.NewEncoder(b)
	for i := range results {
		if err := e.Encode(&results[i]); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	return errors.Join(b.Flush(), f.Close())
}
