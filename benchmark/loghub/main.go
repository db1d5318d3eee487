// Command loghub measures how well logpattern groups the lines of the annotated logs of Loghub.
package main

import (
	"encoding/csv"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/paramedic-otel/paramedic/internal/logpattern"
)

// options are the flags.
type options struct {
	data, out                 string
	errors, perturbed, costly bool
}

func main() {
	var o options
	flag.StringVar(&o.data, "data", "", "folder with a folder for each system")
	flag.StringVar(&o.out, "out", "", "folder for the results, a file a system; none are written without it")
	flag.BoolVar(&o.errors, "errors", false, "print the groups that are wrong")
	flag.BoolVar(&o.perturbed, "perturb", false, "print the scores with other settings, and with settings chosen without each system, instead")
	flag.BoolVar(&o.costly, "cost", false, "print what a line costs instead")
	flag.Parse()
	if err := run(os.Stdout, o); err != nil {
		fmt.Fprintln(os.Stderr, "loghub:", err)
		os.Exit(1)
	}
}

// system is an annotated log.
type system struct {
	name                string
	ids, lines, correct []string
}

func run(w io.Writer, o options) error {
	if o.data == "" {
		return errors.New("-data must name the folder with the systems; see the README")
	}
	systems, err := readAll(o.data)
	if err != nil {
		return err
	}
	if o.costly {
		cost(w, systems)
		return nil
	}
	if o.perturbed {
		perturb(w, systems)
		return nil
	}
	fmt.Fprintln(w, "| system | lines | groups | true groups | GA | FGA | GA at the time | PA | FTA |")
	fmt.Fprintln(w, "|---|---|---|---|---|---|---|---|---|")
	var total, atOnce scores
	for _, s := range systems {
		r := mine([]system{s}, logpattern.DefaultSettings())
		if o.out != "" {
			if err := r.write(filepath.Join(o.out, s.name+".csv"), s.ids); err != nil {
				return err
			}
		}
		final, first := score(r.final, r.templates, s.correct), score(r.first, r.templates, s.correct)
		row(w, s.name, len(s.lines), final, first)
		add(&total, final)
		add(&atOnce, first)
		if o.errors {
			printErrors(w, s, r)
		}
	}
	n, lines := float64(len(systems)), 0
	var all []string
	for _, s := range systems {
		lines += len(s.lines)
		all = append(all, s.correct...)
	}
	for _, s := range []*scores{&total, &atOnce} {
		s.ga, s.fga, s.pa, s.fta = s.ga/n, s.fga/n, s.pa/n, s.fta/n
	}
	row(w, "average", lines, total, atOnce)
	r := mine(systems, logpattern.DefaultSettings())
	row(w, "one stream", lines, score(r.final, r.templates, all), score(r.first, r.templates, all))
	return nil
}

func add(total *scores, s scores) {
	total.ga += s.ga
	total.fga += s.fga
	total.pa += s.pa
	total.fta += s.fta
	total.groups += s.groups
	total.truth += s.truth
}

func row(w io.Writer, name string, lines int, final, first scores) {
	fmt.Fprintf(w, "| %s | %d | %d | %d | %.3f | %.3f | %.3f | %.3f | %.3f |\n",
		name, lines, final.groups, final.truth, final.ga, final.fga, first.ga, final.pa, final.fta)
}

// result has, line by line, the ID of the template at the time and in the end, and its text in the end.
type result struct{ first, final, templates []string }

// mine feeds systems one after the other to one miner.
func mine(systems []system, settings logpattern.Settings) result {
	m := logpattern.New(settings)
	var r result
	var ids []logpattern.ID
	at := int64(1)
	for _, s := range systems {
		for _, line := range s.lines {
			p, _ := m.Match(line, at)
			ids = append(ids, p.ID)
			at++
		}
	}
	for _, id := range ids {
		r.first = append(r.first, id.String())
		p, _ := m.Lookup(id)
		r.final = append(r.final, p.ID.String())
		r.templates = append(r.templates, p.Template)
	}
	return r
}

func (r result) write(path string, ids []string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := csv.NewWriter(f)
	_ = w.Write([]string{"LineId", "PatternId", "Template"})
	for i, id := range ids {
		_ = w.Write([]string{id, r.final[i], r.templates[i]})
	}
	w.Flush()
	return errors.Join(w.Error(), f.Close())
}

func readAll(data string) ([]system, error) {
	entries, err := os.ReadDir(data)
	if err != nil {
		return nil, fmt.Errorf("read the folder of -data: %w", err)
	}
	var systems []system
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		var files []string
		for _, suffix := range []string{"*structured_corrected.csv", "*structured.csv"} {
			if files, _ = filepath.Glob(filepath.Join(data, e.Name(), suffix)); len(files) > 0 {
				break
			}
		}
		if len(files) == 0 {
			continue
		}
		s, err := read(files[0])
		if err != nil {
			return nil, err
		}
		s.name = e.Name()
		systems = append(systems, s)
	}
	if len(systems) == 0 {
		return nil, fmt.Errorf("no folder in %s has a *_structured_corrected.csv or *_structured.csv", data)
	}
	return systems, nil
}

func read(path string) (system, error) {
	f, err := os.Open(path)
	if err != nil {
		return system{}, err
	}
	defer f.Close()
	r := csv.NewReader(f)
	r.LazyQuotes, r.FieldsPerRecord = true, -1
	rows, err := r.ReadAll()
	if err != nil || len(rows) == 0 {
		return system{}, fmt.Errorf("read %s: %w", path, errors.Join(err, io.ErrUnexpectedEOF))
	}
	columns := map[string]int{}
	for i, name := range rows[0] {
		columns[strings.TrimPrefix(name, "\ufeff")] = i
	}
	content, ok := columns["Content"]
	template, ok2 := columns["EventTemplate"]
	if !ok || !ok2 {
		return system{}, fmt.Errorf("%s needs the columns Content and EventTemplate", path)
	}
	var s system
	id, hasID := columns["LineId"]
	for i, row := range rows[1:] {
		if len(row) <= max(content, template) {
			return system{}, fmt.Errorf("%s, row %d has %d columns, too few for Content and EventTemplate", path, i+2, len(row))
		}
		name := strconv.Itoa(i + 1)
		if hasID && id < len(row) {
			name = row[id]
		}
		s.ids = append(s.ids, name)
		s.lines = append(s.lines, row[content])
		s.correct = append(s.correct, row[template])
	}
	return s, nil
}
