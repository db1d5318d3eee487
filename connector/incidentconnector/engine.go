package incidentconnector

import (
	"context"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/connector"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.uber.org/zap"

	"github.com/paramedic-otel/paramedic/internal/edgehealth"
	"github.com/paramedic-otel/paramedic/internal/excess"
	"github.com/paramedic-otel/paramedic/internal/logflow"
	"github.com/paramedic-otel/paramedic/internal/logtemplate"
	"github.com/paramedic-otel/paramedic/semconv"
)

// entryNode stands for callers outside the service graph.
var entryNode = edgehealth.Node(semconv.Entity{Type: semconv.EntityExternal, Name: semconv.GraphUser}.String())

// engine is the state that all views of one connector share.
type engine struct {
	cfg       *Config
	id        component.ID
	logger    *zap.Logger
	telemetry *instruments
	outbox    *outbox
	measures  *measures
	intake    intake
	// keeper is nil without storage.
	keeper *keeper

	stop context.CancelFunc
	wait sync.WaitGroup

	mu sync.Mutex
	// mu guards everything below.
	clock clock
	// arrived is when, on the clock on the wall, data last came, and idleFrom the watermark then.
	arrived  time.Time
	idleFrom time.Time
	// next is the first bucket that was not judged yet.
	next int64
	// rewinds counts how often time went back.
	rewinds int
	// resumption and gaps say of what time nothing is known because of restarts.
	resumption resumption
	gaps       gaps

	edges     *edgehealth.Model
	edgeKeys  *edgeKeys
	flow      *logflow.Model
	deltas    *deltas
	signals   *signals
	selection *selection
	directory *directory
	// newcomers are the services that were met since the last bucket was judged.
	newcomers []string
	resources *resources
	relations *relations
	changes   changes
	// preceding are the changes of each entity that came before the incident which is diagnosed.
	preceding map[semconv.Entity]*change
	// around are the edges that the ranking of that incident has looked at.
	around     []aroundEdge
	happenings *happenings
	// peers are found when a bucket is judged and somebody asks for one.
	peers     *peers
	details   *details
	patterns  []newPattern
	alerts    alerts
	objects   *objects
	symptoms  map[symptomKey]*symptom
	incidents []*incident
	// ended are the incidents that were resolved a moment ago, in the order of their ends.
	ended      []*endedIncident
	objectives *objectives
	silences   []silence
	hearing    hearing
	// warmFrom is when the first data came.
	warmFrom  time.Time
	decisions decisions
	times     lifeTimes
	// muted counts the events that a silence kept back.
	muted    int64
	refusals refusals
}

func newEngine(cfg *Config, set connector.Settings) (*engine, error) {
	telemetry, err := newInstruments(set.TelemetrySettings)
	if err != nil {
		return nil, err
	}
	learning := learningOf(cfg)
	selection, err := newSelection(&cfg.Signals, set.TelemetrySettings)
	if err != nil {
		return nil, err
	}
	return &engine{
		cfg: cfg, id: set.ID, logger: set.Logger, telemetry: telemetry,
		outbox: &outbox{limit: cfg.Limits.Outbox, telemetry: telemetry, logger: set.Logger},
		clock: clock{maxSkew: cfg.MaxClockSkew, lags: lags{
			limit: cfg.Limits.Relations, of: map[[16]byte]*lag{}, tolerated: cfg.Lateness + 2*cfg.Bucket, most: cfg.MaxClockSkew,
		}},
		edges: edgehealth.New(entryNode, edgehealth.Limits{
			MaxEdges: cfg.Limits.Edges, IdleBuckets: 2 * learning.NormalAfter,
		}, learning),
		flow: logflow.New(logflow.Limits{
			MaxServices: cfg.Limits.Services, MaxContexts: cfg.Limits.LogContexts,
			MaxTemplates: cfg.Limits.LogTemplates, Templates: logtemplate.DefaultLimits(),
		}, learning),
		edgeKeys:   newEdgeKeys(cfg.Limits.Edges),
		deltas:     newDeltas(cfg.Limits.Series),
		signals:    newSignals(cfg),
		selection:  selection,
		directory:  newDirectory(cfg.Limits.Services),
		resources:  newResources(cfg.Limits.Relations),
		relations:  newRelations(cfg.Limits.Relations),
		changes:    changes{limit: cfg.Limits.Changes},
		happenings: newHappenings(cfg.Limits.Objects),
		details:    newDetails(cfg.Limits.Edges),
		objects:    newObjects(cfg.Limits.Objects),
		symptoms:   map[symptomKey]*symptom{},
		measures:   &measures{telemetry: telemetry},
		objectives: newObjectives(cfg),
		silences:   newSilences(cfg.Silences),
		decisions:  newDecisions(cfg),
	}, nil
}

// learningOf says how the models forget.
func learningOf(cfg *Config) excess.Learning {
	return excess.Learning{
		HalfLife:    float64(cfg.BaselineHalfLife) / float64(cfg.Bucket),
		NormalAfter: int64(cfg.NormalAfter / cfg.Bucket),
	}
}

