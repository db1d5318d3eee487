// Command multivariate measures the anomaly processor's detectors of entities on labelled data, against the detector of
// single series.
//
//	go run ./benchmark/multivariate
//	go run ./benchmark/multivariate -nezha DIR
//
// Without -nezha the data are those of the simulated shop, in which for some minutes one family of a service's signals is
// replaced by what it was half a day before: every value is usual, but the signals no longer belong together. With it, DIR is a
// folder of days of the Nezha fault-injection data, of which the metrics and the resource faults are used.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"

	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/paramedic-otel/paramedic/benchmark/internal/scoring"
	"github.com/paramedic-otel/paramedic/processor/anomalyprocessor"
)

type options struct {
	nezha    string
	seed     uint64
	days     int
	rate     float64
	interval time.Duration
	minScore float64
	only     string
	verbose  bool
}

func main() {
	o := options{}
	flag.StringVar(&o.nezha, "nezha", "", "folder with the days of the Nezha data")
	flag.Uint64Var(&o.seed, "seed", 1, "seed of the shop and of its breaks")
	flag.IntVar(&o.days, "days", 3, "days to simulate; the first one has no breaks")
	flag.Float64Var(&o.rate, "rate", 20, "mean requests per second of the shop")
	flag.DurationVar(&o.interval, "interval", 10*time.Second, "time between two exports of the shop's metrics")
	flag.Float64Var(&o.minScore, "min-score", 0, "score from which on something is an alarm; 0 is the default configuration's")
	flag.StringVar(&o.only, "only", "", "run only this one beside the detector of single series")
	flag.BoolVar(&o.verbose, "v", false, "print every break and every false alarm")
	flag.Parse()
	if flag.NArg() > 0 || o.days < 2 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(context.Background(), &o); err != nil {
		fmt.Fprintln(os.Stderr, "multivariate:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o *options) error {
	if o.nezha == "" {
		return runShop(ctx, o, os.Stdout)
	}
	return runNezha(ctx, o, os.Stdout)
}

// configuration is one way to run the processor.
type configuration struct {
	name string
	// detectors run in it; the last one is judged. None is the detector of single series.
	detectors []string
	// seasonal are the metrics that the detector stl_esd judges; then that is what is judged.
	seasonal string
}

var configurations = []configuration{
	{name: "single series"},
	{name: "stl_esd", seasonal: `.*cpu.*|.*latency.*|.*duration.*|.*request.*`},
	{name: "isolation_forest", detectors: []string{"isolation_forest"}},
	{name: "autoencoder", detectors: []string{"autoencoder"}},
	{name: "fusion of series", detectors: []string{"fusion"}},
	{name: "fusion with autoencoder", detectors: []string{"autoencoder", "fusion"}},
	{name: "fusion of all", detectors: []string{"isolation_forest", "autoencoder", "fusion"}},
}

// contestant is a running configuration.
type contestant struct {
	configuration
	processor *scoring.Processor
	alarms    *alarms
	took      time.Duration
}

// start starts all configurations, or the one that was asked for.
func start(ctx context.Context, o *options) ([]*contestant, error) {
	var all []*contestant
	for _, c := range configurations {
		if o.only != "" && c.name != "single series" && c.name != o.only {
			continue
		}
		// On the shop its series are too many and its window too short: a day of points every ten seconds.
		if c.seasonal != "" && o.nezha == "" {
			continue
		}
		cfg := scoring.DefaultConfig()
		if o.minScore > 0 {
			cfg.MinScore = o.minScore
		}
		judged := "baseline"
		if len(c.detectors) > 0 {
			entities := *cfg.Entities.GetOrInsertDefault()
			entities.Detectors = nil
			for _, name := range c.detectors {
				d := anomalyprocessor.EntityDetector{}
				if err := d.Type.UnmarshalText([]byte(name)); err != nil {
					return all, err
				}
				entities.Detectors = append(entities.Detectors, d)
				judged = name
			}
			cfg.Entities = configoptional.Some(entities)
		}
		if c.seasonal != "" {
			s := *cfg.Seasonal.GetOrInsertDefault()
			s.Metrics, s.MaxSeries = []string{c.seasonal}, 10_000
			cfg.Seasonal = configoptional.Some(s)
			judged = "stl_esd"
		}
		a := &alarms{threshold: cfg.MinScore, detector: judged, open: map[string]time.Time{}}
		p, err := scoring.New(ctx, cfg, a.read)
		if err != nil {
			return all, err
		}
		all = append(all, &contestant{configuration: c, processor: p, alarms: a})
	}
	return all, nil
}

// feed gives all contestants a copy of the metrics and takes the time.
func feed(ctx context.Context, all []*contestant, md pmetric.Metrics) error {
	for _, c := range all {
		mine := pmetric.NewMetrics()
		md.CopyTo(mine)
		began := time.Now()
		if err := c.processor.Consume(ctx, mine); err != nil {
			return err
		}
		c.took += time.Since(began)
	}
	return nil
}

func stop(ctx context.Context, all []*contestant) error {
	for _, c := range all {
		if err := c.processor.Close(ctx); err != nil {
			return err
		}
	}
	return nil
}
