package incidentconnector

import (
	"context"
	"errors"
	"math/rand"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/paramedic-otel/paramedic/semconv"
)

// TestRestarts stops and starts the connector at random points of a life, also while an incident is open: nobody who gets its
// events can tell.
func TestRestarts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		play := func(cuts ...int) []semconv.IncidentEvent {
			d := &disk{}
			var events []semconv.IncidentEvent
			from := 0
			for _, to := range append(cuts, 320) {
				w := onDisk(t, d)
				w.live(from, to, whole)
				w.stop()
				events = append(events, w.events()...)
				from = to
			}
			return events
		}
		want := play()
		require.Greater(t, len(want), 2)
		checkLives(t, want)
		rng := rand.New(rand.NewSource(2))
		for range 4 {
			cuts := []int{30 + rng.Intn(200), 236 + rng.Intn(12), 250 + rng.Intn(40)}
			assert.Equal(t, want, play(cuts...), "restarts before buckets %v", cuts)
		}
	})
}

// TestCrashes does the same without a shutdown: the incident stays the same one, although what was learnt last is lost.
func TestCrashes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		play := func(cuts ...int) []semconv.IncidentEvent {
			d := &disk{}
			var events []semconv.IncidentEvent
			from := 0
			for _, to := range append(cuts, 330) {
				w := onDisk(t, d)
				w.live(from, to, whole)
				d = d.copied()
				events = append(events, w.events()...)
				w.stop()
				from = to
			}
			return events
		}
		want := play()
		rng := rand.New(rand.NewSource(3))
		for range 6 {
			cuts := []int{30 + rng.Intn(200), 243 + rng.Intn(26), 270 + rng.Intn(20)}
			got := play(cuts...)
			assert.Equal(t, got, without(got), "what was handed over before the crash was known to be")
			checkLives(t, got)
			first, last := telling(want), telling(got)
			assert.Equal(t, first[0], last[0], "the crashes are later")
			assert.Equal(t, first[len(first)-1].id, last[len(last)-1].id)
			assert.Equal(t, semconv.ResolutionRecovered, last[len(last)-1].resolution)
			for _, e := range got {
				assert.Equal(t, "stock", e.Incident.Cause().Entity.Name, "crashes before buckets %v", cuts)
			}
		}
	})
}

// later is what make returns with everything some buckets later.
func later(by int, make func(i int) []any) func(i int) []any {
	return func(i int) []any { return make(i + by) }
}

// open plays until an incident is open, and stops.
func open(t *testing.T, d *disk, changes ...func(*Config)) semconv.Incident {
	w := onDisk(t, d, changes...)
	w.live(0, 240, calm)
	w.live(240, 250, stockFails)
	w.stop()
	i := w.one()
	require.Equal(t, semconv.StatusOpen, i.Status)
	return *i
}

// TestDowntime is about an incident that was open when the collector stopped.
func TestDowntime(t *testing.T) {
	t.Parallel()
	const minute = 12
	for name, c := range map[string]struct {
		// down is for how many buckets nobody listens, fails for how many after that the trouble goes on.
		down, fails int
		quick       bool
		resolution  semconv.Resolution
		// within is how many buckets after the restart it must be over, and not before from.
		from, within int
		more         int
	}{
		"none, the trouble goes on":                        {0, 10, false, semconv.ResolutionRecovered, 22, 26, 0},
		"short, the trouble goes on":                       {2 * minute, 10, false, semconv.ResolutionRecovered, 22, 26, 0},
		"longer than silence may be, the trouble goes on":  {10 * minute, 10, false, semconv.ResolutionRecovered, 22, 26, 0},
		"longer than silence may be, the trouble was over": {10 * minute, 0, false, semconv.ResolutionRecovered, 10, 14, 0},
		"short, the trouble was over":                      {2 * minute, 0, false, semconv.ResolutionRecovered, 10, 14, 0},
		"too long":                                         {61 * minute, 10, false, semconv.ResolutionNoData, 0, 1, 1},
		"held back upstream":                               {61 * minute, 10, true, semconv.ResolutionNoData, 0, 25, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &disk{}
				before := open(t, d)
				if !c.quick {
					time.Sleep(time.Duration(c.down) * step)
				}
				w := onDisk(t, d)
				w.live(0, c.fails, later(250+c.down, stockFails))
				w.live(c.fails, c.fails+20, later(250+c.down, calm))
				w.stop()
				events := w.events()
				require.NotEmpty(t, events)
				over := 0
				for _, e := range events {
					if e.Incident.ID != before.ID {
						continue
					}
					assert.NotEqual(t, semconv.EventIncidentOpened, e.Name)
					before.Revision++
					assert.Equal(t, before.Revision, e.Incident.Revision)
					assert.Equal(t, before.StartedAt, e.Incident.StartedAt)
					if e.Name == semconv.EventIncidentResolved {
						over++
						assert.Equal(t, c.resolution, e.Incident.Resolution)
						if c.resolution == semconv.ResolutionRecovered {
							after := int(e.Time.Sub(at(249+c.down)) / step)
							assert.GreaterOrEqual(t, after, c.from)
							assert.LessOrEqual(t, after, c.within)
						}
					}
				}
				assert.Equal(t, 1, over)
				assert.Len(t, w.last(), 1+c.more)
			})
		})
	}
}

