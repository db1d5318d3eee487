package incidentconnector

import (
	"context"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/anomalystate"
	"github.com/paramedic-otel/paramedic/internal/binarystate"
	"github.com/paramedic-otel/paramedic/internal/binarystate/statetest"
	"github.com/paramedic-otel/paramedic/internal/edgehealth"
	"github.com/paramedic-otel/paramedic/semconv"
)

// whereKept says of each field of the engine where it is stored, or why it is not.
var whereKept = map[string]string{
	"cfg": "configuration", "id": "configuration", "logger": "wiring", "telemetry": "wiring", "keeper": "wiring",
	"stop": "wiring", "wait": "wiring", "mu": "wiring", "selection": "configuration",
	"outbox": "life", "clock": "life: the watermark; what made it doubt is found again",
	"alerts":  "waits for the end of one bucket",
	"arrived": "begins with the start", "idleFrom": "begins with the start", "next": "life", "rewinds": "life", "newcomers": "settled with the next bucket",
	"edgeKeys":   "found again with the next point of each edge",
	"resumption": "about the restart itself", "gaps": "life", "edges": "kindEdges", "flow": "kindServices, kindContexts",
	"deltas": "kindSeries", "signals": "kindSignals", "directory": "kindDirectory",
	"resources": "what was read lately and is read again with the next batch", "relations": "kindRelations",
	"preceding": "found anew for each diagnosis", "around": "found anew for each diagnosis", "happenings": "kindObjects", "objects": "kindObjects",
	"details":  "kindDetails",
	"peers":    "found anew for each bucket",
	"patterns": "what waits for the end of one bucket",
	"changes":  "life", "symptoms": "life", "incidents": "life", "refusals": "counted within one batch",
	"ended": "life", "warmFrom": "life", "hearing": "life", "objectives": "kindBudgets", "silences": "configuration",
	"decisions": "counted within one batch, and told soon or never", "muted": "counted within one batch",
	"measures": "wiring", "intake": "wiring", "times": "a restart resets cumulative histograms, as their start time says",
}

func TestEveryFieldOfTheEngineIsKeptOrExplained(t *testing.T) {
	engine := reflect.TypeFor[engine]()
	var fields []string
	for i := range engine.NumField() {
		fields = append(fields, engine.Field(i).Name)
	}
	for _, field := range fields {
		assert.Contains(t, whereKept, field, "engine.%s is new: store it (state.go says how) or say in whereKept why a restart may lose it", field)
	}
	for field := range whereKept {
		assert.Contains(t, fields, field, "engine.%s is gone", field)
	}
}

// What the engine holds things in, and what of that is stored one by one.
var containers = map[reflect.Type]map[string]string{
	reflect.TypeFor[clock](): {
		"maxSkew": "configuration", "watermark": "life", "ahead": "doubts begin anew", "behind": "doubts begin anew", "nearest": "doubts begin anew",
		"coming": "a batch's", "batch": "a batch's", "lags": "found again with the next batches", "lag": "a batch's",
	},
	reflect.TypeFor[deltas](): {
		"limit": "configuration", "last": "kindSeries", "flushes": "begin anew, for what is new after a gap may have begun in it",
		"refused": "is found again with the next refusal",
	},
	reflect.TypeFor[signals](): {"cfg": "configuration", "held": "kindSignals"},
	reflect.TypeFor[directory](): {
		"limit": "configuration", "names": "kindDirectory", "resources": "kindDirectory", "namespaced": "made of the names", "seen": "kindDirectory",
		"versions": "kindDirectory", "records": "kindDirectory", "errors": "kindDirectory",
		"traced": "made of the callers in kindEdges, and of the next points", "changes": "counts what the names mean from the start on",
	},
	reflect.TypeFor[relations](): {"limit": "configuration", "links": "kindRelations", "count": "counted again"},
	reflect.TypeFor[objects](): {
		"limit": "configuration", "workloads": "kindObjects", "configMaps": "kindObjects", "replicaSets": "kindObjects",
		"deleted": "only ends an incident sooner than stale_after does",
	},
	reflect.TypeFor[happenings](): {"limit": "configuration", "seen": "kindObjects", "held": "kindObjects"},
	reflect.TypeFor[details]():    {"limit": "configuration", "edges": "kindDetails"},
	reflect.TypeFor[changes]():    {"limit": "configuration", "list": "life"},
	reflect.TypeFor[objectives](): {"all": "configuration", "limit": "configuration", "matching": "found again", "budgets": "kindBudgets"},
}

func TestEveryFieldOfWhatHoldsThingsIsKeptOrExplained(t *testing.T) {
	for container, known := range containers {
		for i := range container.NumField() {
			field := container.Field(i).Name
			assert.Contains(t, known, field, "%s.%s is new: store it (state.go says how) or say in containers why a restart may lose it", container.Name(), field)
		}
		assert.Len(t, known, container.NumField(), "%s has lost a field", container.Name())
	}
}

