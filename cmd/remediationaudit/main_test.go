package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/auditchain"
)

func TestRun(t *testing.T) {
	c := auditchain.New(auditchain.Limits{MaxRecords: 10, MaxBytes: 100})
	var b bytes.Buffer
	var hashes []string
	for i := range 4 {
		r := c.Append(time.Date(2026, 3, 2, 10, 0, i, 0, time.UTC), auditchain.Entry{Kind: "action.started", Text: fmt.Sprint("step ", i)})
		require.NoError(t, auditchain.Write(&b, r))
		hashes = append(hashes, r.Hash)
	}
	whole := b.String()
	lines := strings.SplitAfter(whole, "\n")
	unbroken := "4 records, unbroken\nfirst  1  2026-03-02T10:00:00Z  " + hashes[0] + "\nlast   4  2026-03-02T10:00:03Z  " + hashes[3] + "\n"
	rotated := "2 records, unbroken\nfirst  3  2026-03-02T10:00:02Z  " + hashes[2] + "\nlast   4  2026-03-02T10:00:03Z  " + hashes[3] + "\n"
	changed := strings.Replace(whole, "step 2", "step 9", 1)
	for name, c := range map[string]struct {
		args        []string
		in          string
		code        int
		stdout, err string
	}{
		"whole":              {nil, whole, 0, unbroken, ""},
		"from its start":     {[]string{"-after", "start", "-head", hashes[3]}, whole, 0, unbroken, ""},
		"rotated":            {nil, lines[2] + lines[3], 0, rotated + "the 2 records before are not there: that the first follows from them was not verified\n", ""},
		"rotated, after":     {[]string{"-after", "2:" + hashes[1]}, lines[2] + lines[3], 0, rotated, ""},
		"after another":      {[]string{"-after", "2:" + hashes[0]}, lines[2] + lines[3], 1, "", "line 1: record 0 (seq 3): prev must be the hash"},
		"rotated, start":     {[]string{"-after", "start"}, lines[2] + lines[3], 1, "", "line 1: record 0 (seq 3): seq must be 1: a record was left out"},
		"changed":            {nil, changed, 1, "", "line 3: record 2 (seq 3): hash must be "},
		"left out":           {nil, lines[0] + lines[2], 1, "", "line 2: record 1 (seq 3): seq must be 2"},
		"cut off":            {[]string{"-head", hashes[3]}, lines[0] + lines[1], 1, "", "line 2: the hash of the last record must be " + hashes[3]},
		"cut off in a line":  {nil, whole[:len(whole)-5], 1, "", "line 4: it was cut off"},
		"empty":              {nil, "", 1, "", "there are no records"},
		"long line":          {[]string{"-max-line", "50"}, whole, 1, "", "line 1: it must be at most 50 bytes long"},
		"help":               {[]string{"-h"}, "", 0, "", "usage: remediationaudit"},
		"a flag that is not": {[]string{"-x"}, "", 2, "", "flag provided but not defined"},
		"no anchor":          {[]string{"-after", "end"}, "", 2, "", "must be start, or a sequence number and a hash"},
		"two files":          {[]string{"a", "b"}, "", 2, "", "usage: remediationaudit"},
		"no such file":       {[]string{filepath.Join(t.TempDir(), "none")}, "", 2, "", "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			check := func(args []string, in string) {
				var stdout, stderr bytes.Buffer
				assert.Equal(t, c.code, run(args, strings.NewReader(in), &stdout, &stderr), stderr.String())
				assert.Equal(t, c.stdout, stdout.String())
				assert.Contains(t, stderr.String(), c.err)
				assert.Equal(t, c.err == "", stderr.Len() == 0)
			}
			check(c.args, c.in)
			if c.code == 2 || name == "help" {
				return
			}
			path := filepath.Join(t.TempDir(), "audit.jsonl")
			require.NoError(t, os.WriteFile(path, []byte(c.in), 0o600))
			check(append(c.args, path), "")
		})
	}
}
