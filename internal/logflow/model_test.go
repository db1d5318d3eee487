package logflow

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/excess"
	"github.com/paramedic-otel/paramedic/internal/logtemplate"
)

var (
	learning = excess.Learning{HalfLife: 720, NormalAfter: 720}
	limits   = Limits{MaxServices: 10, MaxContexts: 1000, MaxTemplates: 100, Templates: logtemplate.DefaultLimits()}
)

func span(n int) (c Context) {
	c[0], c[22], c[23] = 1, byte(n>>8), byte(n)
	return c
}

// visit writes the steps of n spans into a bucket.
func visit(m *Model, bucket int64, n int, steps ...string) {
	for i := range n {
		for _, step := range steps {
			m.Observe(Record{Service: "shop", Bucket: bucket, Message: step, Context: span(int(bucket)*20 + i)})
		}
	}
}

// learnt returns a model that has seen n calm buckets from bucket 0.
func learnt(t testing.TB, n int64) *Model {
	m := New(limits, learning)
	for b := range n {
		visit(m, b, 10, "begin", "charge", "ship")
		m.NoteRequests("shop", b, 10)
		require.Empty(t, m.Close(b, 4), b)
	}
	return m
}

func TestFindings(t *testing.T) {
	type finding struct {
		kind            FindingKind
		template, after string
	}
	errors := func(m *Model, b int64, text string) {
		for i := range 10 {
			m.Observe(Record{Service: "shop", Bucket: b, Message: fmt.Sprintf(text, i), Error: true})
		}
	}
	for name, c := range map[string]struct {
		trouble func(m *Model, b int64)
		want    []finding
		not     []FindingKind
	}{
		"calm": {func(m *Model, b int64) { visit(m, b, 10, "begin", "charge", "ship") }, nil, []FindingKind{NewError, MissingStep, MissingRecord}},
		"new error": {func(m *Model, b int64) {
			visit(m, b, 10, "begin", "charge", "ship")
			errors(m, b, "no route to %d")
		}, []finding{{NewError, "no route to <*>", ""}, {NewError, "", ""}}, []FindingKind{MissingStep, MissingRecord}},
		"many sorts of errors": {func(m *Model, b int64) {
			visit(m, b, 10, "begin", "charge", "ship")
			for i := range 10 {
				m.Observe(Record{Service: "shop", Bucket: b, Message: fmt.Sprintf("e%c failed", 'a'+byte(i)+10*byte(b%2)), Error: true})
			}
		}, []finding{{NewError, "", ""}}, nil},
		"missing step": {
			func(m *Model, b int64) { visit(m, b, 10, "begin", "charge") },
			[]finding{{MissingStep, "ship", "charge"}},
			[]FindingKind{NewError, MissingRecord},
		},
		"other step instead": {
			func(m *Model, b int64) { visit(m, b, 10, "begin", "refuse") },
			[]finding{{MissingStep, "charge", "begin"}},
			[]FindingKind{NewError},
		},
		"new messages that are no errors": {func(m *Model, b int64) {
			visit(m, b, 10, "begin", "charge", "ship")
			for range 10 {
				m.Observe(Record{Service: "shop", Bucket: b, Message: "cache filled"})
			}
		}, nil, []FindingKind{NewError, MissingStep, MissingRecord}},
		"requests without records": {func(m *Model, b int64) {
			m.Observe(Record{Service: "bank", Bucket: b, Message: "open"})
		}, []finding{{MissingRecord, "begin", ""}}, []FindingKind{NewError}},
		"no records of anybody": {func(*Model, int64) {}, nil, []FindingKind{NewError, MissingStep, MissingRecord}},
	} {
		t.Run(name, func(t *testing.T) {
			m := learnt(t, 150)
			got := map[finding]bool{}
			sorts := map[FindingKind]bool{}
			for b := int64(150); b < 162; b++ {
				c.trouble(m, b)
				m.NoteRequests("shop", b, 10)
				for _, f := range m.Close(b, 4) {
					got[finding{f.Kind, f.Template, f.After}] = true
					sorts[f.Kind] = true
					assert.Equal(t, "shop", f.Service)
					assert.GreaterOrEqual(t, f.Verdict.Surprise, 4.0)
				}
			}
			for _, w := range c.want {
				assert.Contains(t, got, w)
			}
			for _, n := range c.not {
				assert.NotContains(t, sorts, n)
			}
		})
	}
}

