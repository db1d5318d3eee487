package closedloop

import (
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/experiments/internal/cluster"
	"github.com/paramedic-otel/paramedic/internal/kubetest"
	"github.com/paramedic-otel/paramedic/internal/shop"
)

func TestMain(m *testing.M) { kubetest.Main(m, kubetest.Options{}) }

func TestKubernetesCase(t *testing.T) {
	kinds := os.Getenv("CASES")
	if kinds == "" {
		kinds = "crash"
	}
	lab := kubetest.Shared(t)
	c, err := cluster.Open(t.Context(), lab.Kubeconfig)
	require.NoError(t, err)
	for _, kind := range strings.Split(kinds, ",") {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			f, err := shop.ParseFault(strings.TrimPrefix(kind, "!"))
			f.Lasting = strings.HasPrefix(kind, "!")
			require.NoError(t, err)
			begin := time.Now()
			tr := &trial{
				stage: &stage{setup: setup{seed: 1, rate: 20, learn: 10 * time.Minute, playbooks: playbooks}, cluster: c}, fault: f.Fault,
				log: func(f string, a ...any) {
					t.Logf("%6.1f "+f, append([]any{time.Since(begin).Seconds()}, a...)...)
				},
			}
			defer func() { require.NoError(t, tr.close(context.WithoutCancel(t.Context()))) }()
			require.NoError(t, tr.raise(t.Context()))
			tr.log("raised")
			if err := tr.play(t.Context()); err != nil {
				t.Fatalf("%v\n%s", err, tr.process.lastWords())
			}
			out, _ := json.Marshal(tr.record)
			t.Logf("%s", out)
			dump(t, tr)
		})
	}
}

func dump(t *testing.T, tr *trial) {
	list, _ := tr.inbox.from(0)
	for _, n := range list {
		if n.Incident == nil || len(n.Incident.Causes) == 0 {
			continue
		}
		b, _ := json.Marshal(n.Incident)
		t.Logf("%s %s %s", n.at.Format("15:04:05"), n.Type, b)
	}
}
