package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/paramedic-otel/paramedic/internal/otlpjsonl"
)

const usage = `usage: replay [flags] file...

Sends recorded OTLP (JSON lines; plain, gzip or zstd; traces, metrics and logs) over OTLP gRPC, in
the order of event time and at its pace.

`

// config is the command line.
type config struct {
	paths  []string
	read   otlpjsonl.Options
	dryRun bool

	speed  float64 // 0 is as fast as it goes
	rebase rebase

	target target
	retry  retry
}

// rebase says where the first event time is moved to.
type rebase struct {
	on  bool
	now bool
	at  time.Time
}

func defaultConfig() config {
	return config{
		read:   otlpjsonl.DefaultOptions(),
		speed:  1,
		target: target{endpoint: "127.0.0.1:4317"},
		retry:  retry{timeout: 10 * time.Second, initial: 500 * time.Millisecond, max: 30 * time.Second, grace: 2 * time.Second},
	}
}

// parse reads the arguments. Its error, but flag.ErrHelp, is for the user.
func parse(args []string, stderr io.Writer) (config, error) {
	c := defaultConfig()
	fs := flag.NewFlagSet("replay", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.Func("speed", "`factor` of event time to real time, or max (default 1)", func(s string) error {
		var err error
		c.speed, err = parseSpeed(s)
		return err
	})
	fs.Func("rebase", "move all timestamps so that the first `time` is now, or an RFC 3339 time", c.rebase.set)
	fs.Func("from", "leave out items before this RFC 3339 `time`", parseTime(&c.read.From))
	fs.Func("to", "leave out items at or after this RFC 3339 `time`", parseTime(&c.read.To))
	fs.BoolVar(&c.dryRun, "dry-run", false, "read and print the table, send nothing")

	fs.StringVar(&c.target.endpoint, "endpoint", c.target.endpoint, "`host:port` of an OTLP gRPC receiver, or http:// or https:// before it")
	fs.Func("header", "`key=value` sent with each request; may be given more than once", c.target.addHeader)
	fs.BoolVar(&c.target.insecure, "insecure", false, "no TLS (default true for a loopback address, else false)")
	fs.StringVar(&c.target.caFile, "ca-file", "", "`file` with the certificates to trust instead of the system's")
	fs.StringVar(&c.target.certFile, "cert-file", "", "`file` with the client certificate")
	fs.StringVar(&c.target.keyFile, "key-file", "", "`file` with the key of the client certificate")
	fs.StringVar(&c.target.serverName, "server-name", "", "`name` the server's certificate must bear")
	fs.BoolVar(&c.target.skipVerify, "insecure-skip-verify", false, "TLS without a check of the server's certificate")

	fs.DurationVar(&c.retry.timeout, "timeout", c.retry.timeout, "how long to wait for one answer")
	fs.DurationVar(&c.retry.maxElapsed, "max-elapsed", 0, "how long to retry one request; 0 is without end")

	fs.IntVar(&c.read.WindowLines, "reorder-lines", c.read.WindowLines, "lines of a file held back to put them in order")
	fs.IntVar(&c.read.WindowBytes, "reorder-bytes", c.read.WindowBytes, "bytes of a file held back to put them in order")
	fs.IntVar(&c.read.Ahead, "ahead", c.read.Ahead, "lines of a file decoded before they are due")
	fs.IntVar(&c.read.MaxLineBytes, "max-line-bytes", c.read.MaxLineBytes, "longest line; longer ones are skipped")
	fs.IntVar(&c.read.MaxDepth, "max-depth", c.read.MaxDepth, "deepest nesting of JSON in a line")
	fs.IntVar(&c.read.MaxProblems, "max-shown", c.read.MaxProblems, "broken lines, and refusals, shown at the end")

	err := fs.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stderr, usage)
		fs.SetOutput(stderr)
		fs.PrintDefaults()
	}
	if err != nil {
		return config{}, err
	}
	c.paths = fs.Args()
	fs.Visit(func(f *flag.Flag) {
		if f.Name == "insecure" {
			c.target.insecureGiven = true
		}
	})
	return c, c.validate()
}

func (c *config) validate() error {
	var errs []error
	if len(c.paths) == 0 {
		errs = append(errs, errors.New("no file given"))
	}
	for _, p := range c.paths {
		if len(p) > 1 && p[0] == '-' {
			errs = append(errs, fmt.Errorf("flags must stand before the files, got %s behind one", p))
		}
	}
	if c.retry.timeout <= 0 {
		errs = append(errs, fmt.Errorf("timeout must be greater than 0, got %s", c.retry.timeout))
	}
	if c.retry.maxElapsed < 0 {
		errs = append(errs, fmt.Errorf("max-elapsed must not be negative, got %s; 0 retries without end", c.retry.maxElapsed))
	}
	if err := c.target.resolve(); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(append(errs, c.read.Validate())...)
}

func parseSpeed(s string) (float64, error) {
	if s == "max" {
		return 0, nil
	}
	f, err := strconv.ParseFloat(strings.TrimSuffix(s, "x"), 64)
	if err != nil || !(f > 0) || math.IsInf(f, 0) {
		return 0, errors.New("must be a number greater than 0, or max")
	}
	return f, nil
}

func parseTime(into *time.Time) func(string) error {
	return func(s string) error {
		t, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			return errors.New("must be an RFC 3339 time such as 2023-01-29T08:00:00Z")
		}
		*into = t
		return nil
	}
}

func (r *rebase) set(s string) error {
	*r = rebase{on: true, now: s == "now"}
	if r.now {
		return nil
	}
	if err := parseTime(&r.at)(s); err != nil {
		return errors.New("must be now or an RFC 3339 time")
	}
	if y := r.at.Year(); y < 1970 || y > 2261 {
		return errors.New("must lie between 1970 and 2261")
	}
	return nil
}
