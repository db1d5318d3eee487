package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, got, 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, string(want), string(got))
}

func TestRendering(t *testing.T) {
	var out bytes.Buffer
	tell := &teller{out: &out, began: after(-90)}
	tell.say(after(-80), green, "learning")
	tell.injected = t0
	good, bad := closedFacts(), closedFacts()
	bad.fault.Kind, bad.events, bad.deliveries, bad.ended, bad.early = "cpu-hog", bad.events[:1], bad.deliveries[:1], nil, 1
	bad.active = []fault{bad.fault}
	var outcomes []outcome
	for _, f := range []facts{good, bad} {
		for i := range f.events {
			tell.tellEvent(&f.events[i])
		}
		for i := range f.deliveries {
			tell.tellDelivery(f.deliveries[i].Time, &f.deliveries[i])
		}
		v := judge(&f, 30*time.Second)
		tell.tellVerdict(&f, &v)
		outcomes = append(outcomes, outcome{kind: f.fault.Kind, facts: f, verdict: v})
	}
	tell.tellOutcomes(append(outcomes, outcome{kind: "crash", err: os.ErrNotExist}))
	assert.NotContains(t, out.String(), "\x1b", "neither colours of ours nor what telemetry holds")
	golden(t, "rendering.txt", out.Bytes())
}

func TestColours(t *testing.T) {
	var out bytes.Buffer
	(&teller{out: &out, colours: true}).line(red, "a\x1b[2Jb\tc")
	assert.Equal(t, "\x1b[31ma�[2Jb c\x1b[0m\n", out.String())

	file, err := os.Create(filepath.Join(t.TempDir(), "out"))
	require.NoError(t, err)
	defer file.Close()
	assert.False(t, newTeller(file).colours, "not a terminal")
}
