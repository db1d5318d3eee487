package logflow

import (
	"fmt"
	"math/rand"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/binarystate"
	"github.com/paramedic-otel/paramedic/internal/binarystate/statetest"
	"github.com/paramedic-otel/paramedic/internal/excess"
	"github.com/paramedic-otel/paramedic/internal/logtemplate"
)

// The codec knows every field. When this fails for a new one, add it to a code method in state.go, and raise ModelVersion.
func TestCodeKnowsEveryField(t *testing.T) {
	want := service{miner: logtemplate.NewMiner(limits.Templates)}
	want.miner.Match("another one")
	statetest.Fill(&want, func(field string) bool {
		// The miner's own test covers the miner, who makes a service its index, and what is usual is found anew at every look.
		switch field {
		case "follower.usual", "follower.seen", "follower.expected":
			return true
		}
		return field == "Track.Clustered" || field == "service.miner" || field == "service.index" || field == "follower.template"
	})
	w := binarystate.NewWriter(nil)
	want.code(w)
	got := service{miner: logtemplate.NewMiner(limits.Templates)}
	r := binarystate.NewCodecReader(w.Written())
	got.code(r)
	require.NoError(t, r.Close())
	got.index = want.index
	for _, s := range []*service{&want, &got} {
		s.miner = nil
		for _, one := range s.templates {
			one.astray.Clustered = 0
		}
	}
	assert.Empty(t, statetest.Lost(want, got), "fields that the codec of a service does not know")
}

func TestCodeKnowsEveryFieldOfAContext(t *testing.T) {
	var q, gotQ queued
	var last, gotLast lastStep
	statetest.Fill(&q, func(field string) bool { return field == "contextKey.service" })
	statetest.Fill(&last, func(field string) bool { return field == "lastStep.unsure" })
	at, gotAt := 3, 0
	w := binarystate.NewWriter(nil)
	codeContext(w, &at, 9, &q, &last)
	r := binarystate.NewCodecReader(w.Written())
	codeContext(r, &gotAt, 9, &gotQ, &gotLast)
	require.NoError(t, r.Close())
	assert.Equal(t, at, gotAt)
	assert.Empty(t, append(statetest.Lost(q, gotQ), statetest.Lost(last, gotLast)...), "fields that the codec of a context does not know")
}

func restored(t testing.TB, a *Model) *Model {
	b := New(limits, learning)
	a.Names(func(name string) { require.NoError(t, b.RestoreService(a.AppendService(nil, name))) })
	require.NoError(t, b.RestoreContexts(a.AppendContexts(nil)))
	return b
}

// A model that was restored finds what the one that went on finds, whenever that was.
func TestStateSurvives(t *testing.T) {
	rng := rand.New(rand.NewSource(3))
	bucket := func(m *Model, b int64) []Finding {
		switch {
		case b%90 > 75 && b%2 == 0:
			visit(m, b, 10, "begin", "charge")
		case b%90 > 75:
			visit(m, b, 10, "begin", "refuse")
		default:
			visit(m, b, 10, "begin", "charge", "ship")
		}
		for range 3 * (b % 90 / 80) {
			m.Observe(Record{Service: "bank", Bucket: b, Message: "no money left", Error: true})
		}
		for range 10 {
			m.Observe(Record{Service: "bank", Bucket: b, Message: "asked"})
		}
		m.NoteRequests("shop", b, 10)
		m.NoteRequests("bank", b, 10)
		return m.Close(b, 4)
	}
	found := 0
	for range 10 {
		a := New(limits, learning)
		at := 20 + rng.Int63n(300)
		for b := range at {
			bucket(a, b)
		}
		b := restored(t, a)
		assert.Equal(t, a.Next(), b.Next())
		assert.Equal(t, a.Templates(), b.Templates())
		assert.Equal(t, a.Contexts(), b.Contexts())
		assert.Equal(t, a.records, b.records)
		assert.Equal(t, a.writers, b.writers)
		for n := at; n < at+200; n++ {
			want, got := bucket(a, n), bucket(b, n)
			found += len(want)
			require.Equal(t, names(want), names(got), "restored before bucket %d, bucket %d", at, n)
			for i := range want {
				// The last steps before the restart say nothing: that can be seen as long as they are in the ring.
				assert.InEpsilon(t, want[i].Verdict.Surprise, got[i].Verdict.Surprise, 0.15)
			}
		}
	}
	assert.NotZero(t, found)
}

func names(findings []Finding) map[string]bool {
	all := map[string]bool{}
	for _, f := range findings {
		all[fmt.Sprint(f.Service, f.Kind, f.Template, f.After)] = true
	}
	return all
}

// A step that was under way is neither missed nor lost.
func TestStepsUnderWaySurvive(t *testing.T) {
	for name, known := range map[string]bool{"with the spans": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			a := learnt(t, 200)
			for i := range 10 {
				m := Record{Service: "shop", Bucket: 200, Message: "begin", Context: span(4000 + i)}
				a.Observe(m)
			}
			b := New(limits, learning)
			require.NoError(t, b.RestoreService(a.AppendService(nil, "shop")))
			if known {
				require.NoError(t, b.RestoreContexts(a.AppendContexts(nil)))
			} else {
				b.ForgetSteps()
			}
			for i := range 5 {
				b.Observe(Record{Service: "shop", Bucket: 200, Message: "charge", Context: span(4000 + i)})
				b.Observe(Record{Service: "shop", Bucket: 200, Message: "ship", Context: span(4000 + i)})
			}
			for _, f := range b.Close(200, 1) {
				assert.NotEqual(t, MissingStep, f.Kind, "%+v", f)
			}
			begin := b.services["shop"].templates[1]
			require.Equal(t, "begin", b.services["shop"].miner.Text(1))
			want := 0.0
			if known {
				want = 5
			}
			assert.InDelta(t, want, begin.inContext[excess.SlotOf(200)], 0)
		})
	}
}

