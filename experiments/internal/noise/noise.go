// Package noise measures how much less there is to look at: raw anomalies and static alerts against incidents, over hours of the simulated
// shop with a fault now and then.
package noise

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/pdatautil"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/paramedic-otel/paramedic/experiments/internal/experiment"
	"github.com/paramedic-otel/paramedic/experiments/internal/result"
	"github.com/paramedic-otel/paramedic/experiments/internal/stage"
	"github.com/paramedic-otel/paramedic/internal/shop"
	"github.com/paramedic-otel/paramedic/semconv"
)

// Name is that of the experiment.
const Name = "alert-noise"

const (
	learn = 10 * time.Minute
	// A fault lasts long enough for thresholds with a for-duration of five minutes to fire.
	lasts = 10 * time.Minute
	// every is the mean time between two faults, jitter by how much it varies either way.
	every, jitter = 40 * time.Minute, 15 * time.Minute
	// The severities of faults are drawn from this range, evenly in the logarithm.
	leastSeverity, mostSeverity = 0.5, 2
	// watch and quickWatch are how long a seed is watched.
	watch, quickWatch = 8 * time.Hour, time.Hour
)

// Experiment is what the command runs.
func Experiment() experiment.Experiment {
	return experiment.Experiment{Name: Name, Clock: result.Simulated, Run: run}
}

// counts are those of one seed.
type counts struct {
	faults, anomalies, alerts, incidents int
	hours                                float64
}

func run(ctx context.Context, o experiment.Options) (*result.Result, error) {
	seeds := make([]counts, len(o.Seeds))
	if err := experiment.Each(ctx, o.Parallel, len(o.Seeds), func(ctx context.Context, i int) (err error) {
		d := watch
		if o.Quick {
			d = quickWatch
		}
		seeds[i], err = one(ctx, o.Seeds[i], d)
		o.Logf("    seed %d: %s", o.Seeds[i], d)
		return err
	}); err != nil {
		return nil, err
	}
	return summarise(o.Seeds, seeds), nil
}

func one(ctx context.Context, seed uint64, d time.Duration) (c counts, err error) {
	cfg := shop.DefaultConfig()
	cfg.Seed = seed
	rng := rand.New(rand.NewPCG(seed, 5))
	// Another time of the day each, under the usual load curve.
	cfg.Start = time.Date(2026, 3, 2, rng.IntN(24), 0, 0, 0, time.UTC)
	kinds := shop.FaultKinds()
	for at := learn + jitter; at+lasts < learn+d; at += every - jitter + time.Duration(rng.Int64N(int64(2*jitter))) {
		kind := kinds[rng.IntN(len(kinds))]
		targets := shop.Targets(kind)
		f := shop.Fault{Kind: kind, Service: targets[rng.IntN(len(targets))], Duration: lasts}
		f.Severity = math.Round(100*leastSeverity*math.Pow(mostSeverity/leastSeverity, rng.Float64())) / 100
		cfg.Faults = append(cfg.Faults, shop.ScheduledFault{Fault: f, Offset: at})
	}
	configs, err := stage.Quickstart()
	if err != nil {
		return c, err
	}
	anomalies := episodes{least: configs.Incident.MinScore, abnormal: map[[16]byte]bool{}}
	st, err := stage.New(ctx, stage.Config{Shop: cfg, Scores: anomalies.count})
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, st.Close(ctx)) }()
	reopened := map[string]int64{}
	err = st.Run(ctx, learn+d, func(n stage.News) {
		c.alerts += len(n.Alerts)
		for _, e := range n.Events {
			before, known := reopened[e.Incident.ID]
			reopened[e.Incident.ID] = e.Incident.Reopened
			if e.Incident.Status == semconv.StatusOpen && (!known || e.Incident.Reopened > before) {
				c.incidents++
			}
		}
	})
	c.faults, c.anomalies, c.hours = len(cfg.Faults), anomalies.n, d.Hours()
	return c, err
}

// episodes counts how often a series became abnormal.
type episodes struct {
	least    float64
	abnormal map[[16]byte]bool
	n        int
}

