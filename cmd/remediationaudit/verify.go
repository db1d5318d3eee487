package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/paramedic-otel/paramedic/internal/auditchain"
)

const (
	exitOK = iota
	exitBroken
	exitUsage
)

const usage = `usage: remediationaudit [FLAGS] [FILE]

Verifies that FILE, or what comes from standard input, is an unbroken chain of audit records, one JSON object per line.

`

// options are the flags.
type options struct {
	anchor  auditchain.Anchor
	head    string
	maxLine int
}

// run is the program.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	o := options{}
	flags := flag.NewFlagSet("remediationaudit", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprint(stderr, usage)
		flags.PrintDefaults()
	}
	flags.Func("after", "`start`, or SEQ:HASH of the record before the first; without it the first record's word is taken", o.setAnchor)
	flags.StringVar(&o.head, "head", "", "`HASH` that the last record must have, kept from when it was written: shows a log that was cut off or forged as a whole")
	flags.IntVar(&o.maxLine, "max-line", 1<<20, "longest line in bytes")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		return exitUsage
	case flags.NArg() > 1:
		flags.Usage()
		return exitUsage
	}
	in, name := stdin, "standard input"
	if path := flags.Arg(0); path != "" && path != "-" {
		f, err := os.Open(path) //nolint:gosec // the file that the user names
		if err != nil {
			fmt.Fprintln(stderr, err)
			return exitUsage
		}
		defer f.Close()
		in, name = f, path
	}
	if err := verify(in, o, stdout); err != nil {
		fmt.Fprintf(stderr, "%s: %s\n", name, err)
		return exitBroken
	}
	return exitOK
}

func (o *options) setAnchor(s string) error {
	if s == "start" {
		o.anchor = auditchain.Genesis()
		return nil
	}
	seq, hash, _ := strings.Cut(s, ":")
	n, err := strconv.ParseUint(seq, 10, 64)
	if err != nil || n == 0 || len(hash) != len(auditchain.Genesis().Hash) {
		return errors.New("must be start, or a sequence number and a hash such as 17:9f86…")
	}
	o.anchor = auditchain.Anchor{Seq: n, Hash: hash}
	return nil
}

// verify reads everything and says what it found.
func verify(in io.Reader, o options, out io.Writer) error {
	r, v := auditchain.NewReader(in, o.maxLine), auditchain.NewVerifier(o.anchor)
	var first, last auditchain.Record
	for {
		rec, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if err := v.Add(rec); err != nil {
			return fmt.Errorf("line %d: %w", r.Line(), err)
		}
		if v.Count() == 1 {
			first = rec
		}
		last = rec
	}
	switch {
	case v.Count() == 0:
		return errors.New("there are no records")
	case o.head != "" && last.Hash != o.head:
		return fmt.Errorf("line %d: the hash of the last record must be %s, got %s: the log was cut off, went on, or was forged", r.Line(), o.head, last.Hash)
	}
	fmt.Fprintf(out, "%d records, unbroken\n", v.Count())
	for _, of := range []struct {
		what string
		rec  auditchain.Record
	}{{"first", first}, {"last", last}} {
		fmt.Fprintf(out, "%-5s  %d  %s  %s\n", of.what, of.rec.Seq, of.rec.Time.Format(time.RFC3339Nano), of.rec.Hash)
	}
	if first.Seq > 1 && o.anchor == (auditchain.Anchor{}) {
		fmt.Fprintf(out, "the %d records before are not there: that the first follows from them was not verified\n", first.Seq-1)
	}
	return nil
}