// rewind goes back to the time where the data are. What was learnt is kept, what goes on is not.
func (e *engine) rewind() (events []semconv.IncidentEvent) {
	events = e.closeAll(semconv.ResolutionNoData)
	e.rewinds++
	// What was learnt is kept, and so is the warm-up that there was.
	e.warmFrom = e.clock.watermark.Add(-e.endOf(e.next - 1).Sub(e.warmFrom))
	e.next = e.bucketOf(e.clock.watermark) - 1
	e.edges.Rewind(e.next)
	e.flow.Rewind(e.next)
	e.signals.clear()
	e.deltas = newDeltas(e.cfg.Limits.Series)
	clear(e.symptoms)
	clear(e.resources.notes)
	clear(e.clock.lags.of)
	e.relations = newRelations(e.cfg.Limits.Relations)
	clear(e.directory.versions)
	e.changes.list = nil
	e.happenings = newHappenings(e.cfg.Limits.Objects)
	e.details = newDetails(e.cfg.Limits.Edges)
	e.patterns = nil
	clear(e.directory.records)
	clear(e.directory.errors)
	e.ended = nil
	e.objectives.clear()
	e.hearing = hearing{}
	e.gaps = nil
	e.alerts = alerts{}
	return events
}

// Start goes on with what was stored, if there is a storage, and starts the watch over idle times.
func (e *engine) Start(ctx context.Context, host component.Host) error {
	if err := e.startState(ctx, host); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	e.stop = stop
	e.wait.Go(func() {
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case now := <-ticker.C:
				e.idle(ctx, now)
			}
		}
	})
	return nil
}

// Shutdown stops the watch and stores what has changed.
func (e *engine) Shutdown(ctx context.Context) error {
	if e.stop != nil {
		e.stop()
	}
	e.wait.Wait()
	err := e.stopState(ctx)
	e.telemetry.builder.Shutdown()
	return err
}

func (e *engine) consumeMetrics(ctx context.Context, md pmetric.Metrics) {
	e.consume(ctx, metricTimes(md), func() { e.ingestMetrics(md) })
	e.telemetry.builder.ConnectorIncidentReceivedItems.Add(ctx, int64(md.DataPointCount()), e.telemetry.metrics...)
}

func (e *engine) consumeLogs(ctx context.Context, ld plog.Logs) {
	e.consume(ctx, recordTimes(ld), func() { e.ingestLogs(ld) })
	e.telemetry.builder.ConnectorIncidentReceivedItems.Add(ctx, int64(ld.LogRecordCount()), e.telemetry.logs...)
}

// consume takes one batch in, and judges the buckets that it completes.
func (e *engine) consume(ctx context.Context, each eachTime, ingest func()) {
	e.mu.Lock()
	var events []semconv.IncidentEvent
	newest := e.clock.timeOf(each)
	if e.resumption.pending && !newest.IsZero() {
		events = e.resume(newest)
	}
	e.clock.coming = newest
	e.clock.batch++
	ingest()
	if !newest.IsZero() {
		if !e.clock.started() {
			e.next = e.bucketOf(newest) - 1
			e.warmFrom = newest
		}
		before := e.clock.watermark
		if e.clock.observe(newest) {
			e.logger.Warn("data lie constantly in the past, going back in time", zap.Time("newest", newest))
			events = append(events, e.rewind()...)
		} else if ahead := e.clock.watermark.Sub(before); !before.IsZero() && ahead > e.cfg.MaxClockSkew && e.warmingUp(before) {
			// Nothing was learnt in the time that was jumped over.
			e.warmFrom = e.warmFrom.Add(ahead)
		}
		e.arrived, e.idleFrom = time.Now(), e.clock.watermark
		e.hearing.hear(e.clock.watermark, e.cfg.Bucket)
		events = append(events, e.judge(ctx)...)
	}
	refused := e.refusals
	refused.limit += e.flow.TakeRefused()
	e.refusals = refusals{}
	e.outbox.add(ctx, events)
	e.mu.Unlock()
	e.telemetry.refused(ctx, refused)
	e.told(ctx, events)
}

// told hands over what waits, or, where it has to be stored before, sees to that.
func (e *engine) told(ctx context.Context, events []semconv.IncidentEvent) {
	if sent := e.outbox.flush(ctx); e.keeper != nil && (sent || len(events) > 0) {
		e.keeper.nudge(events)
	}
	e.sendDecisions(ctx)
	e.measures.flush(ctx)
}

// idle moves event time on by the clock on the wall when no data have come for a while, and tries again to send what
// waits.
func (e *engine) idle(ctx context.Context, now time.Time) {
	e.mu.Lock()
	var events []semconv.IncidentEvent
	if e.clock.started() && now.Sub(e.arrived) >= e.cfg.IdleAfter {
		e.clock.pass(e.idleFrom.Add(now.Sub(e.arrived)))
		events = e.judge(ctx)
		e.outbox.add(ctx, events)
	}
	e.recordHeld(ctx)
	e.mu.Unlock()
	e.outbox.overdue(now)
	e.told(ctx, events)
}

