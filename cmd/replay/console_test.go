package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/otlpjsonl"
)

func TestBar(t *testing.T) {
	tests := []struct {
		read, size int64
		width      int
		want       string
	}{
		{0, 100, 40, "[                           ]   0% text"},
		{50, 100, 40, "[=============              ]  50% text"},
		{100, 100, 40, "[===========================] 100% text"},
		{100, 100, 200, "[" + strings.Repeat("=", 40) + "] 100% text"},
		{50, 100, 15, "  50% text"}, // no room for a bar
		{50, 100, 6, "  50%"},
		{50, 100, 0, ""},
		{0, 0, 40, " text"}, // from a pipe
	}
	for _, tt := range tests {
		assert.Equal(t, tt.want, bar(tt.read, tt.size, " text", tt.width))
	}
}

func TestProgressIsDrawnAndWiped(t *testing.T) {
	path := write(t, spanLine("s1", 1), spanLine("s2", 2))
	synctest.Test(t, func(t *testing.T) {
		c := defaultConfig()
		c.paths = []string{path}
		m, err := otlpjsonl.Open(c.paths, c.read)
		require.NoError(t, err)
		var out bytes.Buffer
		r := &replay{
			config: &c, merger: m, exporter: &fakeExporter{}, started: time.Now(),
			screen: &console{to: &out, terminal: true, width: func() int { return 200 }},
		}
		require.NoError(t, r.loop(t.Context())) // one second, in the bubble
		r.update(func(t *tally) {
			t.counts[otlpjsonl.Traces].rejected = 3
			t.stuck = true
		})
		done := make(chan struct{})
		go r.draw(done)
		time.Sleep(drawEvery)
		synctest.Wait()
		close(done)
		synctest.Wait()
		assert.Equal(t, "\r["+strings.Repeat("=", 40)+"] 100% 1970-01-01T00:00:02.000Z  5 items  4 items/s"+
			"  3 rejected  waiting for the receiver\x1b[K", out.String())
		out.Reset()
		r.screen.note("hello %d", 1)
		r.screen.clear()
		assert.Equal(t, "\r\x1b[Kreplay: hello 1\n", out.String())
		require.NoError(t, m.Close())
	})
}

func TestNoProgressWithoutATerminal(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "err"))
	require.NoError(t, err)
	assert.False(t, newConsole(f).terminal)
	assert.False(t, newConsole(&bytes.Buffer{}).terminal)
	require.NoError(t, f.Close())
}

func TestForeignTextIsCleaned(t *testing.T) {
	assert.Equal(t, "a b  c", clean("a\nb\x1b\u009bc"))
	assert.Equal(t, strings.Repeat("x", 300)+"...", clean(strings.Repeat("x", 301)))
	assert.Equal(t, strings.Repeat("x", 299)+"...", clean(strings.Repeat("x", 299)+"é"))
}
