package closedloop

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"k8s.io/client-go/kubernetes"

	"github.com/paramedic-otel/paramedic/experiments/internal/cluster"
	"github.com/paramedic-otel/paramedic/internal/remediationaccess"
	"github.com/paramedic-otel/paramedic/internal/shop"
)

//go:embed collector.yaml
var collectorConfig string

//go:embed playbooks.yaml
var playbooks string

// setup says what is put on a stage.
type setup struct {
	seed uint64
	// rate is the mean of user requests a second.
	rate float64
	// learn is the simulated time that the collector sees at first, faster than it passes.
	learn time.Duration
	// playbooks are a YAML list; SHOP in it stands for the namespace. Empty is no remediation.
	playbooks string
}

// stage is a shop on the cluster with a collector that watches over it. One goroutine uses it.
type stage struct {
	setup
	cluster *cluster.Cluster
	dir     string
	home    string // namespace of the collector
	shop    *cluster.Shop
	vitals  *vitals
	inbox   *inbox
	process *process
	sender  *sender

	begin time.Time // of the simulation
	ticks int64
	heard int // news that were handed on
	watch func(shop.Experience)
}

// metricsInterval is that of the shop of cmd/demo.
const metricsInterval = 2 * time.Second

// raise makes a stage, and has the collector learn what is normal. close must be called whatever it returns.
func (s *stage) raise(ctx context.Context) error {
	var err error
	if s.dir, err = os.MkdirTemp("", "paramedic-experiments-"); err != nil {
		return err
	}
	if s.home, err = s.cluster.Namespace(ctx, "paramedic"); err != nil {
		return err
	}
	namespace, err := s.cluster.Namespace(ctx, "shop")
	if err != nil {
		return err
	}
	s.vitals = newVitals()
	if s.inbox, err = openInbox(ctx); err != nil {
		return err
	}
	cfg := shop.DefaultConfig()
	cfg.Seed, cfg.Rate, cfg.Steady, cfg.Namespace, cfg.MetricsInterval = s.seed, s.rate, true, namespace, metricsInterval
	cfg.Start = time.Now().Truncate(time.Second).Add(-s.learn)
	cfg.Watch = func(e shop.Experience) {
		s.vitals.experienced(e)
		if s.watch != nil {
			s.watch(e)
		}
	}
	s.begin = cfg.Start
	simulation, err := shop.New(cfg)
	if err != nil {
		return err
	}
	if s.shop, err = s.cluster.Host(ctx, namespace, simulation); err != nil {
		return err
	}
	if err := s.launch(ctx); err != nil {
		return err
	}
	return s.learnt(ctx)
}

// learnt replays the time before now as fast as the collector takes it.
func (s *stage) learnt(ctx context.Context) error {
	for time.Until(s.next()) < 0 {
		if err := s.tick(ctx); err != nil {
			return err
		}
	}
	return nil
}

// launch starts the collector with an account that may do what its playbooks need and read what its receivers watch.
func (s *stage) launch(ctx context.Context) error {
	binary, err := Binary()
	if err != nil {
		return err
	}
	addresses, err := freeAddresses(ctx, 2)
	if err != nil {
		return err
	}
	kubeconfig, config := filepath.Join(s.dir, "kubeconfig"), filepath.Join(s.dir, "config.yaml")
	text := s.config(map[string]string{
		"HEALTH": addresses[0], "OTLP": addresses[1], "STATE": filepath.Join(s.dir, "state"), "HOOK": s.inbox.url, "SECRET": s.inbox.secret,
		"KUBECONFIG": kubeconfig, "HOME": s.home, "SHOP": s.shop.Namespace,
	})
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return err
	}
	if err := s.grant(ctx, "yaml:"+text, kubeconfig); err != nil {
		return err
	}
	s.process, err = launch(ctx, binary, config, filepath.Join(s.dir, "collector.log"), addresses[0], "KUBECONFIG="+kubeconfig)
	if err != nil {
		return err
	}
	s.sender, err = newSender(addresses[1])
	return err
}

// config is the configuration of the collector with these values for its names.
func (s *stage) config(values map[string]string) string {
	text := strings.Replace(collectorConfig, "\nPLAYBOOKS\n", "\n"+indent(s.playbooks)+"\n", 1)
	for _, name := range slices.Sorted(maps.Keys(values)) {
		text = strings.ReplaceAll(text, name, values[name])
	}
	return text
}

