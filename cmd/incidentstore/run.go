package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/paramedic-otel/paramedic/internal/incidentstore"
)

const (
	exitOK = iota
	exitFailed
	exitUsage
)

// dsnVariable is how to reach PostgreSQL. It is no flag: flags can be seen by all users of the machine.
const dsnVariable = "PARAMEDIC_INCIDENTSTORE_DSN"

const usage = `usage: incidentstore [FLAGS] COMMAND

  verify              verify the audit, and print its head
  export audit        write the audit as lines of JSON, for remediationaudit
  export incidents    write all incidents as lines of JSON, newest first
  stats               count what is in the database
  prune               remove what is too old or too much by the flags below, and shrink the file
  migrate             bring the database to the version of this program, or make a new one
  backup FILE         copy a database of SQLite into a new file, while it is in use

The database is the file of -sqlite, or that of PostgreSQL which the variable ` + dsnVariable + ` names.

`

// options are the flags.
type options struct {
	settings incidentstore.Settings
	command  []string
}

// errUsage is the error of a command line that cannot be understood; what is wrong was said.
var errUsage = errors.New("usage")

// run is the program.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		return exitUsage
	}
	if err := o.run(ctx, stdout); err != nil {
		fmt.Fprintln(stderr, "incidentstore:", err)
		return exitFailed
	}
	return exitOK
}

func parse(args []string, stderr io.Writer) (*options, error) {
	o := &options{settings: incidentstore.DefaultSettings()}
	set := &o.settings
	flags := flag.NewFlagSet("incidentstore", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprint(stderr, usage)
		flags.PrintDefaults()
	}
	flags.StringVar(&set.Path, "sqlite", "", "`FILE` of SQLite")
	flags.DurationVar(&set.MaxAge, "max-age", set.MaxAge, "prune: how long what has ended is kept")
	flags.IntVar(&set.MaxIncidents, "max-incidents", set.MaxIncidents, "prune: how many incidents are kept")
	flags.IntVar(&set.MaxIntents, "max-intents", set.MaxIntents, "prune: how many intents are kept")
	flags.IntVar(&set.MaxDeliveries, "max-deliveries", set.MaxDeliveries, "prune: how many deliveries are kept")
	flags.IntVar(&set.MaxAuditRecords, "max-audit-records", set.MaxAuditRecords, "prune: how many audit records are kept")
	flags.Int64Var(&set.MaxBytes, "max-bytes", set.MaxBytes, "prune: how large the file of SQLite may be")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	wrong := func(format string, args ...any) (*options, error) {
		fmt.Fprintf(stderr, format+"\n\n", args...)
		flags.Usage()
		return nil, errUsage
	}
	o.command = flags.Args()
	if !known(o.command) {
		return wrong("the command must be one of those below, got %q", o.command)
	}
	dsn := os.Getenv(dsnVariable)
	switch {
	case set.Path == "" && dsn == "":
		return wrong("either -sqlite or the variable %s must be set", dsnVariable)
	case set.Path == "":
		set.Driver, set.DSN = incidentstore.PostgreSQL, dsn
	}
	if err := set.Validate(); err != nil {
		return wrong("%v", err)
	}
	set.KeepVersion = o.command[0] != "migrate"
	return o, nil
}

func known(command []string) bool {
	switch len(command) {
	case 1:
		switch command[0] {
		case "verify", "stats", "prune", "migrate":
			return true
		}
	case 2:
		return command[0] == "backup" || command[0] == "export" && (command[1] == "audit" || command[1] == "incidents")
	}
	return false
}
