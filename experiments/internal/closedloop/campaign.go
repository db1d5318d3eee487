package closedloop

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/paramedic-otel/paramedic/experiments/internal/cluster"
	"github.com/paramedic-otel/paramedic/experiments/internal/experiment"
	"github.com/paramedic-otel/paramedic/internal/shop"
)

const (
	// rate is the user requests a second of each shop, and learn the simulated time that is replayed before it.
	rate  = 20
	learn = 10 * time.Minute
	// atOnce is how many shops, each with a collector of its own, run side by side.
	atOnce = 7
)

// incurable are the faults that no playbook can cure: their reasons lie outside of the shop.
var incurable = []shop.Fault{
	{Kind: shop.ErrorBurst, Service: "payment", Lasting: true},      // the acquirer refuses
	{Kind: shop.SlowDependency, Service: "shipping", Lasting: true}, // the carrier is slow
}

// quickKinds are those of the subset.
var quickKinds = []shop.FaultKind{shop.Crash, shop.BadDeploy, shop.NetworkDelay}

// plan lists the faults that are played with a seed: each kind once, with the first seed on the service that it befalls by
// default, with others on one that is drawn; and the incurable ones.
func plan(seed uint64, quick bool) []shop.Fault {
	var out []shop.Fault
	rng := rand.New(rand.NewPCG(seed, 77)) //nolint:gosec // a repeatable draw
	for _, kind := range shop.SteadyFaultKinds() {
		f := shop.Fault{Kind: kind}
		if targets := shop.Targets(kind); seed != 1 {
			f.Service = targets[rng.IntN(len(targets))]
		}
		if !quick || slices.Contains(quickKinds, kind) {
			out = append(out, f)
		}
	}
	if !quick {
		out = append(out, incurable...)
	}
	return out
}

// campaign are the cases that two experiments share: they are played once for the same options.
type campaign struct {
	mu sync.Mutex
	// mu guards everything below.
	key     string
	records []record
	twins   []twin
}

// play plays all cases, and for each of them a twin in which nobody does anything.
func (c *campaign) play(ctx context.Context, o experiment.Options) ([]record, []twin, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := fmt.Sprint(o.Seeds, o.Quick)
	if c.key == key {
		return c.records, c.twins, nil
	}
	lab, err := openLab(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer lab.Close()
	type job struct {
		seed  uint64
		fault shop.Fault
	}
	var jobs []job
	for _, seed := range o.Seeds {
		for _, f := range plan(seed, o.Quick) {
			jobs = append(jobs, job{seed, f})
		}
	}
	records := make([]record, len(jobs))
	var log sync.Mutex
	err = experiment.Each(ctx, atOnce, len(jobs), func(ctx context.Context, i int) error {
		var lines []string
		began := time.Now()
		t := &trial{
			stage: &stage{setup: setup{seed: jobs[i].seed, rate: rate, learn: learn, playbooks: playbooks}, cluster: lab}, fault: jobs[i].fault,
			log: func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) },
		}
		err := t.run(ctx)
		records[i] = t.record
		log.Lock()
		defer log.Unlock()
		o.Logf("  seed %d, %s of %s: detected %s, named %s, acted %s, recovered %s, escalated %s, %.0f s", jobs[i].seed, t.record.Kind, t.record.Service,
			seconds(t.record.Detected), seconds(t.record.Named), seconds(t.record.Acted), seconds(t.record.Recovered), seconds(t.record.Escalated), time.Since(began).Seconds())
		if err != nil || os.Getenv(envKeep) != "" {
			for _, l := range lines {
				o.Logf("%s", l)
			}
		}
		if err != nil {
			return fmt.Errorf("seed %d, %s: %w", jobs[i].seed, t.record.Kind, err)
		}
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	twins := make([]twin, len(jobs))
	err = experiment.Each(ctx, o.Parallel, len(jobs), func(_ context.Context, i int) (err error) {
		twins[i], err = playTwin(jobs[i].seed, jobs[i].fault)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	c.key, c.records, c.twins = key, records, twins
	return records, twins, nil
}

// run makes the stage, plays the case and clears up.
func (t *trial) run(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, t.close(context.WithoutCancel(ctx))) }()
	if err := t.raise(ctx); err != nil {
		return err
	}
	if err := t.play(ctx); err != nil {
		return fmt.Errorf("%w\n%s", err, t.process.lastWords())
	}
	return nil
}

// openLab connects to the lab that `kubelab run` tells of.
func openLab(ctx context.Context) (*cluster.Cluster, error) {
	path := os.Getenv(cluster.EnvKubeconfig)
	if path == "" {
		return nil, errors.New("real-time experiments need the lab of test/kubernetes: run them as `$(test/kubernetes/build.sh) run go run ./experiments -real`")
	}
	return cluster.Open(ctx, path)
}