func TestSilenceWithoutRequestsSaysNothing(t *testing.T) {
	m := learnt(t, 150)
	for b := int64(150); b < 200; b++ {
		assert.Empty(t, m.Close(b, 4))
	}
}

func TestErrorThatEnds(t *testing.T) {
	m := learnt(t, 150)
	trends := []excess.Trend{}
	for b := int64(150); b < 158; b++ {
		visit(m, b, 10, "begin", "charge", "ship")
		for range 10 * max(0, 154-b) {
			m.Observe(Record{Service: "shop", Bucket: b, Message: "broken", Error: true})
		}
		for _, f := range m.Close(b, 4) {
			if f.Template == "broken" {
				trends = append(trends, f.Trend)
			}
		}
	}
	require.NotEmpty(t, trends)
	assert.Equal(t, excess.Persisting, trends[1])
	assert.Equal(t, excess.Subsided, trends[len(trends)-1])
}

func TestTemplateOfOthersIsTaken(t *testing.T) {
	m := New(limits, learning)
	for i := range 3 {
		m.Observe(Record{Service: "shop", Message: fmt.Sprintf("user %c left", 'a'+i), Template: "user <*> left"})
	}
	assert.Equal(t, 1, m.Templates())
}

func TestLimits(t *testing.T) {
	t.Run("services", func(t *testing.T) {
		m := New(Limits{MaxServices: 2, MaxContexts: 5, MaxTemplates: 10, Templates: logtemplate.DefaultLimits()}, learning)
		for i := range 5 {
			m.Observe(Record{Service: fmt.Sprint(i), Message: "x"})
		}
		assert.Equal(t, 2, m.Services())
		assert.Equal(t, int64(3), m.Refused)
	})
	t.Run("contexts", func(t *testing.T) {
		m := New(Limits{MaxServices: 2, MaxContexts: 5, MaxTemplates: 10, Templates: logtemplate.DefaultLimits()}, learning)
		for i := range 100 {
			m.Observe(Record{Service: "s", Message: "x", Context: span(i)})
			require.LessOrEqual(t, m.Contexts(), 5)
			require.LessOrEqual(t, len(m.queue), 5)
		}
		for b := range int64(20) {
			m.Close(b, 4)
		}
		assert.Zero(t, m.Contexts(), "spans that have ended are forgotten")
		assert.Empty(t, m.queue)
	})
	t.Run("templates", func(t *testing.T) {
		m := New(Limits{MaxServices: 3, MaxContexts: 5, MaxTemplates: 10, Templates: logtemplate.DefaultLimits()}, learning)
		for i := range 600 {
			m.Observe(Record{Service: fmt.Sprint(i % 3), Message: fmt.Sprintf("word%c%c here", 'a'+i%26, 'a'+i/26)})
		}
		// A service that comes when there is no room has one template for all.
		assert.LessOrEqual(t, m.Templates(), 10+m.limits.MaxServices)
	})
	t.Run("followers", func(t *testing.T) {
		m := New(limits, learning)
		for i := range 50 {
			visit(m, 0, 1, "begin", fmt.Sprintf("next%c", 'a'+i%26))
			m.Observe(Record{Service: "shop", Message: "begin", Context: span(100 + i)})
			m.Observe(Record{Service: "shop", Message: fmt.Sprintf("next%c", 'a'+i%26), Context: span(100 + i)})
		}
		for _, template := range m.services["shop"].templates {
			assert.LessOrEqual(t, len(template.followers), maxFollowers)
		}
	})
}

// TestFrequentFollowerThatComesLate displaces the rare ones, as the space-saving algorithm promises.
func TestFrequentFollowerThatComesLate(t *testing.T) {
	var tm template
	for id := range maxFollowers {
		tm.followedBy(id, 0)
	}
	for range 20 {
		tm.followedBy(99, 1)
	}
	require.Len(t, tm.followers, maxFollowers)
	found := false
	for _, f := range tm.followers {
		if f.template == 99 {
			found = true
			assert.InDelta(t, 20, f.hits[1], 0)
			assert.InDelta(t, 21, f.total, 0, "with the total of the one it replaced")
		}
	}
	assert.True(t, found)
}

