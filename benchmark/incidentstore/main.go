// Command incidentstore fills an incident store and measures how fast it answers, starts, verifies its audit and shrinks.
//
//	go run ./benchmark/incidentstore
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/paramedic-otel/paramedic/internal/incidentstore"
)

// dsnVariable is how to reach an empty database of PostgreSQL to measure as well.
const dsnVariable = "PARAMEDIC_INCIDENTSTORE_DSN"

type options struct {
	incidents, evidence, audit, queries int
	folder                              string
}

func main() {
	var o options
	flag.IntVar(&o.incidents, "incidents", 100_000, "how many incidents to store")
	flag.IntVar(&o.evidence, "evidence", 10, "how much evidence each has")
	flag.IntVar(&o.audit, "audit", 300_000, "how many audit records to store")
	flag.IntVar(&o.queries, "queries", 1000, "how often to ask each question")
	flag.StringVar(&o.folder, "folder", "", "folder for the database; empty takes a temporary one")
	flag.Usage = func() {
		fmt.Fprintf(os.Stderr, "usage: incidentstore [FLAGS]\n\nAn empty database of PostgreSQL in the variable %s is measured instead of SQLite.\n\n", dsnVariable)
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() > 0 || o.incidents < 1000 || o.queries < 1 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(context.Background(), o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "incidentstore:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options, w io.Writer) (err error) {
	settings := incidentstore.DefaultSettings()
	settings.MaxAge, settings.MaxBytes = 20*365*24*time.Hour, 64<<30
	if dsn := os.Getenv(dsnVariable); dsn != "" {
		settings.Driver, settings.DSN = incidentstore.PostgreSQL, dsn
	} else {
		folder := o.folder
		if folder == "" {
			if folder, err = os.MkdirTemp("", "incidentstore"); err != nil {
				return err
			}
			defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
		}
		settings.Path = filepath.Join(folder, "benchmark.db")
	}
	b := &bench{options: o, settings: settings, w: w}
	return b.run(ctx)
}
