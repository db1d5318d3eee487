package incidentconnector

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/paramedic-otel/paramedic/internal/edgehealth"
	"github.com/paramedic-otel/paramedic/semconv"
)

// TestFaultsAtOnce has two services that have nothing to do with each other fail at the same moment.
func TestFaultsAtOnce(t *testing.T) {
	const cpu, memory = "k8s.container.cpu_limit_utilization", "k8s.container.memory_limit_utilization"
	for name, c := range map[string]struct {
		stock, mail string
		want        []semconv.Entity
	}{
		"alike as far as is known":    {"", "", []semconv.Entity{service("stock")}},
		"something else is wrong":     {cpu, memory, []semconv.Entity{service("stock"), service("mail")}},
		"something is wrong in one":   {memory, "", []semconv.Entity{service("stock"), service("mail")}},
		"something is wrong in other": {"", memory, []semconv.Entity{service("stock"), service("mail")}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.play(0, 240, func(i int) []any { return fork(i, 0, 0) })
			w.play(240, 270, func(i int) []any {
				data := fork(i, 25, 15)
				for entity, metric := range map[string]string{"stock": c.stock, "mail": c.mail} {
					if metric != "" {
						data = append(data, scored(i, 240, map[string]string{semconv.AttrServiceName: entity}, metric, 20, 0.98))
					}
				}
				return data
			})
			w.stop()
			var got []semconv.Entity
			for _, i := range w.last() {
				got = append(got, i.Cause().Entity)
			}
			if len(c.want) == 1 {
				assert.Len(t, got, 1)
				return
			}
			assert.ElementsMatch(t, c.want, got)
			checkLives(t, w.events())
		})
	}
}

// TestWhoseSymptom parts symptoms among two causes.
func TestWhoseSymptom(t *testing.T) {
	w := newWorld(t, nil)
	defer w.stop()
	e := w.metrics.(*metricsView).lease.Engine()
	for client, servers := range map[string][]string{"front": {"a", "b", "other"}, "x": {"a"}, "y": {"b"}, "a": {"under"}} {
		for _, server := range servers {
			e.edges.Observe(edgehealth.Key{Client: edgehealth.Node(service(client).String()), Server: edgehealth.Node(service(server).String())}, 0, &edgehealth.Sample{Requests: 1})
		}
	}
	find := func(name string, seconds int) *symptom {
		return &symptom{entity: service(name), opens: true, onset: epoch.Add(time.Duration(seconds) * time.Second)}
	}
	surge := find("a", 0)
	surge.class, surge.edgeKind = classEdge, edgehealth.Surge
	i := &incident{symptoms: []*symptom{
		find("a", 0), find("b", 60), find("x", 90), find("y", 0), find("front", 10), find("other", 70), find("felt", 90),
	}}
	i.flow.note(service("felt"), service("a"), false)
	names := func(symptoms []*symptom) (out []string) {
		for _, s := range symptoms {
			out = append(out, s.entity.Name)
		}
		return out
	}
	stay, leave := e.parted(i, service("a"), service("b"))
	assert.Equal(t, []string{"a", "x", "front", "felt"}, names(stay))
	assert.Equal(t, []string{"b", "y", "other"}, names(leave), "what both explain goes with what began last before it")
	leave, stay = e.parted(i, service("b"), service("a"))
	assert.Equal(t, []string{"a", "x", "front", "felt"}, names(stay))
	assert.Equal(t, []string{"b", "y", "other"}, names(leave), "whichever is asked for first")

	i.symptoms = append(i.symptoms, find("under", 80))
	_, leave = e.parted(i, service("a"), service("b"))
	assert.Contains(t, names(leave), "under")
	i.symptoms = append(i.symptoms, surge)
	stay, _ = e.parted(i, service("a"), service("b"))
	assert.Contains(t, names(stay), "under", "a surge loads what is called")
}