func indent(text string) string {
	if strings.TrimSpace(text) == "" {
		return "      []"
	}
	return "      " + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n      ")
}

// reader is what the receivers of the collector need.
const reader = `
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: paramedic-reader}
rules:
- {apiGroups: [""], resources: [pods, events], verbs: [get, list, watch]}
- {apiGroups: [apps], resources: [deployments, statefulsets], verbs: [get, list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: paramedic-reader}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: paramedic-reader}
subjects: [{kind: ServiceAccount, name: paramedic, namespace: HOME}]
`

// grant makes the account with what `remediation-rbac` prints for the configuration, and writes its kubeconfig.
func (s *stage) grant(ctx context.Context, config, kubeconfig string) error {
	executors, err := remediationaccess.Load(ctx, []string{config}, nil)
	if err != nil {
		return err
	}
	access, err := remediationaccess.New(executors, remediationaccess.Options{Name: "remediation-" + s.home, Optional: true})
	if err != nil {
		return err
	}
	manifests, err := access.YAML()
	if err != nil {
		return err
	}
	if err := s.cluster.Apply(ctx, s.home, bytes.NewReader(manifests)); err != nil {
		return err
	}
	if err := s.cluster.Apply(ctx, s.shop.Namespace, strings.NewReader(strings.ReplaceAll(reader, "HOME", s.home))); err != nil {
		return err
	}
	if err := s.cluster.AccountFile(ctx, s.home, remediationaccess.DefaultServiceAccount, kubeconfig); err != nil {
		return err
	}
	return s.granted(ctx, access, kubeconfig)
}

// granted waits until the API server, which learns of roles by watching, grants all of it.
func (s *stage) granted(ctx context.Context, access *remediationaccess.Access, kubeconfig string) error {
	return cluster.WithClient(kubeconfig, func(client kubernetes.Interface) error {
		return cluster.Await(ctx, "the permissions of the collector", func(ctx context.Context) error {
			_, missing, err := access.Check(ctx, client)
			if err == nil && len(missing) > 0 {
				err = fmt.Errorf("%d are missing, such as %s", len(missing), missing[0])
			}
			return err
		})
	})
}

// next is when the next tick ends.
func (s *stage) next() time.Time {
	return s.begin.Add(time.Duration(s.ticks+1) * shop.TickLength)
}

// tick lets a second of the shop pass at once.
func (s *stage) tick(ctx context.Context) error {
	if err := s.process.ended(); err != nil {
		return err
	}
	if err := s.shop.Sync(ctx); err != nil {
		return err
	}
	traces, metrics, logs := s.shop.Simulation.Tick()
	s.ticks++
	s.vitals.saw(traces)
	s.vitals.second()
	return s.sender.send(ctx, traces, metrics, logs)
}

// second lets a second of the shop pass in its time, and returns what was heard of meanwhile.
func (s *stage) second(ctx context.Context) ([]news, error) {
	timer := time.NewTimer(time.Until(s.next()))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-timer.C:
	}
	if late := time.Since(s.next()); late > maxLag {
		return nil, fmt.Errorf("the machine is too slow for real time: %s behind", late)
	}
	if err := s.tick(ctx); err != nil {
		return nil, err
	}
	heard, err := s.inbox.from(s.heard)
	s.heard += len(heard)
	return heard, err
}

// maxLag is how far the shop may fall behind the clock before a run makes no sense any more.
const maxLag = 5 * time.Second

// close ends everything. The namespaces go by themselves.
func (s *stage) close(ctx context.Context) error {
	var errs []error
	if s.process != nil {
		s.process.stop()
	}
	if s.sender != nil {
		errs = append(errs, s.sender.close())
	}
	if s.inbox != nil {
		s.inbox.close()
	}
	if s.shop != nil {
		s.shop.Close()
		errs = append(errs, s.cluster.Delete(ctx, s.shop.Namespace))
	}
	if s.home != "" {
		errs = append(errs, s.cluster.Delete(ctx, s.home))
	}
	if s.dir != "" && os.Getenv(envKeep) == "" {
		errs = append(errs, os.RemoveAll(s.dir))
	}
	return errors.Join(errs...)
}

// envKeep, when set, keeps the folders of runs with the collectors' logs.
const envKeep = "EXPERIMENTS_KEEP"
