package servicegraph

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestLabels(t *testing.T) {
	l := newLabels(2, 4, "rest")
	number := func(s string) LabelID {
		id, kept := l.ID([]byte(s))
		assert.Equal(t, kept, l.Value(id))
		return id
	}
	assert.Zero(t, number(""))
	a, b := number("a"), number("abcdef")
	assert.NotEqual(t, a, b)
	assert.Equal(t, a, number("a"))
	assert.Equal(t, "abcd", l.Value(b), "cut")
	assert.Equal(t, b, number("abcdxyz"), "the same when cut")
	assert.Equal(t, LabelOther, number("c"), "no room")
	assert.Equal(t, "rest", l.Value(LabelOther))
	assert.EqualValues(t, 1, l.refusals())
	assert.Equal(t, LabelOther, number("rest"), "a name that is also that of the others")
	assert.EqualValues(t, 1, l.refusals())
}

func TestLabelsAreCutBetweenCharacters(t *testing.T) {
	l := newLabels(9, 4, "_other")
	_, kept := l.ID([]byte("aaäää"))
	assert.Equal(t, "aaä", kept)
	_, kept = l.ID([]byte("aaaää"))
	assert.Equal(t, "aaa", kept)
}

// TestLabelsAreForgotten uses one of two strings in every epoch.
func TestLabelsAreForgotten(t *testing.T) {
	l := newLabels(2, 10, "_other")
	used, _ := l.ID([]byte("used"))
	unused, _ := l.ID([]byte("unused"))
	for range labelLife - 1 {
		l.next()
		again, _ := l.ID([]byte("used"))
		assert.Equal(t, used, again)
		assert.Equal(t, "unused", l.Value(unused), "kept until nothing can refer to it")
	}
	id, _ := l.ID([]byte("new"))
	assert.Equal(t, LabelOther, id)
	l.next()
	id, _ = l.ID([]byte("new"))
	assert.Equal(t, unused, id, "its number is free")
	assert.Equal(t, "new", l.Value(id))
	assert.EqualValues(t, labelLife, l.Epoch())
}

// TestLabelsOfDoubtfulSpans leaves a span far ahead of the others unconfirmed, while their time goes on by leaps.
func TestLabelsOfDoubtfulSpans(t *testing.T) {
	cfg := testConfig()
	cfg.EdgeTTL = 20 * time.Second
	cfg.Operations = OperationsConfig{MaxPerEdge: 4, MaxTotal: 4, MaxVariants: 4, MaxSize: 8}
	var names []string
	g := New(cfg, func(_ int64, edges []Edge) {
		for _, e := range edges {
			for _, op := range e.Operations {
				names = append(names, op.Name)
			}
		}
	})
	in := g.NewIntake()
	take := func(seconds int, trace uint64, operation string) {
		in.Take(int64(time.Hour), func() {
			id, _ := g.Operations.ID([]byte(operation))
			end := int64(time.Hour) + int64(seconds)*int64(time.Second)
			in.Spans = append(in.Spans, Span{
				Trace: TraceID{Lo: trace}, ID: trace, Start: end - 1, End: end, Kind: KindServer, Weight: 1,
				Service: in.Service("", operation), Operation: uint16(id),
			})
		})
	}
	take(0, 1, "first")
	take(100_000, 2, "doubtful")
	// Twenty spans of two services are believed, again and again.
	for leap := range 10 {
		in.Take(int64(time.Hour), func() {
			for i := range uint64(20) {
				end := int64(time.Hour) + int64(leap+1)*int64(time.Minute)
				in.Spans = append(in.Spans, Span{
					Trace: TraceID{Lo: 100*uint64(leap+1) + i}, ID: 1, Start: end - 1, End: end, Kind: KindServer, Weight: 1,
					Service: in.Service("", string(rune('a'+i%2))),
				})
			}
		})
	}
	g.Flush()
	assert.Contains(t, names, "doubtful")
	assert.Greater(t, g.Operations.Epoch(), uint32(labelLife))
}

func TestLabelsSideBySide(t *testing.T) {
	l := newLabels(50, 10, "_other")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 1000 {
				want := fmt.Sprint(i % 40)
				id, _ := l.ID([]byte(want))
				assert.Equal(t, want, l.Value(id))
				if i%500 == 0 {
					l.next()
				}
			}
		})
	}
	wg.Wait()
	assert.Zero(t, l.refusals())
}

func TestKnownLabelsDoNotAllocate(t *testing.T) {
	l := newLabels(50, 10, "_other")
	name := []byte("known")
	l.ID(name)
	assert.Zero(t, testing.AllocsPerRun(100, func() { l.ID(name) }))
}

func TestDimensionsOf(t *testing.T) {
	long := strings.Repeat("x", 300)
	key := AppendDimension(nil, 0, "", 10)
	key = AppendDimension(key, 200, long, 1000)
	key = AppendDimension(key, 201, "yä", 3)
	key = AppendDimension(key, 202, "yä", 2)
	assert.Equal(t, []Dimension{{0, ""}, {200, long}, {201, "yä"}, {202, "y"}}, dimensionsOf(string(key)))
	assert.Nil(t, dimensionsOf(""))
}

// FuzzDimensions asserts that what was put into a key comes out of it.
func FuzzDimensions(f *testing.F) {
	f.Add(uint8(0), "a", uint8(3), "")
	f.Fuzz(func(t *testing.T, i uint8, a string, j uint8, b string) {
		key := AppendDimension(AppendDimension(nil, int(i), a, len(a)), int(j), b, len(b))
		assert.Equal(t, []Dimension{{int(i), a}, {int(j), b}}, dimensionsOf(string(key)))
	})
}