// kept fills a value, writes it, reads it into another one and returns the fields that got lost. Those of skip need not be kept.
func kept[T any](t *testing.T, code func(*T, *binarystate.Codec), adjust func(*T), skip ...string) []string {
	t.Helper()
	var want, got T
	statetest.Fill(&want, func(field string) bool { return slices.Contains(skip, field) || field == "Time.loc" })
	if adjust != nil {
		adjust(&want)
	}
	w := binarystate.NewWriter(nil)
	code(&want, w)
	r := binarystate.NewCodecReader(w.Written())
	code(&got, r)
	require.NoError(t, r.Close())
	return statetest.Lost(want, got)
}

const forgotten = "a field is new: add it to the code method in state.go, and raise stateVersion"

func TestCodecsKnowEveryField(t *testing.T) {
	moment := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	assert.Empty(t, kept(t, (*symptom).codeOf, func(s *symptom) {
		s.entity, s.class = s.key.entity, classLog
		s.key.class, s.edgeKind = classLog, 3
		s.onset, s.lastActive, s.quietSince, s.lastKnown = moment, moment.Add(1), moment.Add(2), moment.Add(3)
		s.examples[0].at = moment
	}, "symptom.incident", "symptom.decided"), forgotten)
	assert.Empty(t, kept(t, (*storedBudget).code, func(b *storedBudget) {
		b.used, b.settled = moment, []time.Time{moment, {}}
	}), forgotten)
	assert.Empty(t, kept(t, func(s *keyedSignal, c *binarystate.Codec) { s.code(c, &s.key) }, func(s *keyedSignal) {
		s.entity, s.metric, s.signal.signal = s.key.entity, s.key.metric, s.key.signal
		s.onset, s.last, s.rose = moment, moment.Add(1), moment.Add(2)
	}, "kindRule.words"), forgotten)
	assert.Empty(t, kept(t, func(p *keyedPoint, c *binarystate.Codec) { p.code(c, &p.key) }, nil, "lastPoint.old"), forgotten)
	assert.Empty(t, kept(t, (*change).code, func(c *change) { c.Time = moment }), forgotten)
	assert.Empty(t, kept(t, (*relation).code, func(r *relation) { r.seen = moment }), forgotten)
	assert.Empty(t, kept(t, (*header).code, func(h *header) { h.kind = kindSeries }), forgotten)
	assert.Empty(t, kept(t, func(d *keyedDetail, c *binarystate.Codec) { d.code(c, &d.key) }, func(d *keyedDetail) {
		d.seen, d.failed[0].at, d.slow[0].at = moment, moment.Add(1), moment.Add(2)
		d.edgeDetail.errors.entries[0].at, d.operations.entries[0].at = moment.Add(3), moment.Add(4)
	}), forgotten)
	for sort := range objectSorts {
		assert.Empty(t, kept(t, (*storedObject).code, func(o *storedObject) {
			only := storedObject{key: objectKey{sort, o.key.entity, o.key.name}}
			switch sort {
			case sortWorkload:
				only.workload = o.workload
			case sortConfigMap:
				only.configMap = o.configMap
			case sortReplicaSets:
				only.replicaSets = o.replicaSets
			case sortSeenEvent:
				only.seen = seenEvent{o.seen.count, moment}
			case sortHappening:
				only.happening = o.happening
				only.happening.first, only.happening.last, only.happening.told = moment, moment.Add(1), moment.Add(2)
			}
			*o = only
		}), forgotten)
	}
	assert.Empty(t, kept(t, (*storedService).code, func(s *storedService) {
		s.seen, s.versions.since, s.versions.last, s.records = moment, moment.Add(1), moment.Add(4), moment.Add(5)
		s.errors.list[0].at, s.errors.next = moment.Add(6), 0
		for _, v := range s.versions.values {
			v.seen[0].last, v.changed[0] = moment.Add(2), moment.Add(3)
		}
	}), forgotten)
	assert.Empty(t, kept(t, func(i *storedIncident, c *binarystate.Codec) { i.code(c, 9) }, func(i *storedIncident) {
		i.state, i.emitted, i.members = someIncident(moment), moment, []int{3, 1}
		i.since, i.found, i.changeable, i.seen, i.named = moment, moment, moment, moment, moment
		i.partingSince, i.convergingSince, i.flow = moment, moment, flow{}
	}, "incident.symptoms", "incident.flow"), forgotten)
	assert.Empty(t, kept(t, (*life).code, func(l *life) {
		l.watermark, l.gaps[0] = moment, gap{moment, moment.Add(1)}
		l.changes[0].Time = moment
		s := &l.symptoms[0]
		s.entity, s.class, s.key.class, s.edgeKind = s.key.entity, classSignal, classSignal, 1
		s.onset, s.lastActive, s.quietSince, s.lastKnown, s.examples[0].at = moment, moment, moment, moment, moment
		l.incidents[0] = storedIncident{incident: incident{state: someIncident(moment), emitted: moment}, members: []int{0}}
		l.ended[0].state, l.ended[0].at, l.ended[0].changeable = someIncident(moment), moment, moment
		l.ended[0].opened[0].class = classLog
		l.warmFrom, l.hearing.last, l.hearing.from, l.hearing.to = moment, moment, moment, moment
		l.outbox[0] = semconv.IncidentEvent{Name: semconv.EventIncidentOpened, Time: moment, Incident: someIncident(moment)}
	}, "symptom.incident", "symptom.decided"), forgotten)
}