// TestSilenceAfterARestart starts again, but no data come.
func TestSilenceAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{}
		before := open(t, d)
		time.Sleep(20 * time.Minute)
		w := onDisk(t, d)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		assert.Equal(t, semconv.StatusOpen, w.one().Status, "nobody knows anything yet")
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		require.Equal(t, before.ID, w.one().ID)
		assert.Equal(t, semconv.ResolutionNoData, w.one().Resolution)
		w.stop()
	})
}

// TestLearntAfterALongTime finds trouble at once, by what was learnt before a week-end.
func TestLearntAfterALongTime(t *testing.T) {
	for name, c := range map[string]struct {
		down  time.Duration
		finds bool
	}{"two days": {48 * time.Hour, true}, "two weeks": {14 * 24 * time.Hour, false}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &disk{}
				open(t, d)
				time.Sleep(c.down)
				w := onDisk(t, d)
				assert.Equal(t, semconv.ResolutionNoData, w.engine().outbox.waiting[0].Incident.Resolution)
				w.live(0, 10, later(250+int(c.down/step), stockFails))
				w.stop()
				assert.Len(t, w.last(), map[bool]int{true: 2, false: 1}[c.finds])
				if !c.finds {
					assert.Positive(t, w.count("rejected_shards", "stale"))
				}
			})
		})
	}
}

// TestEventsOutliveARestart has the next component refuse until the end: the next collector hands over what waited.
func TestEventsOutliveARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calmly := onDisk(t, &disk{})
		calmly.live(0, 260, whole)
		want := calmly.events()
		calmly.stop()

		d := &disk{}
		next := &refusing{err: errors.New("busy")}
		w := newWorldOn(t, d.host(), stored(), next)
		w.live(0, 260, whole)
		crashed := d.copied()
		w.stop()
		assert.Zero(t, w.count("dropped_events", ""), "they are kept")
		for name, d := range map[string]*disk{"stopped": d, "crashed": crashed} {
			w := onDisk(t, d)
			assert.Equal(t, int64(len(want)), w.count("restored_items", "outbox"), name)
			time.Sleep(2 * time.Second)
			synctest.Wait()
			assert.Equal(t, want, w.events(), name)
			w.stop()
			again := onDisk(t, d)
			time.Sleep(2 * time.Second)
			again.stop()
			assert.Empty(t, again.events(), "they come once")
		}
	})
}

// crashing is a consumer that keeps the disk as it is whenever an event comes.
type crashing struct {
	consumertest.LogsSink
	d     *disk
	disks []*disk
}

func (c *crashing) ConsumeLogs(ctx context.Context, ld plog.Logs) error {
	c.disks = append(c.disks, c.d.copied())
	return c.LogsSink.ConsumeLogs(ctx, ld)
}

// TestNobodyIsToldOfWhatIsNotStored crashes while each event is being handed over.
func TestNobodyIsToldOfWhatIsNotStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &crashing{d: &disk{}}
		w := newWorldOn(t, c.d.host(), stored(), c)
		w.live(0, 320, whole)
		w.stop()
		events := decode(t, c.AllLogs())
		require.Len(t, c.disks, len(events))
		for i, d := range c.disks {
			again := onDisk(t, d)
			time.Sleep(2 * time.Second)
			synctest.Wait()
			require.NotEmpty(t, again.events(), "event %d", i)
			assert.Equal(t, telling(events[i:i+1]), telling(again.events()[:1]), "it comes again, the same")
			again.stop()
		}
	})
}

// TestWarmUpGoesOn stops during the warm-up: time in which nobody listened is none.
func TestWarmUpGoesOn(t *testing.T) {
	warm := func(cfg *Config) { cfg.WarmUp = time.Minute }
	for name, c := range map[string]struct {
		restart func(*Config)
		before  int
		muted   bool
	}{
		"in the midst of it":         {warm, 6, true},
		"after it":                   {warm, 30, false},
		"after it, but nothing left": {func(cfg *Config) { warm(cfg); cfg.Bucket = 2 * step }, 30, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &disk{}
				w := onDisk(t, d, warm)
				w.live(0, c.before, calm)
				w.stop()
				time.Sleep(20 * step)
				w = onDisk(t, d, c.restart)
				e := w.engine()
				w.feed(calm(c.before + 20)...)
				assert.Equal(t, c.muted, e.warmingUp(at(c.before+23)))
				assert.False(t, e.warmingUp(at(c.before+34)))
				w.stop()
			})
		})
	}
}

// TestCrashIsNoSilence has a crash lose what was learnt last during an incident: whoever follows it is not told that nothing is
// known, for data came all the time.
func TestCrashIsNoSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{}
		w := onDisk(t, d, func(c *Config) { c.State.Interval = 10 * time.Minute })
		w.live(0, 270, whole)
		require.Len(t, w.last(), 1)
		d = d.copied()
		w.stop()
		w = onDisk(t, d)
		w.live(274, 276, whole)
		for _, e := range w.events() {
			assert.Zero(t, e.Incident.UnknownSince, e.Time)
		}
		w.stop()
	})
}
