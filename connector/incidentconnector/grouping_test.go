package incidentconnector

import (
	"fmt"
	"math/rand"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/edgehealth"
	"github.com/paramedic-otel/paramedic/semconv"
)

// related is what group must come to, for one pair: slow and obvious.
func related(e *engine, a, b *symptom, near neighbourhoods) bool {
	if a.onset.Sub(b.onset).Abs() > e.cfg.GroupWindow {
		return false
	}
	if m, ok := a.machine(); ok {
		if other, ok := b.machine(); ok && m == other {
			return true
		}
	}
	if a.condemns() && e.runsOn(b.entity, a.entity) || b.condemns() && e.runsOn(a.entity, b.entity) {
		return true
	}
	for _, x := range near.of(a.entity) {
		if slices.Contains(near.of(b.entity), x) {
			return true
		}
	}
	return false
}

func TestGroupAgainstPairs(t *testing.T) {
	rng := rand.New(rand.NewSource(6))
	w := newWorld(t, nil)
	e := w.metrics.(*metricsView).lease.Engine()
	for round := range 60 {
		names := 5 + rng.Intn(30)
		entity := func() semconv.Entity { return service(fmt.Sprint("s", rng.Intn(names))) }
		node := func() semconv.Entity {
			return semconv.Entity{Type: semconv.EntityNode, Name: fmt.Sprint("n", rng.Intn(4))}
		}
		e.edges = edgehealth.New(entryNode, edgehealth.Limits{MaxEdges: 1000, IdleBuckets: 100}, learningOf(e.cfg))
		for range rng.Intn(2 * names) {
			e.edges.Observe(edgehealth.Key{Client: edgehealth.Node(entity().String()), Server: edgehealth.Node(entity().String())}, 0, &edgehealth.Sample{Requests: 1})
		}
		e.relations = newRelations(1000)
		for range rng.Intn(names) {
			e.relations.see(entity(), node(), epoch)
		}
		var symptoms []*symptom
		for i := range 40 {
			s := &symptom{entity: entity(), onset: epoch.Add(time.Duration(rng.Intn(2000)) * time.Second), kind: semconv.CauseCPU, opens: rng.Intn(2) == 0}
			if rng.Intn(5) == 0 {
				s.entity = node()
			}
			if rng.Intn(5) == 0 {
				s.resource = map[string]string{semconv.AttrK8sNodeName: fmt.Sprint("n", rng.Intn(9))}
			}
			s.key.what = fmt.Sprint(i)
			symptoms = append(symptoms, s)
		}
		slices.SortFunc(symptoms, compareSymptoms)
		near := e.neighbourhoods()
		sets := newUnion(len(symptoms))
		for i := range symptoms {
			for j := range i {
				if related(e, symptoms[i], symptoms[j], near) {
					sets.join(i, j)
				}
			}
		}
		groups := e.group(symptoms, near)
		of := map[*symptom]int{}
		for n, group := range groups {
			for _, s := range group {
				of[s] = n
			}
		}
		require.Len(t, of, len(symptoms), "none is lost")
		for i := range symptoms {
			for j := range i {
				require.Equal(t, sets.root(i) == sets.root(j), of[symptoms[i]] == of[symptoms[j]], "round %d: %v %v, %v %v", round, symptoms[i].entity, symptoms[i].onset, symptoms[j].entity, symptoms[j].onset)
			}
		}
	}
	w.stop()
}

func BenchmarkGroup(b *testing.B) {
	for _, services := range []int{100, 2000} {
		b.Run(fmt.Sprint(services), func(b *testing.B) {
			w := newWorld(b, func(c *Config) { c.Limits.Edges = 100_000 })
			e := w.metrics.(*metricsView).lease.Engine()
			rng := rand.New(rand.NewSource(1))
			entity := func() semconv.Entity { return service(fmt.Sprint("s", rng.Intn(services))) }
			for range 10 * services {
				e.edges.Observe(edgehealth.Key{Client: edgehealth.Node(entity().String()), Server: edgehealth.Node(entity().String())}, 0, &edgehealth.Sample{Requests: 1})
			}
			var symptoms []*symptom
			for i := range 5 * services {
				s := &symptom{entity: entity(), onset: epoch.Add(time.Duration(rng.Intn(60)) * time.Second)}
				s.key.what = fmt.Sprint(i)
				symptoms = append(symptoms, s)
			}
			slices.SortFunc(symptoms, compareSymptoms)
			b.ReportAllocs()
			for b.Loop() {
				near := e.neighbourhoods()
				assert.NotEmpty(b, e.group(symptoms, near))
			}
			b.ReportMetric(float64(b.N*len(symptoms))/b.Elapsed().Seconds(), "symptoms/s")
			w.stop()
		})
	}
}
