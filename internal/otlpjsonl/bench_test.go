package otlpjsonl

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestWalksDoNotAllocate(t *testing.T) {
	for _, name := range []string{"traces.json", "metrics.json", "logs.json"} {
		line, err := os.ReadFile(filepath.Join("testdata", name))
		require.NoError(t, err)
		b := testBatch(t, name)
		assert.Zero(t, testing.AllocsPerRun(100, func() { _, _ = signalOf(line, 64) }), "signal of %s", name)
		assert.Zero(t, testing.AllocsPerRun(100, b.measure), "measure %s", name)
		assert.Zero(t, testing.AllocsPerRun(100, func() { b.Shift(1) }), "shift %s", name)
	}
}

func BenchmarkMerger(b *testing.B) {
	// The times of the lines differ, so that files are merged line by line.
	line := func(n int) string {
		spans := make([]string, 100)
		for i := range spans {
			spans[i] = fmt.Sprintf(`{"traceId":"6f3cbf058c2765548a39ad724905d6a1","spanId":"3c5affd6534428fa","name":"SELECT","kind":3,`+
				`"startTimeUnixNano":"%d","endTimeUnixNano":"%d","attributes":[{"key":"db.system","value":{"stringValue":"mysql"}}]}`,
				1_000_000+n*100+i, 1_000_001+n*100+i)
		}
		return `{"resourceSpans":[{"scopeSpans":[{"spans":[` + strings.Join(spans, ",") + `]}]}]}` + "\n"
	}
	for _, files := range []int{1, 2} {
		b.Run(fmt.Sprintf("files=%d", files), func(b *testing.B) {
			contents := make([]strings.Builder, files)
			size := 0
			for n := range 1000 {
				w, _ := contents[n%files].WriteString(line(n))
				size += w
			}
			var paths []string
			for i := range contents {
				path := filepath.Join(b.TempDir(), fmt.Sprint(i))
				require.NoError(b, os.WriteFile(path, []byte(contents[i].String()), 0o600))
				paths = append(paths, path)
			}
			b.ReportAllocs()
			b.SetBytes(int64(size))
			items := 0
			for b.Loop() {
				m, err := Open(paths, DefaultOptions())
				require.NoError(b, err)
				for {
					batch, err := m.Next()
					if errors.Is(err, io.EOF) {
						break
					}
					items += batch.Items
				}
				require.NoError(b, m.Close())
			}
			b.ReportMetric(float64(items)/b.Elapsed().Seconds(), "items/s")
		})
	}
}