func (s *symptom) codeOf(c *binarystate.Codec) { s.code(c) }

type keyedSignal struct {
	signal
	key signalKey
}

type keyedPoint struct {
	lastPoint
	key seriesKey
}

type keyedDetail struct {
	edgeDetail
	key edgehealth.Key
}

// someIncident has every field set.
func someIncident(moment time.Time) (i semconv.Incident) {
	statetest.Fill(&i, func(field string) bool { return field == "Time.loc" })
	fix(reflect.ValueOf(&i).Elem(), reflect.ValueOf(moment))
	return i
}

// fix sets every time to a real one.
func fix(v, moment reflect.Value) {
	switch {
	case v.Type() == moment.Type():
		v.Set(moment)
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			fix(v.Field(i), moment)
		}
	case v.Kind() == reflect.Slice:
		for i := range v.Len() {
			fix(v.Index(i), moment)
		}
	case v.Kind() == reflect.Pointer && !v.IsNil():
		fix(v.Elem(), moment)
	}
}

// What is no number neither spoils the rest nor comes back.
func TestNumbersThatAreNone(t *testing.T) {
	s := keyedSignal{signal: signal{utilization: math.NaN(), score: math.Inf(1), deviation: 3}}
	w := binarystate.NewWriter(nil)
	s.code(w, &s.key)
	var got keyedSignal
	r := binarystate.NewCodecReader(w.Written())
	got.code(r, &got.key)
	require.NoError(t, r.Close())
	assert.True(t, math.IsNaN(got.utilization))
	assert.Zero(t, got.score)
	assert.InDelta(t, 3, got.deviation, 0)

	i := storedIncident{incident: incident{state: semconv.Incident{ID: "one", Causes: []semconv.Cause{{Share: math.NaN()}}}}}
	w = binarystate.NewWriter(nil)
	i.code(w, 1)
	var again storedIncident
	r = binarystate.NewCodecReader(w.Written())
	again.code(r, 1)
	require.NoError(t, r.Close())
	assert.Empty(t, again.state.ID, "it is left out")
}

// TestStoredOddities has what is stored be larger than it may be, or point to what is not there.
func TestStoredOddities(t *testing.T) {
	large := storedIncident{incident: incident{state: semconv.Incident{ID: "one", Title: strings.Repeat("x", maxStoredJSON)}}}
	w := binarystate.NewWriter(nil)
	large.code(w, 1)
	var again storedIncident
	r := binarystate.NewCodecReader(w.Written())
	again.code(r, 1)
	require.NoError(t, r.Close(), "it is left out, and the rest is read")
	assert.Empty(t, again.state.ID)

	loose := storedIncident{incident: incident{state: semconv.Incident{ID: "one"}}, members: []int{0}}
	w = binarystate.NewWriter(nil)
	loose.code(w, 1)
	r = binarystate.NewCodecReader(w.Written())
	again.code(r, 0)
	require.ErrorIs(t, r.Close(), binarystate.ErrInvalid, "there are no symptoms")
}

func FuzzStoredState(f *testing.F) {
	var went life
	moment := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	went.watermark, went.next = moment, 7
	went.symptoms = []symptom{{summary: "s", resource: map[string]string{"a": "b"}}}
	went.incidents = []storedIncident{{incident: incident{state: someIncident(moment)}, members: []int{0}}}
	w := binarystate.NewWriter(nil)
	h := header{kind: kindLife, version: stateVersion}
	h.code(w)
	went.code(w)
	f.Add(uint8(kindLife), w.Written())
	s := storedService{name: "a", resource: map[string]string{}, versions: &versions{values: map[versionKey]*versionValues{{}: {}}}}
	w = binarystate.NewWriter(nil)
	s.code(w)
	f.Add(uint8(kindDirectory), w.Written())
	f.Add(uint8(kindSignals), []byte{1, 2, 3})
	o := storedObject{key: objectKey{sort: sortWorkload, name: "a"}, workload: workload{images: []string{"a=b"}}}
	w = binarystate.NewWriter(nil)
	o.code(w)
	f.Add(uint8(kindObjects), w.Written())
	f.Fuzz(func(_ *testing.T, kind uint8, data []byte) {
		e := bareEngine()
		l := &loader{k: &keeper{e: e}}
		c := binarystate.NewCodecReader(data)
		switch kind % uint8(kinds) {
		case uint8(kindLife):
			var went life
			went.code(c)
			if c.Close() == nil {
				e.live(&went)
			}
		default:
			_ = l.record(kindOfByte(kind), data)
			_ = l.shard(context.Background(), int(kind), anomalystate.Seal(data))
		}
		l.written = time.Unix(0, 0)
		l.end()
	})
}

func kindOfByte(b uint8) kind { return kind(b % uint8(kinds)) }
