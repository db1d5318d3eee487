package otlpjsonl

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
)

// Lines with one item each, at t seconds after 1970.

func spanLine(name string, t int) string {
	return fmt.Sprintf(`{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":%q,"startTimeUnixNano":"%d","endTimeUnixNano":"%d"}]}]}]}`,
		name, (t-1)*1e9, t*1e9)
}

func pointLine(name string, t int) string {
	return fmt.Sprintf(`{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":%q,"gauge":{"dataPoints":[{"timeUnixNano":"%d","asDouble":1}]}}]}]}]}`,
		name, t*1e9)
}

func recordLine(name string, t int) string {
	return fmt.Sprintf(`{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":%q},"timeUnixNano":"%d"}]}]}]}`, name, t*1e9)
}

func plain(_ *testing.T, content string) []byte { return []byte(content) }

func gzipped(t *testing.T, content string) []byte {
	var buf bytes.Buffer
	// Two members, as one gets by appending to a file.
	half := len(content) / 2
	for _, part := range []string{content[:half], content[half:]} {
		w := gzip.NewWriter(&buf)
		_, err := w.Write([]byte(part))
		require.NoError(t, err)
		require.NoError(t, w.Close())
	}
	return buf.Bytes()
}

func zstandard(t *testing.T, content string) []byte {
	var buf bytes.Buffer
	w, err := zstd.NewWriter(&buf)
	require.NoError(t, err)
	_, err = w.Write([]byte(content))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return buf.Bytes()
}

func write(t *testing.T, name string, content []byte) string {
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, content, 0o600))
	return path
}

func lines(l ...string) string { return strings.Join(l, "\n") + "\n" }

// nameOf is the name of the first item.
func nameOf(b Batch) string {
	switch b.Signal {
	case Traces:
		return b.Traces.ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0).Name()
	case Metrics:
		return b.Metrics.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Name()
	default:
		return b.Logs.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().At(0).Body().Str()
	}
}

func readAll(t *testing.T, opts Options, paths ...string) ([]Batch, Stats) {
	t.Helper()
	m, err := Open(paths, opts)
	require.NoError(t, err)
	var got []Batch
	for {
		b, err := m.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		got = append(got, b)
	}
	_, err = m.Next()
	require.ErrorIs(t, err, io.EOF, "the end stays the end")
	require.NoError(t, m.Close())
	return got, m.Stats()
}

func names(batches []Batch) []string {
	got := make([]string, len(batches))
	for i, b := range batches {
		got[i] = nameOf(b)
	}
	return got
}

func TestMergesCompressedFilesByEventTime(t *testing.T) {
	a := lines(spanLine("a1", 1), recordLine("a4", 4), pointLine("a7", 7))
	b := lines(recordLine("b2", 2), spanLine("b5", 5), spanLine("b7", 7))
	c := lines(pointLine("c3", 3), pointLine("c4", 4), "", "  ", pointLine("c6", 6))
	want := []string{"a1", "b2", "c3", "a4", "c4", "b5", "c6", "a7", "b7"}
	for range 20 { // the same each time
		got, stats := readAll(t, DefaultOptions(),
			write(t, "a.zst", gzipped(t, a)), // names say nothing
			write(t, "b.gz", zstandard(t, b)),
			write(t, "c", plain(t, c)))
		require.Equal(t, want, names(got))
		require.Equal(t, Stats{Lines: 9, Items: [NumSignals]int64{3, 4, 2}}, stats)
	}
}

func TestSayWhereABatchIsFrom(t *testing.T) {
	first := write(t, "first", []byte(lines(spanLine("x", 9))))
	second := write(t, "second", []byte("\n"+lines(recordLine("y", 3), recordLine("z", 5))))
	got, _ := readAll(t, DefaultOptions(), first, second)
	require.Len(t, got, 3)
	assert.Equal(t, 1, got[0].File)
	assert.Equal(t, int64(2), got[0].Line)
	assert.Equal(t, int64(3), got[1].Line)
	assert.Equal(t, 0, got[2].File)
	assert.Equal(t, pcommon.Timestamp(9e9), got[2].Time)
	assert.Equal(t, pcommon.Timestamp(9e9), got[2].First)
	assert.Equal(t, 1, got[2].Items)
	assert.Equal(t, len(spanLine("x", 9)), got[2].Bytes)
}