// maxSilentBuckets is how many buckets without data are judged one by one before the rest is skipped.
const maxSilentBuckets = excess.Lookahead + excess.Lookback

// judge closes and judges the buckets that are complete.
func (e *engine) judge(ctx context.Context) []semconv.IncidentEvent {
	var events []semconv.IncidentEvent
	complete := e.bucketOf(e.clock.watermark.Add(-e.cfg.Lateness))
	for judged := 0; e.next < complete; judged++ {
		if judged >= maxSilentBuckets && len(e.symptoms) == 0 && len(e.incidents) == 0 {
			// Nothing can come of buckets without data; the models catch up by themselves.
			e.next = complete - 1
		}
		start := time.Now()
		events = append(events, e.judgeBucket(e.next)...)
		e.next++
		e.telemetry.builder.ConnectorIncidentEvaluationDuration.Record(ctx, time.Since(start).Seconds())
	}
	e.telemetry.decided(ctx, e.decisions.counts)
	if e.muted > 0 {
		e.telemetry.builder.ConnectorIncidentSilencedEvents.Add(ctx, e.muted)
		e.muted = 0
	}
	return events
}

// forgetEvery is after how many buckets the series that have ended are looked for.
const forgetEvery = 64

// judgeBucket closes a bucket in all models and carries their findings on to symptoms and incidents.
func (e *engine) judgeBucket(bucket int64) []semconv.IncidentEvent {
	e.peers = nil
	now := e.endOf(bucket)
	e.settleNewcomers()
	alerted, least := e.alerts.take(now), float64(minSurprise)
	if alerted {
		least = alertSurprise
	}
	edgeFindings := e.edges.Close(bucket, least)
	for _, name := range e.directory.names {
		e.flow.NoteRequests(name, bucket, e.edges.Seen(serviceNode(name)))
	}
	flowFindings := e.flow.Close(bucket, least)

	e.noteEdges(now, edgeFindings)
	e.noteFlow(now, flowFindings)
	e.notePatterns(now)
	e.noteSignals(now)
	e.noteHappenings(now)
	e.noteObjectives(now)
	e.noteSilence(now)
	events := e.updateIncidents(now)
	if alerted {
		events = append(events, e.answer(now)...)
	}
	e.measure(now)
	e.forgetSymptoms(now)
	if bucket%forgetEvery == 0 {
		ended := now.Add(-2 * e.cfg.NormalAfter)
		e.deltas.forget(pcommon.NewTimestampFromTime(ended))
		e.directory.forget(ended)
		e.flow.Forget(e.bucketOf(ended))
		e.happenings.forget(ended)
		e.details.forget(now.Add(-e.cfg.ChangeWindow))
		e.resources.forget(now.Add(-e.cfg.ChangeWindow))
		e.clock.lags.forget(now.Add(-e.cfg.ChangeWindow))
		e.relations.forget(now.Add(-e.cfg.ChangeWindow))
		e.objects.forgetDeleted(now.Add(-e.cfg.StaleAfter - e.cfg.Bucket))
		e.objectives.forget(now)
	}
	e.changes.forget(now.Add(-e.cfg.ChangeWindow - e.cfg.GroupWindow))
	return events
}

func (e *engine) bucketOf(t time.Time) int64 {
	b := t.UnixNano() / int64(e.cfg.Bucket)
	if t.UnixNano() < 0 {
		b--
	}
	return b
}

// endOf returns when a bucket ends.
func (e *engine) endOf(bucket int64) time.Time {
	return time.Unix(0, (bucket+1)*int64(e.cfg.Bucket)).UTC()
}

func (e *engine) recordHeld(ctx context.Context) {
	gauge := e.telemetry.builder.ConnectorIncidentHeldItems
	gauge.Record(ctx, int64(e.edges.Len()), e.telemetry.edges...)
	gauge.Record(ctx, int64(len(e.directory.names)), e.telemetry.services...)
	gauge.Record(ctx, int64(e.relations.count), e.telemetry.relations...)
	gauge.Record(ctx, int64(len(e.resources.notes)), e.telemetry.resources...)
	gauge.Record(ctx, int64(len(e.changes.list)), e.telemetry.changes...)
	gauge.Record(ctx, int64(e.happenings.len()+e.objects.len()), e.telemetry.objects...)
	gauge.Record(ctx, int64(e.flow.Contexts()), e.telemetry.contexts...)
	gauge.Record(ctx, int64(len(e.signals.held)), e.telemetry.signals...)
	gauge.Record(ctx, int64(len(e.deltas.last)), e.telemetry.series...)
	gauge.Record(ctx, int64(len(e.symptoms)), e.telemetry.symptoms...)
	gauge.Record(ctx, int64(len(e.incidents)), e.telemetry.incidents...)
	gauge.Record(ctx, int64(e.outbox.len()), e.telemetry.outbox...)
	gauge.Record(ctx, int64(len(e.objectives.budgets)), e.telemetry.budgets...)
	warming := int64(0)
	if !e.clock.started() || e.warmingUp(e.endOf(e.next-1)) {
		warming = 1
	}
	e.telemetry.builder.ConnectorIncidentWarmingUp.Record(ctx, warming)
}
