package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/connector/servicegraphconnector"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

const (
	keptRate    = 5000 // traces a second
	keptSeconds = 4
)

// kept measures which share of the calls between services is counted when 5,000 traces a second come, in real time and with
// the default configurations.
func kept(ctx context.Context, _ *options, out io.Writer) error {
	fmt.Fprintf(out, "\nshare of the calls counted at %d traces a second, default configurations, flushed every second\n", keptRate)
	fmt.Fprintf(out, "\tboth sides in one batch\tthe callee's side 1 s later\n")
	for _, c := range []contestant{tracegraph, servicegraph} {
		fmt.Fprint(out, c.name)
		for _, late := range []bool{false, true} {
			share, err := keptBy(ctx, c, late)
			if err != nil {
				return err
			}
			fmt.Fprintf(out, "\t%.1f %%", 100*share)
		}
		fmt.Fprintln(out)
	}
	return nil
}

func keptBy(ctx context.Context, c contestant, late bool) (float64, error) {
	last := map[string]int64{}
	next, err := consumer.NewMetrics(func(_ context.Context, md pmetric.Metrics) error {
		count(md, last)
		return nil
	})
	if err != nil {
		return 0, err
	}
	flushed := c
	flushed.change = func(cfg component.Config) {
		c.change(cfg)
		if theirs, ok := cfg.(*servicegraphconnector.Config); ok {
			flush := time.Second // by default a minute, which is longer than this takes
			theirs.MetricsFlushInterval = &flush
		}
	}
	conn, err := flushed.start(ctx, next)
	if err != nil {
		return 0, err
	}
	s := newStream(late)
	every := time.Second * time.Duration(s.spans()/spansPerTrace) / keptRate
	rounds := int(keptSeconds * time.Second / every)
	s.lag = int(time.Second / every)
	began := time.Now()
	for round := range rounds + s.lag {
		at := began.Add(time.Duration(round) * every)
		time.Sleep(time.Until(at))
		for k, b := range []*batch{s.first, s.second} {
			if r := round - k*s.lag; b != nil && r >= 0 && r < rounds {
				b.stamp(r+1, at)
				if err := conn.ConsumeTraces(ctx, b.traces); err != nil {
					return 0, err
				}
			}
		}
		if s.second == nil && round+1 == rounds {
			break
		}
	}
	time.Sleep(3 * time.Second) // until servicegraph's last flush, which its Shutdown leaves out
	if err := conn.Shutdown(ctx); err != nil {
		return 0, err
	}
	var sum int64
	for _, n := range last {
		sum += n
	}
	return float64(sum) / float64(rounds*s.spans()/2), nil
}

// count keeps the last value of each edge between two services.
func count(md pmetric.Metrics, last map[string]int64) {
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				if m.Name() != "traces_service_graph_request_total" {
					continue
				}
				for _, dp := range m.Sum().DataPoints().All() {
					kind, _ := dp.Attributes().Get("connection_type")
					client, _ := dp.Attributes().Get("client")
					server, _ := dp.Attributes().Get("server")
					failed, _ := dp.Attributes().Get("failed")
					if kind.Str() == "" {
						last[client.Str()+">"+server.Str()+failed.AsString()] = dp.IntValue()
					}
				}
			}
		}
	}
}
