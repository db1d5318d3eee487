package incidentconnector

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/connector/connectortest"

	"github.com/paramedic-otel/paramedic/connector/incidentconnector/internal/metadata"
	"github.com/paramedic-otel/paramedic/internal/anomalystate"
	"github.com/paramedic-otel/paramedic/internal/edgehealth"
	"github.com/paramedic-otel/paramedic/internal/logflow"
	"github.com/paramedic-otel/paramedic/semconv"
)

// grown returns an engine that has seen 40 buckets of a system: each edge with 500 calls of twelve durations and four
// cumulative series, and templates written in a hundred spans each.
func grown(tb testing.TB, edges, templates int) *engine {
	e, err := newEngine(createDefaultConfig().(*Config), connectortest.NewNopSettings(metadata.Type))
	require.NoError(tb, err)
	s := edgehealth.Sample{Requests: 500, Failed: 3, ServerSeconds: 20, ClientSeconds: 21}
	for bin := range 12 {
		s.ServerLatency[bin+5], s.ClientLatency[bin+6] = float32(bin*7), float32(bin*7)
	}
	var keys []edgehealth.Key
	for i := range edges {
		keys = append(keys, edgehealth.Key{Client: serviceNode(fmt.Sprint("shop/service-", i%100)), Server: serviceNode(fmt.Sprint("shop/service-", i%500+1))})
		keys[i].Server += edgehealth.Node(fmt.Sprint("-", i/100))
	}
	const each = 100
	for b := range int64(40) {
		for _, key := range keys {
			e.edges.Observe(key, b, &s)
		}
		for t := range templates {
			for n := range int64(3) {
				e.flow.Observe(logflow.Record{
					Service: fmt.Sprint("service-", t/each), Bucket: b, Error: t%20 == 0,
					Message: "step " + string(rune('a'+t%each%26)) + string(rune('a'+t%each/26)) + " done", Context: logflow.Context{byte(n), byte(b), byte(t / each), byte(t / each >> 8), byte(t % 10)},
				})
			}
		}
		e.edges.Close(b, minSurprise)
		e.flow.Close(b, minSurprise)
	}
	for i := range 4 * edges {
		e.deltas.last[seriesKey{semconv.MetricGraphRequestTotal, [16]byte{1}, [16]byte{byte(i), byte(i >> 8), byte(i >> 16)}}] = &lastPoint{count: 7, latency: s.ServerLatency}
	}
	return e
}

// BenchmarkSnapshot stores a whole system while somebody else asks for the lock over and over, as batches do.
func BenchmarkSnapshot(b *testing.B) {
	for _, size := range []struct{ edges, templates int }{{200, 1000}, {5000, 20_000}} {
		b.Run(fmt.Sprintf("%d edges, %d templates", size.edges, size.templates), func(b *testing.B) {
			e := grown(b, size.edges, size.templates)
			d := &disk{values: map[string][]byte{}}
			store, err := anomalystate.OpenStore(b.Context(), d, shards)
			require.NoError(b, err)
			k := &keeper{e: e, client: d, store: store, nudged: make(chan struct{}, 1)}
			var waits []time.Duration
			var wait sync.WaitGroup
			ctx, stop := context.WithCancel(b.Context())
			wait.Go(func() {
				for ctx.Err() == nil {
					began := time.Now()
					e.mu.Lock()
					waits = append(waits, time.Since(began))
					e.mu.Unlock()
					time.Sleep(50 * time.Microsecond)
				}
			})
			b.ReportAllocs()
			for b.Loop() {
				require.NoError(b, k.snapshot(ctx, false))
			}
			stop()
			wait.Wait()
			slices.Sort(waits)
			b.ReportMetric(float64(waits[len(waits)-1])/1e6, "ms/longest-wait")
			b.ReportMetric(float64(waits[len(waits)*99/100])/1e6, "ms/p99-wait")
			b.ReportMetric(float64(k.total.Load())/1e6, "MB")
		})
	}
}

// BenchmarkStoreLife stores what goes on in a storm: that happens at each event of an incident.
func BenchmarkStoreLife(b *testing.B) {
	for _, symptoms := range []int{20, 5000} {
		b.Run(fmt.Sprintf("%d symptoms", symptoms), func(b *testing.B) {
			e := grown(b, 1, 1)
			k := &keeper{e: e, client: &disk{values: map[string][]byte{}}}
			now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
			i := &incident{state: someIncident(now)}
			e.incidents = []*incident{i}
			for n := range symptoms {
				s := &symptom{
					key:     symptomKey{classEdge, semconv.Entity{Type: semconv.EntityService, Name: fmt.Sprint("shop/service-", n)}, "1service:shop/front"},
					summary: "75 % of the calls from shop/front fail instead of 0.0 %", onset: now, lastActive: now, lastKnown: now, surprise: 30,
				}
				e.symptoms[s.key] = s
				i.join(s)
			}
			b.ReportAllocs()
			for b.Loop() {
				_, err := k.saveLife(b.Context(), 0)
				require.NoError(b, err)
			}
			b.ReportMetric(float64(k.total.Load())/1e3, "kB")
		})
	}
}

// BenchmarkCopyLife is the part of that which holds the lock.
func BenchmarkCopyLife(b *testing.B) {
	e := grown(b, 1, 1)
	for n := range 5000 {
		s := &symptom{key: symptomKey{classEdge, semconv.Entity{Type: semconv.EntityService, Name: fmt.Sprint("shop/service-", n)}, "1service:shop/front"}}
		e.symptoms[s.key] = s
	}
	for b.Loop() {
		e.life()
	}
}
