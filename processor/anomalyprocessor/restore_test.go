package anomalyprocessor

import (
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/anomalystate"
)

// Whatever is found in storage, the processor starts and learns; what can be used is.
func TestUnusableState(t *testing.T) {
	for name, tc := range map[string]struct {
		spoil  func(d *disk)
		cause  string
		all    bool
		series bool
	}{
		"damaged": {spoil: func(d *disk) {
			d.change(func(_ string, v []byte) []byte { v[len(v)/2] ^= 1; return v })
		}, cause: "corrupt", all: true},
		"truncated": {spoil: func(d *disk) {
			d.change(func(_ string, v []byte) []byte { return v[:len(v)/2] })
		}, cause: "corrupt", all: true},
		"one damaged": {spoil: func(d *disk) {
			first := true
			d.change(func(_ string, v []byte) []byte {
				if first {
					first, v = false, v[:10]
				}
				return v
			})
		}, cause: "corrupt"},
		"foreign": {spoil: func(d *disk) {
			d.change(func(string, []byte) []byte { return make([]byte, 1000) })
		}, cause: "foreign", all: true},
		"other model":    {spoil: rewrite(func(h *anomalystate.Header, _ *anomalystate.Stream) { h.Model++ }), cause: "model", all: true},
		"other identity": {spoil: rewrite(func(h *anomalystate.Header, _ *anomalystate.Stream) { h.Identity++ }), cause: "identity", all: true},
		"too old": {spoil: rewrite(func(h *anomalystate.Header, _ *anomalystate.Stream) {
			h.Written -= int64(30 * 24 * time.Hour)
		}), cause: "stale", all: true},
		"kind":   {spoil: rewrite(func(_ *anomalystate.Header, s *anomalystate.Stream) { s.Kind = 99 }), cause: "corrupt", all: true, series: true},
		"future": {spoil: rewrite(func(_ *anomalystate.Header, s *anomalystate.Stream) { s.Last += int64(100 * time.Hour) }), cause: "corrupt", all: true, series: true},
		"resource": {spoil: rewrite(func(_ *anomalystate.Header, s *anomalystate.Stream) {
			s.Resource.Last = time.Now().Add(100 * time.Hour).UnixNano()
		}), cause: "corrupt", all: true, series: true},
		"rest": {spoil: rewrite(func(_ *anomalystate.Header, s *anomalystate.Stream) { s.Rest = []byte{1, 1, 1} }), cause: "corrupt", all: true, series: true},
		"series": {spoil: rewrite(func(_ *anomalystate.Header, s *anomalystate.Stream) {
			for i := range s.Signals {
				s.Signals[i].State = s.Signals[i].State[:1]
			}
		}), cause: "corrupt", all: true, series: true},
		"store": {spoil: func(d *disk) { d.values["meta"] = []byte("something else") }, cause: "foreign", all: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &disk{}
				first, stop := onDisk(t, d)
				follow(first, 0, 100, false)
				stop()
				tc.spoil(d)
				second, stop := onDisk(t, d)
				if tc.series {
					assert.Positive(t, second.value("rejected_series", tc.cause))
				} else {
					assert.Positive(t, second.value("rejected_shards", tc.cause))
				}
				if tc.all {
					assert.Zero(t, second.value("restored_series", ""))
				} else {
					assert.Equal(t, int64(1), second.value("rejected_shards", ""))
					assert.Positive(t, second.value("restored_series", ""))
				}
				follow(second, 100, 300, false)
				assert.NotEmpty(t, follow(second, 300, 310, true), "it has learnt anew")
				stop()
				third, stop := onDisk(t, d)
				assert.Zero(t, third.value("rejected_shards", "")+third.value("rejected_series", ""), "what was broken is whole again")
				assert.Positive(t, third.value("restored_series", ""))
				stop()
			})
		})
	}
}

// With fewer series allowed than stored, those that fit go on.
func TestRestoreBelowTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{}
		h, stop := onDisk(t, d)
		h.feed(gauge("many", "1", lately(0, step), make([]float64, 500)...))
		stop()
		after, stop := onDisk(t, d, func(c *Config) { c.MaxSeries = 100 })
		assert.Equal(t, int64(100), after.value("restored_series", ""))
		assert.Equal(t, int64(400), after.value("rejected_series", "limit"))
		stop()
	})
}

