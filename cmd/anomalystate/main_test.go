package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.uber.org/goleak"

	"github.com/paramedic-otel/paramedic/internal/anomalystate"
	"github.com/paramedic-otel/paramedic/internal/baseline"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var begin = time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC)

// learnt is a stream of one series that has seen points around a level.
func learnt(key uint64, level float64, points int) *anomalystate.Stream {
	params := baseline.Params{WarmUpPoints: 20, Memory: time.Hour, LevelShiftAfter: time.Hour, AnomaliesPerDay: 0.3, MinScore: 0.95}
	var s baseline.Series
	for n := range points {
		params.Observe(&s, begin.Add(time.Duration(n)*10*time.Second).UnixNano(), level+float64(n%5), &baseline.Limits{}, 0)
	}
	state, _ := s.AppendBinary(nil)
	md := pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	rm.Resource().Attributes().PutStr("service.name", "cart")
	resource, _ := (&pmetric.ProtoMarshaler{}).MarshalMetrics(md)
	text := []byte("\x00\x0aqueue.size\x01\x00\x05queue\x00\x00\x04mail")
	return &anomalystate.Stream{
		Key: anomalystate.Key{Hi: key << 50, Lo: key}, Workload: 7, Kind: 1, Last: s.Last(), Text: text,
		Resource: &anomalystate.Resource{Key: anomalystate.Key{Lo: 1}, Text: resource},
		Signals:  []anomalystate.Signal{{Name: "value", Quantile: -1, State: state}},
	}
}

// file writes a portable file.
func file(t *testing.T, model uint32, streams ...*anomalystate.Stream) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "learnt.paranom")
	f, err := os.Create(path)
	require.NoError(t, err)
	defer f.Close()
	w, err := anomalystate.NewFileWriter(f, anomalystate.Header{Model: model, Identity: 5, Written: begin.UnixNano()})
	require.NoError(t, err)
	for _, s := range streams {
		require.NoError(t, w.Add(s))
	}
	require.NoError(t, w.Close())
	return path
}

func command(t *testing.T, want int, args ...string) (stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	require.Equal(t, want, run(t.Context(), args, &out, &err), err.String())
	return out.String(), err.String()
}

func TestImportExportReset(t *testing.T) {
	dir := t.TempDir()
	one := file(t, anomalystate.ModelVersion, learnt(1, 100, 200), learnt(2000, 50, 200))
	two := file(t, anomalystate.ModelVersion, learnt(2000, 60, 300), learnt(3, 7, 200))

	out, _ := command(t, exitOK, "import", "-into", dir, one)
	assert.Equal(t, dir+": 2 streams, of which 2 imported\n", out)
	out, _ = command(t, exitOK, "import", "-into", dir, two)
	assert.Equal(t, dir+": 3 streams, of which 2 imported\n", out)
	out, _ = command(t, exitOK, "inspect", dir, one)
	assert.Contains(t, out, dir+": 3 streams, 3 series, 0 damaged shards")
	assert.Contains(t, out, one+": 2 streams, 2 series, 0 damaged shards")
	assert.Contains(t, out, `streams by kind {"value":3}`)

	exported := filepath.Join(t.TempDir(), "x")
	out, _ = command(t, exitOK, "export", "-o", exported, dir)
	assert.Equal(t, exported+": 3 streams\n", out)
	command(t, exitFailed, "export", "-o", exported, dir)

	// Merged files are the same as what was imported one after the other.
	merged := filepath.Join(t.TempDir(), "y")
	command(t, exitOK, "merge", "-o", merged, one, two)
	first, _ := command(t, exitOK, "profiles", exported)
	second, _ := command(t, exitOK, "profiles", merged)
	assert.Equal(t, first, second)

	command(t, exitOK, "reset", dir)
	out, _ = command(t, exitOK, "inspect", dir)
	assert.Contains(t, out, ": 0 streams")
}

