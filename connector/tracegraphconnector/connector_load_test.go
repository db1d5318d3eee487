package tracegraphconnector

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// only returns a copy of the batch with the spans of one kind.
func only(td ptrace.Traces, kind ptrace.SpanKind) ptrace.Traces {
	out := ptrace.NewTraces()
	td.CopyTo(out)
	for _, rs := range out.ResourceSpans().All() {
		rs.ScopeSpans().At(0).Spans().RemoveIf(func(s ptrace.Span) bool { return s.Kind() != kind })
	}
	return out
}

// TestEveryEdgeIsKept sends 5,000 traces a second of event time through the default configuration, whose store has room for
// half the spans of pair_timeout, with both sides of a call together and with the callee's a second later.
func TestEveryEdgeIsKept(t *testing.T) {
	const perSecond, seconds = 5000, 6
	for _, behind := range []time.Duration{0, time.Second} {
		t.Run(behind.String(), func(t *testing.T) {
			c, sink := start(t, nil)
			var waiting []ptrace.Traces
			td := benchBatch()
			rounds := perSecond * seconds / benchTraces
			for round := range rounds {
				stamp(td, round, epoch.Add(time.Duration(round)*benchTraces*time.Second/perSecond))
				if behind == 0 {
					require.NoError(t, c.ConsumeTraces(t.Context(), td))
					continue
				}
				require.NoError(t, c.ConsumeTraces(t.Context(), only(td, ptrace.SpanKindClient)))
				waiting = append(waiting, only(td, ptrace.SpanKindServer))
				if len(waiting) > int(behind.Seconds()*perSecond/benchTraces) {
					require.NoError(t, c.ConsumeTraces(t.Context(), waiting[0]))
					waiting = waiting[1:]
				}
			}
			for _, td := range waiting {
				require.NoError(t, c.ConsumeTraces(t.Context(), td))
			}
			s := stats(c)
			assert.LessOrEqual(t, s.Held, int64(500_000))
			require.NoError(t, c.Shutdown(t.Context()))
			want := map[string]int64{}
			for call := range benchSpans / 2 {
				want[fmt.Sprintf("shop:service-%d > shop:service-%d", call, call+1)] = perSecond * seconds
			}
			assert.Equal(t, want, last(sink, total))
		})
	}
}

// TestEveryEdgeIsKeptOfManySenders has four goroutines send the same rate together, in step to half a second.
func TestEveryEdgeIsKeptOfManySenders(t *testing.T) {
	const perSecond, halfSeconds, senders, behind = 5000, 8, 4, 2
	c, sink := start(t, nil)
	const rounds = perSecond / 2 / benchTraces / senders // of a sender in half a second
	send := func(td ptrace.Traces) { assert.NoError(t, c.ConsumeTraces(t.Context(), td)) }
	waiting := make([][][]ptrace.Traces, senders)
	for half := range halfSeconds + behind {
		var wg sync.WaitGroup
		for k := range senders {
			wg.Go(func() {
				td := benchBatch()
				var servers []ptrace.Traces
				for round := range rounds {
					if half < halfSeconds {
						at := time.Duration(half)*500*time.Millisecond + time.Duration(round)*500*time.Millisecond/rounds
						stamp(td, (half*rounds+round)*senders+k, epoch.Add(at))
						send(only(td, ptrace.SpanKindClient))
						servers = append(servers, only(td, ptrace.SpanKindServer))
					}
					if half >= behind {
						send(waiting[k][half-behind][round])
					}
				}
				waiting[k] = append(waiting[k], servers)
			})
		}
		wg.Wait()
	}
	require.NoError(t, c.Shutdown(t.Context()))
	want := map[string]int64{}
	for call := range benchSpans / 2 {
		want[fmt.Sprintf("shop:service-%d > shop:service-%d", call, call+1)] = perSecond / 2 / benchTraces / senders * senders * benchTraces * halfSeconds
	}
	assert.Equal(t, want, last(sink, total))
}