// More series than a shard of the index is stored in one piece for: the pieces are others, and nothing is lost.
func TestAnotherNumberOfShards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{}
		h, stop := onDisk(t, d)
		h.feed(gauge("many", "1", lately(0, step), make([]float64, 3000)...))
		stop()
		for _, most := range []int{10_000_000, 1000_000, 60_000_000} {
			after, stop := onDisk(t, d, func(c *Config) { c.MaxSeries = most })
			assert.Equal(t, int64(3000), after.value("restored_series", ""))
			crashed := d.copied()
			stop()
			again, stop := onDisk(t, crashed)
			assert.Equal(t, int64(3000), again.value("restored_series", ""))
			stop()
		}
	})
}

func TestMaxAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{}
		h, stop := onDisk(t, d)
		follow(h, 0, 10, false)
		stop()
		time.Sleep(2 * time.Hour)
		after, stop := onDisk(t, d.copied(), func(c *Config) { c.State.MaxAge = time.Hour })
		assert.Zero(t, after.value("restored_series", ""))
		assert.Positive(t, after.value("rejected_shards", "stale"))
		stop()
		after, stop = onDisk(t, d, func(c *Config) { c.State.MaxAge = 3 * time.Hour })
		assert.Positive(t, after.value("restored_series", ""))
		stop()
	})
}

func TestReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{}
		word := func(w string) func(*Config) { return func(c *Config) { c.State.Reset = w } }
		h, stop := onDisk(t, d, word("spring"))
		follow(h, 0, 10, false)
		stop()
		for _, tc := range []struct {
			word string
			kept bool
		}{{"spring", true}, {"autumn", false}, {"autumn", true}, {"", true}, {"autumn", false}} {
			h, stop := onDisk(t, d, word(tc.word))
			assert.Equal(t, tc.kept, h.value("restored_series", "") > 0, tc.word)
			follow(h, 10, 12, false)
			stop()
		}
	})
}

func TestImport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{}
		h, stop := onDisk(t, d)
		follow(h, 0, 200, false)
		held := h.value("held_series", "")
		stop()
		path := export(t, d)

		memory := func(c *Config) { c.Storage, c.State.Import = nil, path }
		elsewhere, stop := onDisk(t, &disk{}, memory)
		assert.Equal(t, held, elsewhere.value("restored_series", ""))
		assert.NotEmpty(t, follow(elsewhere, 200, 210, true), "it needs no warm-up")
		stop()

		// What was learnt here counts more than what was imported.
		again, stop := onDisk(t, d, func(c *Config) { c.State.Import = path })
		assert.Equal(t, held, again.value("rejected_series", "known"))
		stop()

		data, err := os.ReadFile(path)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path, data[:len(data)-1], 0o600))
		cut, stop := onDisk(t, &disk{}, memory)
		assert.Equal(t, held, cut.value("restored_series", ""))
		assert.Equal(t, int64(1), cut.value("rejected_shards", "corrupt"))
		stop()
		require.NoError(t, os.Remove(path))
		_, stop = onDisk(t, &disk{}, memory)
		stop()
	})
}

// The numbers of the kinds are part of the stored format.
func TestKindsAreStable(t *testing.T) {
	for k, want := range map[kind]string{
		kindValue: "value", kindDeltaSum: "delta_sum", kindCumulativeSum: "cumulative_sum", kindDeltaHistogram: "delta_histogram",
		kindCumulativeHistogram: "cumulative_histogram", kindDeltaExponential: "delta_exponential_histogram",
		kindCumulativeExponential: "cumulative_exponential_histogram", kindSummary: "summary", kindRatio: "ratio",
	} {
		assert.Equal(t, want, anomalystate.Kind(k).String())
	}
}

func FuzzDecodeRest(f *testing.F) {
	f.Add([]byte{restVersion, 0, 0})
	f.Add(append([]byte{restVersion, restTotals | restCounts, 1}, make([]byte, 120)...))
	f.Add(append([]byte{restVersion, restJoin, 2}, make([]byte, 32)...))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := decodeRest(data, 100)
		if err != nil {
			return
		}
		assert.LessOrEqual(t, len(p.totals.buckets.positive), 101)
		assert.True(t, finite(p.sum) && finite(p.totals.sum))
		tab := table{limit: 100}
		for k := range kindRatio + 2 {
			rec := anomalystate.Stream{Key: anomalystate.Key{Hi: uint64(k) << 60, Lo: 7}, Kind: uint8(k), Rest: data, Signals: []anomalystate.Signal{{Name: "value", State: data}}}
			tab.restore(&rec, 1, 2, 100, true)
		}
	})
}