func TestReorderWindow(t *testing.T) {
	path := write(t, "f", []byte(lines(
		recordLine("3", 3), recordLine("2", 2), recordLine("1", 1), recordLine("5", 5), recordLine("4", 4))))
	tests := []struct {
		name     string
		lines    int
		bytes    int
		want     string
		wantLate int64
	}{
		{"as it is", 0, 1 << 20, "3 2 1 5 4", 3},
		{"one line", 1, 1 << 20, "2 1 3 4 5", 1},
		{"two lines", 2, 1 << 20, "1 2 3 4 5", 0},
		{"many lines but no bytes", 100, 0, "3 2 1 5 4", 3},
		{"many lines but bytes for two", 100, 2*len(recordLine("1", 1)) + 1, "1 2 3 4 5", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			opts := DefaultOptions()
			opts.WindowLines, opts.WindowBytes = tt.lines, tt.bytes
			got, stats := readAll(t, opts, path)
			assert.Equal(t, tt.want, strings.Join(names(got), " "))
			assert.Equal(t, tt.wantLate, stats.Late)
			late := int64(0)
			for _, b := range got {
				if b.Late {
					late++
				}
			}
			assert.Equal(t, tt.wantLate, late)
		})
	}
}

func TestLinesWithoutATimeFollowTheLineBefore(t *testing.T) {
	path := write(t, "f", []byte(lines(recordLine("1", 1), recordLine("none", 0), recordLine("3", 3))))
	other := write(t, "g", []byte(lines(recordLine("2", 2))))
	got, stats := readAll(t, DefaultOptions(), path, other)
	assert.Equal(t, []string{"1", "none", "2", "3"}, names(got))
	assert.True(t, got[1].Undated)
	assert.Equal(t, pcommon.Timestamp(1e9), got[1].Time)
	assert.Equal(t, int64(1), stats.Undated)
}

func TestLinesWithoutItemsAreCounted(t *testing.T) {
	path := write(t, "f", []byte(lines(`{"resourceSpans":[]}`, `{"resourceLogs":null}`, recordLine("1", 1),
		`{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"no points"}]}]}]}`)))
	got, stats := readAll(t, DefaultOptions(), path)
	assert.Equal(t, []string{"1"}, names(got))
	assert.Equal(t, int64(3), stats.Empty)
	assert.Equal(t, int64(4), stats.Lines)
}

func TestBrokenLinesAreSkippedCountedAndNamed(t *testing.T) {
	a := write(t, "a", []byte("\xef\xbb\xbf"+lines(
		recordLine("1", 1)+"\r", // ends as on Windows
		`{"resourceLogs":[`,
		recordLine("2", 2)+" x",
		"no JSON",
		`{"resourceSpans":[],"resourceLogs":[]}`,
		`{"spans":[]}`,
		`{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"zz"}]}]}]}`,
		recordLine("3", 3)+"\x1b]0;evil\a",
		recordLine("4", 4),
	)))
	b := write(t, "b", []byte(lines("{}", recordLine("5", 5))+`{"resourceLogs`))
	opts := DefaultOptions()
	opts.MaxProblems = 8
	got, stats := readAll(t, opts, a, b)
	assert.Equal(t, []string{"1", "4", "5"}, names(got))
	assert.Equal(t, int64(9), stats.Broken)
	assert.Equal(t, int64(9), stats.Lost())
	require.Len(t, stats.Problems, 8)
	assert.Equal(t, a+":2: "+errTruncated.Error(), stats.Problems[0].Error())
	require.ErrorIs(t, stats.Problems[1], errTrailing)
	require.ErrorIs(t, stats.Problems[2], errNotObject)
	require.ErrorIs(t, stats.Problems[3], errMixed)
	require.ErrorIs(t, stats.Problems[4], errNoSignal)
	assert.NotContains(t, stats.Problems[6].Error(), "\x1b")
	assert.Equal(t, b+":1: "+errNoSignal.Error(), stats.Problems[7].Error())
}

