package closedloop

import (
	"context"
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/experiments/internal/cluster"
	"github.com/paramedic-otel/paramedic/internal/kubetest"
	"github.com/paramedic-otel/paramedic/internal/shop"
)

func TestMain(m *testing.M) { kubetest.Main(m, kubetest.Options{}) }

// envCases names faults to play one by one, such as "crash:cart,bad-deploy", with all that was heard in the test's log. A "!" before
// one makes it incurable, "@7" behind it takes another seed than 1. It takes two minutes each; `experiments -quick` plays some in continuous integration.
const envCases = "EXPERIMENTS_CASES"

func TestKubernetesCases(t *testing.T) {
	cases := os.Getenv(envCases)
	if cases == "" {
		t.Skip("takes minutes: set " + envCases + " to faults to play")
	}
	lab, err := cluster.Open(t.Context(), kubetest.Shared(t).Kubeconfig)
	require.NoError(t, err)
	t.Cleanup(lab.Close)
	for _, text := range strings.Split(cases, ",") {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			name, number, seeded := strings.Cut(strings.TrimPrefix(text, "!"), "@")
			seed := uint64(1)
			if seeded {
				var err error
				seed, err = strconv.ParseUint(number, 10, 64)
				require.NoError(t, err)
			}
			f, err := shop.ParseFault(name)
			require.NoError(t, err)
			f.Lasting = strings.HasPrefix(text, "!")
			tr := &trial{stage: &stage{setup: setup{seed: seed, rate: rate, learn: learn, playbooks: playbooks}, cluster: lab}, fault: f.Fault, log: t.Logf}
			require.NoError(t, tr.run(context.WithoutCancel(t.Context())))
			out, err := json.Marshal(tr.record)
			require.NoError(t, err)
			t.Logf("%s", out)
			assert.NotNil(t, tr.record.Detected)
			assert.Equal(t, !f.Lasting, tr.record.handled())
		})
	}
}

func TestPlanHasEachKindOnce(t *testing.T) {
	first, second := plan(1, false), plan(2, false)
	assert.Equal(t, first, plan(1, false))
	assert.NotEqual(t, first, second)
	assert.Len(t, first, len(shop.SteadyFaultKinds())+len(incurable))
	assert.Len(t, plan(1, true), len(quickKinds))
	for _, f := range append(first, second...) {
		cfg := shop.DefaultConfig()
		cfg.Start = time.Unix(1_700_000_000, 0)
		sim, err := shop.New(cfg)
		require.NoError(t, err)
		_, err = sim.Inject(f)
		assert.NoError(t, err, f)
	}
}
