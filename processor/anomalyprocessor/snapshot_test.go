package anomalyprocessor

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
)

// What a crash leaves behind is at most an interval old.
func TestSnapshots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{}
		h, stop := onDisk(t, d)
		assert.Empty(t, follow(h, 0, 200, false))
		time.Sleep(time.Minute + time.Second)
		synctest.Wait()
		assert.Equal(t, int64(1), h.value("snapshot_duration", ""))
		written := h.value("written_shards", "")
		assert.Positive(t, h.value("written_bytes", ""))
		crashed := d.copied()

		sets := d.sets
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		assert.Equal(t, sets, d.sets, "what has not changed is not written")
		h.feed(gauge("queue.size", "1", lately(300, step), 1))
		time.Sleep(time.Minute + time.Second)
		synctest.Wait()
		assert.Equal(t, sets+1, d.sets, "only the shard that has changed is")
		assert.Equal(t, written+1, h.value("written_shards", ""))
		stop()

		after, stop := onDisk(t, crashed)
		assert.Positive(t, after.value("restored_series", ""))
		assert.NotEmpty(t, follow(after, 200, 210, true), "there is no warm-up")
		stop()
	})
}

func TestStateInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{}
		h, stop := onDisk(t, d, func(c *Config) { c.State.Interval = 10 * time.Minute })
		follow(h, 0, 3, false)
		time.Sleep(9 * time.Minute)
		assert.Zero(t, h.value("snapshot_duration", ""))
		time.Sleep(2 * time.Minute)
		assert.Equal(t, int64(1), h.value("snapshot_duration", ""))
		stop()
	})
}

func TestFailingStorage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{}
		h, stop := onDisk(t, d)
		follow(h, 0, 100, false)
		d.fail(errDisk)
		time.Sleep(time.Minute)
		synctest.Wait()
		assert.Equal(t, int64(1), h.value("failed_snapshots", ""))
		assert.Positive(t, h.value("unwritten_shards", "storage"))
		assert.Empty(t, follow(h, 100, 110, false), "scoring goes on")
		d.fail(nil)
		time.Sleep(time.Minute)
		synctest.Wait()
		assert.Equal(t, int64(1), h.value("failed_snapshots", ""))
		crashed, held := d.copied(), h.value("held_series", "")
		stop()
		after, stop := onDisk(t, crashed)
		assert.Equal(t, held, after.value("restored_series", ""))
		stop()

		// What cannot be read must not be written over.
		d.fail(errDisk)
		_, _, err := tryOnDisk(t, d)
		require.EqualError(t, err, "read from storage disk: read what is stored: disk is full")
	})
}

func TestMaxBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{}
		h, stop := onDisk(t, d, func(c *Config) { c.State.MaxBytes = 1 << 20 })
		for n := range 3 {
			h.feed(gauge("many", "1", lately(n, step), make([]float64, 4000)...))
		}
		stop()
		total := 0
		for key, v := range d.values {
			if key != "meta" && key != "reset" {
				total += len(v)
			}
		}
		assert.LessOrEqual(t, total, 1<<20)
		assert.Greater(t, total, 1<<19)
		after, stop := onDisk(t, d)
		restored := after.value("restored_series", "")
		assert.Positive(t, restored)
		assert.Less(t, restored, int64(4000))
		assert.Equal(t, int64(total), after.value("stored_bytes", ""))
		stop()
	})
}

func TestShutdownDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{}
		h, stop := onDisk(t, d, func(c *Config) { c.State.ShutdownTimeout = 5 * time.Second })
		h.feed(gauge("many", "1", lately(0, step), make([]float64, 2000)...))
		d.before = func() { time.Sleep(time.Second) }
		before := time.Now()
		stop()
		assert.Less(t, time.Since(before), 10*time.Second)
		assert.Equal(t, 1, d.closed)
	})
}

// Batches come while snapshots are written, and series come and go meanwhile.
func TestScoringWhileSnapshotsAreWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{}
		h, stop := onDisk(t, d, func(c *Config) { c.State.Interval, c.SeriesTTL = time.Second, time.Minute })
		for n := range 60 {
			h.feed(gauge(fmt.Sprint("m", n/20), "1", lately(n, step), make([]float64, 100)...))
			time.Sleep(time.Second + time.Duration(n)*time.Millisecond)
		}
		assert.Greater(t, h.value("snapshot_duration", ""), int64(50))
		assert.Zero(t, h.value("failed_snapshots", ""))
		held := h.value("held_series", "")
		stop()
		after, stop := onDisk(t, d)
		assert.Equal(t, held, after.value("restored_series", ""))
		stop()
	})
}

// A batch waits for the encoding of a few streams only: the lock is given back after each few.
func TestEncodingTakesTurns(t *testing.T) {
	cfg := createDefaultConfig().(*Config)
	p, err := newAnomalyProcessor((&harness{telemetry: componenttest.NewTelemetry()}).settings(), cfg)
	require.NoError(t, err)
	for n := range uint64(1000) {
		p.table.add(keyOf(n), kindValue, 0)
	}
	k := &keeper{p: p}
	k.list(0)
	require.Len(t, k.slots, 1000)
	longest, turn, seen := 0, 0, 0
	var last uint64
	k.each(0, encodeStreams, func(*stream) (bool, bool) {
		assert.False(t, p.mu.TryLock())
		seen++
		turn++
		longest = max(longest, turn)
		if last++; last%encodeStreams == 0 {
			turn = 0
		}
		return true, false
	})
	assert.Equal(t, 1000, seen)
	assert.LessOrEqual(t, longest, encodeStreams)
	turns := 0
	k.each(0, 10, func(*stream) (bool, bool) {
		turns++
		return false, turns == 5
	})
	assert.Equal(t, 5, turns, "it can end early")
	assert.True(t, p.mu.TryLock())
	p.mu.Unlock()
}
