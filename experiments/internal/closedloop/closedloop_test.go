package closedloop

import (
	"encoding/json"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/experiments/internal/cluster"
	"github.com/paramedic-otel/paramedic/internal/kubetest"
	"github.com/paramedic-otel/paramedic/internal/shop"
)

func TestMain(m *testing.M) { kubetest.Main(m, kubetest.Options{}) }

func TestKubernetesCase(t *testing.T) {
	kind := os.Getenv("CASE")
	if kind == "" {
		kind = "crash"
	}
	lab := kubetest.Shared(t)
	c, err := cluster.Open(t.Context(), lab.Kubeconfig)
	require.NoError(t, err)
	defer c.Close()
	f, err := shop.ParseFault(kind)
	require.NoError(t, err)
	begin := time.Now()
	tr := &trial{
		stage: &stage{setup: setup{seed: 1, rate: 20, learn: 10 * time.Minute, playbooks: playbooks}, cluster: c}, fault: f.Fault,
		log: func(f string, a ...any) { t.Logf("%6.1f "+f, append([]any{time.Since(begin).Seconds()}, a...)...) },
	}
	defer func() { require.NoError(t, tr.close(t.Context())) }()
	require.NoError(t, tr.raise(t.Context()))
	tr.log("raised")
	if err := tr.play(t.Context()); err != nil {
		t.Fatalf("%v\n%s", err, tr.process.lastWords())
	}
	out, _ := json.MarshalIndent(tr.record, "", " ")
	t.Logf("%s", out)
	u := tr.process.cmd.ProcessState
	_ = u
	b, _ := os.ReadFile(tr.process.log)
	os.WriteFile("/tmp/explab/collector.log", b, 0o644)
}