func TestRecordsAndLate(t *testing.T) {
	m := New(limits, learning)
	for b := range int64(4) {
		m.Observe(Record{Service: "shop", Bucket: 10 + b, Message: "x"})
		m.Close(10+b, 4)
	}
	require.Nil(t, m.Close(10, 4))
	assert.InDelta(t, 3, m.Records("shop", 3), 0)
	assert.InDelta(t, 4, m.Records("shop", 1000), 0)
	assert.Zero(t, m.Records("nobody", 3))
	m.Observe(Record{Service: "shop", Bucket: 2, Message: "x"})
	m.Close(14, 4)
	assert.InDelta(t, 1, m.Records("shop", 1), 0, "it counts into the open bucket")
	m.NoteRequests("nobody", 15, 1)
}

func TestGap(t *testing.T) {
	for _, gap := range []int64{1, 31, 32, 64, 500} {
		m := learnt(t, 100)
		require.Empty(t, m.Close(100+gap, 4))
		for b := 101 + gap; b < 130+gap; b++ {
			visit(m, b, 10, "begin", "charge", "ship")
			m.NoteRequests("shop", b, 10)
			require.Empty(t, m.Close(b, 4), gap)
		}
	}
}

func TestObserveOfAKnownMessageDoesNotAllocate(t *testing.T) {
	m := learnt(t, 10)
	r := Record{Service: "shop", Bucket: 10, Message: "begin", Context: span(7)}
	m.Observe(r)
	assert.Zero(t, testing.AllocsPerRun(100, func() { m.Observe(r) }))
}

func FuzzObserve(f *testing.F) {
	f.Add("shop", "order 17 sent", "", int64(3), true, []byte{1, 2})
	f.Add("", "", "", int64(math.MinInt64), false, []byte{})
	f.Add("a", "\xff\xfe = , x", "<*>", int64(math.MaxInt64), true, []byte{9})
	f.Fuzz(func(t *testing.T, name, message, template string, bucket int64, isError bool, context []byte) {
		m := New(Limits{MaxServices: 2, MaxContexts: 3, MaxTemplates: 4, Templates: logtemplate.DefaultLimits()}, learning)
		m.Observe(Record{Service: "first", Bucket: 5, Message: "begin", Context: span(1)})
		for i := range int64(8) {
			r := Record{Service: name, Bucket: bucket, Message: message, Template: template, Error: isError}
			copy(r.Context[:], context)
			m.Observe(r)
			r.Bucket, r.Message = i, message+" "+name
			m.Observe(r)
			m.NoteRequests(name, i, 1)
			for _, f := range m.Close(5+i, 1) {
				if math.IsNaN(f.Verdict.Surprise) || f.Verdict.Surprise < 1 || f.Verdict.Surprise > excess.MaxSurprise {
					t.Fatalf("surprise %v", f.Verdict.Surprise)
				}
			}
			if m.Services() > 2 || m.Contexts() > 3 || m.Templates() > 4+2 || len(m.queue) != m.Contexts() {
				t.Fatalf("holds %d services, %d contexts, %d queued, %d templates", m.Services(), m.Contexts(), len(m.queue), m.Templates())
			}
		}
	})
}

func BenchmarkObserve(b *testing.B) {
	m := learnt(b, 10)
	r := Record{Service: "shop", Bucket: 10, Message: "begin", Context: span(7)}
	b.ReportAllocs()
	for b.Loop() {
		m.Observe(r)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
}

func BenchmarkClose(b *testing.B) {
	for _, templates := range []int{10, 400} {
		b.Run(fmt.Sprint(templates), func(b *testing.B) {
			m := New(Limits{MaxServices: 1, MaxContexts: 10, MaxTemplates: 1000, Templates: logtemplate.DefaultLimits()}, learning)
			bucket := int64(0)
			b.ReportAllocs()
			for b.Loop() {
				for i := range templates {
					m.Observe(Record{Service: "shop", Bucket: bucket, Message: fmt.Sprintf("%c%c step", 'a'+i%20, 'a'+i/20)})
				}
				m.Close(bucket, 4)
				bucket++
			}
		})
	}
}