func TestTooLongLinesAreSkippedAndCounted(t *testing.T) {
	long := recordLine(strings.Repeat("x", 1<<20), 2) // longer than any buffer
	limit := len(recordLine("1", 1))
	for name, pack := range map[string]func(*testing.T, string) []byte{"plain": plain, "gzip": gzipped, "zstd": zstandard} {
		t.Run(name, func(t *testing.T) {
			content := lines(recordLine("1", 1), long, recordLine("22", 2), recordLine("3", 3)) + long
			opts := DefaultOptions()
			opts.MaxLineBytes = limit
			got, stats := readAll(t, opts, write(t, "f", pack(t, content)))
			assert.Equal(t, []string{"1", "3"}, names(got))
			assert.Equal(t, int64(3), stats.TooLong)
			assert.Equal(t, int64(2), stats.Problems[0].Line)
			assert.Equal(t, int64(5), stats.Problems[2].Line)

			opts.MaxLineBytes = len(long)
			got, stats = readAll(t, opts, write(t, "f", pack(t, content)))
			assert.Len(t, got, 5)
			assert.Zero(t, stats.TooLong)
		})
	}
}

func TestTruncatedFileDeliversWhatItHolds(t *testing.T) {
	var content strings.Builder
	for i := range 5000 {
		content.WriteString(recordLine(fmt.Sprintf("%d %x", i, i*i*7919), i+1) + "\n")
	}
	for name, pack := range map[string]func(*testing.T, string) []byte{"gzip": gzipped, "zstd": zstandard} {
		t.Run(name, func(t *testing.T) {
			whole := pack(t, content.String())
			got, stats := readAll(t, DefaultOptions(), write(t, "f", whole[:len(whole)*3/4]))
			assert.NotEmpty(t, got)
			assert.Less(t, len(got), 5000)
			assert.Equal(t, int64(1), stats.Unreadable)
			require.Len(t, stats.Problems, 1)
			require.ErrorIs(t, stats.Problems[0], io.ErrUnexpectedEOF)
		})
	}
}

func TestCloseEndsANextThatWaits(t *testing.T) {
	r, w, err := os.Pipe()
	require.NoError(t, err)
	defer func() { assert.NoError(t, w.Close()) }()
	_, err = w.WriteString(lines(recordLine("1", 1), recordLine("2", 2)))
	require.NoError(t, err)
	opts := DefaultOptions()
	opts.WindowLines = 0
	m, err := Open([]string{fmt.Sprintf("/dev/fd/%d", r.Fd())}, opts)
	require.NoError(t, err)
	require.NoError(t, r.Close())
	b, err := m.Next()
	require.NoError(t, err)
	assert.Equal(t, "1", nameOf(b), "without waiting for what follows")
	_, err = m.Next()
	require.NoError(t, err)
	next := make(chan error)
	go func() {
		_, err := m.Next()
		next <- err
	}()
	require.NoError(t, m.Close())
	require.ErrorIs(t, <-next, ErrClosed)
	_, err = m.Next()
	require.ErrorIs(t, err, ErrClosed)
	require.NoError(t, m.Close())
	assert.Empty(t, m.Stats().Problems)
}

func TestCloseBeforeTheEnd(t *testing.T) {
	var content strings.Builder
	for i := range 1000 {
		content.WriteString(recordLine("x", i+1) + "\n")
	}
	opts := DefaultOptions()
	opts.Ahead, opts.WindowLines = 0, 0
	m, err := Open([]string{write(t, "a", gzipped(t, content.String())), write(t, "b", zstandard(t, content.String()))}, opts)
	require.NoError(t, err)
	_, err = m.Next()
	require.NoError(t, err)
	assert.LessOrEqual(t, m.Stats().Lines, int64(6), "nothing is decoded ahead")
	require.NoError(t, m.Close())
}

func TestProgress(t *testing.T) {
	a := write(t, "a", []byte(lines(recordLine("1", 1))))
	m, err := Open([]string{a, a}, DefaultOptions())
	require.NoError(t, err)
	for err == nil {
		_, err = m.Next()
	}
	read, total := m.Progress()
	assert.Equal(t, total, read)
	assert.Equal(t, int64(2*len(recordLine("1", 1))+2), total)
	require.NoError(t, m.Close())
}