func TestProfiles(t *testing.T) {
	s := learnt(1, 100, 200)
	s.Signals = append(s.Signals, anomalystate.Signal{Name: "p99", State: []byte{1}})
	out, _ := command(t, exitOK, "profiles", file(t, anomalystate.ModelVersion, s))
	lines := strings.Split(strings.TrimSpace(out), "\n")
	require.Len(t, lines, 2)
	var p profile
	require.NoError(t, json.Unmarshal([]byte(lines[0]), &p))
	assert.InDelta(t, 102, p.Expected, 1)
	assert.Less(t, p.Lower, p.Expected)
	assert.Greater(t, p.Upper, p.Expected)
	p.Expected, p.Lower, p.Upper = 0, 0, 0
	assert.Equal(t, profile{
		Stream: "00040000000000000000000000000001", Workload: "0000000000000007", Kind: "value", Signal: "value", LastPoint: "2026-01-05T12:33:10Z",
		Resource: map[string]any{"service.name": "cart"}, Metric: "queue.size", Attributes: map[string]any{"queue": "mail"},
	}, p)
	require.NoError(t, json.Unmarshal([]byte(lines[1]), &p))
	assert.NotEmpty(t, p.Error)
}

func TestDamagedSources(t *testing.T) {
	good := file(t, anomalystate.ModelVersion, learnt(1, 100, 200))
	data, err := os.ReadFile(good)
	require.NoError(t, err)
	cut := filepath.Join(t.TempDir(), "cut")
	require.NoError(t, os.WriteFile(cut, data[:len(data)-3], 0o600))
	out := filepath.Join(t.TempDir(), "out")
	_, stderr := command(t, exitOK, "merge", "-o", out, cut)
	assert.Contains(t, stderr, "it ends early")
	stdout, _ := command(t, exitOK, "inspect", out)
	assert.Contains(t, stdout, ": 1 streams")

	data[len(data)/2]++
	require.NoError(t, os.WriteFile(cut, data, 0o600))
	stdout, stderr = command(t, exitOK, "inspect", cut)
	assert.Contains(t, stdout, "1 damaged shards")
	assert.Contains(t, stderr, "checksum differs")
}

func TestRefusals(t *testing.T) {
	dir := t.TempDir()
	good := file(t, anomalystate.ModelVersion, learnt(1, 100, 200))
	other := file(t, anomalystate.ModelVersion+1, learnt(2, 100, 200))
	for name, tc := range map[string]struct {
		args []string
		exit int
		want string
	}{
		"nothing":        {nil, exitUsage, "usage: anomalystate"},
		"help":           {[]string{"help"}, exitOK, "usage: anomalystate"},
		"no command":     {[]string{"explode", good}, exitUsage, "usage: anomalystate"},
		"no source":      {[]string{"inspect"}, exitUsage, "name a file or a directory"},
		"unknown flag":   {[]string{"inspect", "-x", good}, exitUsage, "flag provided but not defined"},
		"processor":      {[]string{"inspect", "-processor", "//", good}, exitUsage, "processor: "},
		"no output":      {[]string{"merge", good}, exitFailed, "name the file to write by -o"},
		"no directory":   {[]string{"import", good}, exitFailed, "by -into"},
		"missing":        {[]string{"inspect", filepath.Join(dir, "x")}, exitFailed, "no such file"},
		"empty":          {[]string{"reset", dir}, exitFailed, "holds nothing of processor anomaly: there is no file processor_anomaly__learnt"},
		"not a file":     {[]string{"inspect", "main.go"}, exitFailed, "foreign"},
		"several models": {[]string{"merge", "-o", filepath.Join(dir, "y"), good, other}, exitFailed, "other model version"},
	} {
		t.Run(name, func(t *testing.T) {
			_, stderr := command(t, tc.exit, tc.args...)
			assert.Contains(t, stderr, tc.want)
		})
	}
}

// A collector that runs keeps its storage to itself.
func TestStorageInUse(t *testing.T) {
	dir := t.TempDir()
	command(t, exitOK, "import", "-processor", "anomaly/edge", "-into", dir, file(t, anomalystate.ModelVersion, learnt(1, 1, 50)))
	err := withStore(t.Context(), dir, component.MustNewIDWithName("anomaly", "edge"), 0, func(*anomalystate.Store) error {
		_, stderr := command(t, exitFailed, "inspect", "-processor", "anomaly/edge", dir)
		assert.Contains(t, stderr, "timeout; the collector must not run")
		return nil
	})
	require.NoError(t, err)
}