func (e *episodes) count(md pmetric.Metrics) {
	for _, rm := range md.ResourceMetrics().All() {
		resource := pdatautil.MapHash(rm.Resource().Attributes())
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				if m.Name() != semconv.MetricAnomalyScore {
					continue
				}
				for _, p := range m.Gauge().DataPoints().All() {
					key := pdatautil.MapHash(p.Attributes())
					for i := range key {
						key[i] ^= resource[i]
					}
					if p.DoubleValue() < e.least {
						delete(e.abnormal, key)
					} else if !e.abnormal[key] {
						e.abnormal[key] = true
						e.n++
					}
				}
			}
		}
	}
}

func fewer(than, n int) float64 {
	if than == 0 {
		return 0
	}
	return 1 - float64(n)/float64(than)
}

// summarise makes the result of all seeds.
func summarise(seeds []uint64, all []counts) *result.Result {
	r := &result.Result{
		Name: Name, Number: 5, Title: "Alert noise", Clock: result.Simulated, Seeds: seeds,
		About: fmt.Sprintf("Hours of the simulated shop under its daily load curve, with a random fault of %s every %s or so. Counted are raw anomalies (each time that a "+
			"metric series' anomaly.score reaches min_score of the incident connector, as if each series had an alert), alerts on static thresholds that fire, and "+
			"incidents that are opened or come back. All read the same telemetry; the components run as in examples/quickstart.", lasts, every),
	}
	var sum counts
	var anomalies, alerts, incidents, lessAnomalies, lessAlerts, perFault []float64
	for _, c := range all {
		sum.faults, sum.anomalies, sum.alerts, sum.incidents = sum.faults+c.faults, sum.anomalies+c.anomalies, sum.alerts+c.alerts, sum.incidents+c.incidents
		sum.hours += c.hours
		anomalies = append(anomalies, float64(c.anomalies)/c.hours)
		alerts = append(alerts, float64(c.alerts)/c.hours)
		incidents = append(incidents, float64(c.incidents)/c.hours)
		lessAnomalies = append(lessAnomalies, fewer(c.anomalies, c.incidents))
		lessAlerts = append(lessAlerts, fewer(c.alerts, c.incidents))
		perFault = append(perFault, float64(c.incidents)/float64(max(1, c.faults)))
	}
	r.AddFigure("raw anomalies an hour", "", "series by series", "", float64(sum.anomalies)/sum.hours, anomalies)
	r.AddFigure("alerts an hour", "", result.Thresholds, "", float64(sum.alerts)/sum.hours, alerts)
	r.AddFigure("incidents an hour", "", result.Ours, "", float64(sum.incidents)/sum.hours, incidents)
	r.AddFigure("incidents for each fault", "", result.Ours, "", float64(sum.incidents)/float64(max(1, sum.faults)), perFault)
	less := fewer(sum.anomalies, sum.incidents)
	r.AddFigure("fewer incidents than raw anomalies", "%", result.Ours, "", less, lessAnomalies)
	r.AddFigure("fewer incidents than static alerts", "%", result.Ours, "", fewer(sum.alerts, sum.incidents), lessAlerts)
	r.Tables = append(r.Tables, result.Table{
		Title: "In all", Head: []string{"hours", "faults", "raw anomalies", "static alerts", "incidents"},
		Rows: [][]string{{fmt.Sprintf("%.0f", sum.hours), fmt.Sprint(sum.faults), fmt.Sprint(sum.anomalies), fmt.Sprint(sum.alerts), fmt.Sprint(sum.incidents)}},
	})
	r.AddGoal(result.FromPaper, "fewer incidents than raw anomalies", "%", ">=", 0.9, &less,
		"faults that few series feel have little to compress; what would close it is to group more boldly, at the cost of pairs of faults that become one incident")
	r.Note("Static thresholds that fire are few because they need five minutes, and miss what stays below them; see the labelled cases. They tell of a fault once for " +
		"each service and pod that it reaches.")
	return r
}