func TestServicesOfDifferentTimesMeet(t *testing.T) {
	m := New(limits, learning)
	step := func(m *Model, from, n int64) (findings []Finding) {
		for b := from; b < from+n; b++ {
			visit(m, b, 10, "begin", "charge", "ship")
			for range 10 {
				m.Observe(Record{Service: "bank", Bucket: b, Message: "asked"})
			}
			m.NoteRequests("shop", b, 10)
			m.NoteRequests("bank", b, 10)
			findings = append(findings, m.Close(b, 4)...)
		}
		return findings
	}
	step(m, 0, 200)
	early := m.AppendService(nil, "shop")
	step(m, 200, 4)
	late := m.AppendService(nil, "bank")
	for _, order := range [][][]byte{{early, late}, {late, early}} {
		b := New(limits, learning)
		for _, data := range order {
			require.NoError(t, b.RestoreService(data))
		}
		b.ForgetSteps()
		assert.Equal(t, int64(204), b.Next())
		assert.Zero(t, b.Records("shop", 4))
		assert.InDelta(t, 40, b.Records("bank", 4), 0)
		assert.Empty(t, step(b, 204, 50))
	}
}

// Requests from before a gap are told of after it: that there are no records of them says nothing.
func TestDeaf(t *testing.T) {
	for until, finds := range map[int64]bool{0: true, 204: false} {
		m := learnt(t, 200)
		m.Deaf(until)
		found := false
		for b := int64(200); b < 230; b++ {
			n := 10
			if b < 204 {
				n = 1
			}
			visit(m, b, n, "begin", "charge", "ship")
			m.NoteRequests("shop", b, 10)
			for _, f := range m.Close(b, 4) {
				found = found || f.Kind == MissingRecord
			}
		}
		assert.Equal(t, finds, found, "deaf until %d", until)
	}
}

func TestPause(t *testing.T) {
	m := learnt(t, 100)
	New(limits, learning).Pause(7)
	m.Pause(150)
	m.Forget(149)
	assert.Equal(t, 1, m.Services())
	m.Forget(150)
	assert.Zero(t, m.Services())
}

func TestStateThatCannotBeIsRefused(t *testing.T) {
	m := learnt(t, 100)
	m.Observe(Record{Service: "bank", Bucket: 100, Message: "asked"})
	good := m.AppendService(nil, "shop")
	assert.Empty(t, m.AppendService(nil, "nobody"))
	require.ErrorIs(t, m.RestoreService(good), binarystate.ErrInvalid, "it is known already")
	one := limits
	one.MaxServices = 1
	b := New(one, learning)
	for n := range good {
		require.Error(t, b.RestoreService(good[:n]))
	}
	require.ErrorIs(t, b.RestoreService(append(good, 0)), binarystate.ErrLong)
	assert.Zero(t, b.Services())
	require.NoError(t, b.RestoreService(good))
	require.ErrorIs(t, b.RestoreService(m.AppendService(nil, "bank")), ErrNoRoom)
	few := limits
	few.MaxTemplates = 2
	require.ErrorIs(t, New(few, learning).RestoreService(good), ErrNoRoom)

	contexts := m.AppendContexts(nil)
	for n := range contexts {
		require.Error(t, New(limits, learning).RestoreContexts(contexts[:n]))
	}
	c := New(limits, learning)
	require.NoError(t, c.RestoreContexts(contexts))
	assert.Zero(t, c.Contexts(), "those of services that are not known")
}

func FuzzRestoreService(f *testing.F) {
	m := learnt(f, 60)
	visit(m, 60, 10, "begin", "charge")
	m.Observe(Record{Service: "shop", Bucket: 60, Message: "no money left", Error: true})
	f.Add(m.AppendService(nil, "shop"), m.AppendContexts(nil))
	f.Fuzz(func(t *testing.T, service, contexts []byte) {
		m := New(limits, learning)
		if m.RestoreService(service) != nil {
			assert.Zero(t, m.Services())
			return
		}
		if m.RestoreContexts(contexts) != nil {
			m.ForgetSteps()
		}
		assert.LessOrEqual(t, m.Contexts(), limits.MaxContexts)
		assert.LessOrEqual(t, m.Templates(), limits.MaxTemplates)
		name, next := m.names[0], m.Next()
		m.Observe(Record{Service: name, Bucket: next, Message: "begin", Context: span(1)})
		m.NoteRequests(name, next, 1)
		m.Close(next, 4)
		require.NoError(t, New(limits, learning).RestoreService(m.AppendService(nil, name)))
	})
}

func BenchmarkAppendService(b *testing.B) {
	m := New(Limits{MaxServices: 1, MaxContexts: 1000, MaxTemplates: 1000, Templates: logtemplate.DefaultLimits()}, learning)
	for n := range int64(100) {
		for i := range 400 {
			text := []string{"step " + string(rune('a'+i%20)) + string(rune('a'+i/20)), "then " + string(rune('a'+i%20))}
			for k, message := range text {
				m.Observe(Record{Service: "shop", Bucket: n, Message: message, Error: i%10 == 0 && k == 0, Context: span(int(n)*400 + i)})
			}
		}
		m.Close(n, 4)
	}
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = m.AppendService(buf[:0], "shop")
	}
	b.ReportMetric(float64(len(buf))/float64(m.Templates()), "B/template")
	b.ReportMetric(float64(m.Templates()), "templates")
}