func TestOpenErrors(t *testing.T) {
	good := write(t, "good", nil)
	_, err := Open([]string{good, filepath.Join(t.TempDir(), "missing")}, DefaultOptions())
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = Open([]string{t.TempDir()}, DefaultOptions())
	require.ErrorContains(t, err, "is a folder")
	_, err = Open([]string{write(t, "bad", []byte{0x1f, 0x8b, 0, 0, 0})}, DefaultOptions())
	require.Error(t, err)
	got, _ := readAll(t, DefaultOptions(), good)
	assert.Empty(t, got)
	got, _ = readAll(t, DefaultOptions())
	assert.Empty(t, got)
}

func TestOptionsValidate(t *testing.T) {
	require.NoError(t, DefaultOptions().Validate())
	at := time.Date(2023, 1, 29, 8, 0, 0, 0, time.UTC)
	tests := []struct {
		change func(*Options)
		want   string
	}{
		{func(o *Options) { o.MaxLineBytes = 0 }, "maximum line length must be greater than 0, got 0"},
		{func(o *Options) { o.MaxDepth = 0 }, "maximum depth must be from 1 to 10000, got 0"},
		{func(o *Options) { o.MaxDepth = 10_001 }, "maximum depth must be from 1 to 10000, got 10001"},
		{func(o *Options) { o.WindowLines = -1 }, "reorder window must not be negative, got -1 lines"},
		{func(o *Options) { o.WindowBytes = -1 }, "reorder window must not be negative, got -1 bytes"},
		{func(o *Options) { o.Ahead = -1 }, "lines decoded ahead must not be negative, got -1"},
		{func(o *Options) { o.MaxProblems = -1 }, "kept problems must not be negative, got -1"},
		{func(o *Options) { o.From, o.To = at, at }, "from (2023-01-29T08:00:00Z) must be before to (2023-01-29T08:00:00Z)"},
		{func(o *Options) { o.To = time.Unix(-1, 0).UTC() }, "a cut must lie between 1970 and 2262, got 1969-12-31T23:59:59Z"},
	}
	for _, tt := range tests {
		opts := DefaultOptions()
		tt.change(&opts)
		_, err := Open(nil, opts)
		assert.EqualError(t, err, tt.want)
	}
}

// Whatever a file holds, every line of it is accounted for.
func FuzzFile(f *testing.F) {
	f.Add([]byte(lines(spanLine("a", 2), "broken", recordLine("b", 1), "", `{"resourceLogs":[]}`)), 0)
	f.Add([]byte("\xef\xbb\xbf"+lines(recordLine("b", 0))+strings.Repeat("x", 300)+"\r\n\n{"), 3)
	f.Add([]byte{0x1f, 0x8b, 8, 0}, 1)
	f.Add([]byte{0x28, 0xb5, 0x2f, 0xfd, 4}, 1)
	f.Fuzz(func(t *testing.T, content []byte, window int) {
		opts := DefaultOptions()
		opts.MaxLineBytes = 200
		opts.WindowLines = min(max(window, 0), 100)
		m, err := Open([]string{write(t, "f", content)}, opts)
		if err != nil {
			return
		}
		delivered, late := int64(0), int64(0)
		for {
			b, err := m.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			require.NoError(t, err)
			delivered++
			if b.Late {
				late++
			}
		}
		require.NoError(t, m.Close())
		s := m.Stats()
		require.Equal(t, s.Lines-s.Empty, delivered)
		require.Equal(t, s.Late, late)
		if bytes.HasPrefix(content, []byte{0x1f, 0x8b}) || isZstd(content) {
			return // its lines cannot be told from outside
		}
		want := int64(0)
		for _, line := range bytes.Split(bytes.TrimPrefix(content, byteOrderMark), []byte("\n")) {
			if len(bytes.TrimSpace(line)) > 0 || len(bytes.TrimRight(line, "\r\n")) > opts.MaxLineBytes {
				want++
			}
		}
		require.Equal(t, want, s.Lines+s.Broken+s.TooLong)
	})
}
