package executor

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.uber.org/zap/zaptest"
	appsv1 "k8s.io/api/apps/v1"

	"github.com/paramedic-otel/paramedic/internal/kubetest"
	"github.com/paramedic-otel/paramedic/internal/standardwebhooks"
	"github.com/paramedic-otel/paramedic/semconv"
)

// restarting is a playbook that restarts the cause, in a mode.
func restarting(mode string) string {
	return `
playbooks:
  - name: restart
    when: ['attributes["incident.cause.kind"] == "crash"']
    mode: ` + mode + `
    scope: {namespaces: SCOPE}
    steps: [{kubernetes: {rollout_restart: {}}}]
    verify: {within: 30s, settle: 0s, hold: 0s, workload: {interval: 1s}}
`
}

// run starts an executor that ends with the test.
func run(t *testing.T, o Options) *Executor {
	t.Helper()
	o.Logger = zaptest.NewLogger(t)
	e, err := Start(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, e.Stop(context.Background())) })
	return e
}

// news waits until the receiver has got just this news of remediations, in this order.
func (s *Stage) news(t *testing.T, want ...string) {
	t.Helper()
	kubetest.Eventually(t, "the receiver has got its news", func() error {
		if got := s.Hook.News(); !slices.Equal(got, want) {
			return fmt.Errorf("got %q, want %q", got, want)
		}
		return nil
	})
}

func restartedAt(d *appsv1.Deployment) string {
	return d.Spec.Template.Annotations["kubectl.kubernetes.io/restartedAt"]
}

func TestKubernetesAutoRestarts(t *testing.T) {
	t.Parallel()
	s := NewStage(t, 1, 1)
	web, idle := s.Deployments(t, 2, "web")[0], s.Deployments(t, 1, "idle")[0]
	e := run(t, Options{Config: s.Config(t, restarting("auto")), Storage: t.TempDir()})
	i := NewIncident("i-1", web.Namespace, "web")
	require.NoError(t, e.Tell(t.Context(), i.Opened()))
	s.news(t, "started")
	s.Lab.WaitFor(t, web, "restarted", func() error {
		if restartedAt(web) == "" {
			return fmt.Errorf("it was not restarted")
		}
		return nil
	})
	s.Lab.WaitRolledOut(t, web)
	require.NoError(t, e.Tell(t.Context(), i.Updated()))
	require.NoError(t, e.Tell(t.Context(), i.Resolved()))
	s.news(t, "started", "succeeded/recovered")
	assert.Equal(t, []string{"patch deployments web"}, s.Writes(), "one change, and nothing else")
	assert.Equal(t, "i-1", web.Annotations["paramedic.io/incident"])
	s.Lab.Refresh(t, idle)
	assert.Empty(t, restartedAt(idle))
	var names []string
	for _, event := range s.Hook.Events() {
		names = append(names, event.Name())
	}
	assert.Equal(t, []string{"incident.opened", "remediation.started", "incident.updated", "incident.resolved", "remediation.succeeded"}, names)
}

func TestKubernetesObserveOnlyReads(t *testing.T) {
	t.Parallel()
	for mode, want := range map[string]string{"observe": "proposed", "suggest": "suggested"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			s := NewStage(t, 1, 1)
			web := s.Deployments(t, 2, "web")[0]
			e := run(t, Options{Config: s.Config(t, restarting(mode)), Storage: t.TempDir()})
			i := NewIncident("i-1", web.Namespace, "web")
			require.NoError(t, e.Tell(t.Context(), i.Opened()))
			s.news(t, want)
			require.NoError(t, e.Tell(t.Context(), i.Updated(), i.Resolved()))
			assert.Empty(t, s.Proxy.Reached.Writes(), "no request that could change anything, not even a reservation")
			told := s.Hook.Events()
			plan := told[slices.IndexFunc(told, func(event Event) bool { return event.Data.Remediation != nil })].Data.Remediation.Plan
			require.NotNil(t, plan, "what it would do has been looked at")
			assert.Contains(t, plan.Summary, "Restart Deployment "+web.Namespace+"/web")
			assert.NotEmpty(t, plan.Commands)
			before := web.Generation
			s.Lab.Refresh(t, web)
			assert.Equal(t, before, web.Generation)
		})
	}
}

// approving is a playbook that restarts the cause once ann has approved, by a signed log record.
func approving() string {
	return "approvals: {secrets: [SECRET]}" + strings.Replace(restarting("approve"), "    scope:", "    approval: {allowed: [ann], within: 30s}\n    scope:", 1)
}

// say hands ann's word on the intent that was last told of to the executor.
func (s *Stage) say(t *testing.T, e *Executor, verdict semconv.ApprovalVerdict) {
	t.Helper()
	told := s.Hook.Events()
	event := told[len(told)-1]
	require.Equal(t, "remediation.approval_requested", event.Name())
	key, err := standardwebhooks.ParseKey(Secret)
	require.NoError(t, err)
	word := semconv.Approval{Intent: event.Data.Remediation.Intent, Verdict: verdict, By: "ann", At: time.Now()}
	word.Signature = word.Sign(key.Bytes())
	ld := plog.NewLogs()
	word.Encode(ld.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords().AppendEmpty())
	require.NoError(t, e.ConsumeLogs(t.Context(), ld))
}

func TestKubernetesApproveWaits(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		then func(*testing.T, *Stage, *Executor, *Incident)
		news []string
		want []string
	}{
		"approved": {func(t *testing.T, s *Stage, e *Executor, _ *Incident) { s.say(t, e, semconv.ApprovalGranted) }, []string{"started"}, []string{"patch deployments web"}},
		"denied":   {func(t *testing.T, s *Stage, e *Executor, _ *Incident) { s.say(t, e, semconv.ApprovalDenied) }, []string{"denied/denied"}, []string{}},
		"over": {func(t *testing.T, _ *Stage, e *Executor, i *Incident) {
			require.NoError(t, e.Tell(t.Context(), i.Resolved()))
		}, []string{"skipped/stale"}, []string{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := NewStage(t, 1, 1)
			web := s.Deployments(t, 2, "web")[0]
			e := run(t, Options{Config: s.Config(t, approving()), Storage: t.TempDir()})
			i := NewIncident("i-1", web.Namespace, "web")
			require.NoError(t, e.Tell(t.Context(), i.Opened()))
			s.news(t, "approval_requested")
			assert.Empty(t, s.Proxy.Reached.Writes(), "nobody has approved")
			tc.then(t, s, e, i)
			s.news(t, append([]string{"approval_requested"}, tc.news...)...)
			kubetest.Eventually(t, "what was approved is done", func() error {
				if got := s.Writes(); !slices.Equal(got, tc.want) {
					return fmt.Errorf("%q", got)
				}
				return nil
			})
		})
	}
}

// ladder restarts, then scales, then rolls back to the revision before.
const ladder = `
breakers: {target: {failures: 4}}
playbooks:
  - name: ladder
    when: ['true']
    mode: auto
    scope: {namespaces: SCOPE}
    min_witnesses: 1
    steps:
      - kubernetes: {rollout_restart: {}}
        verify: {within: 3s, settle: 0s, hold: 0s, workload: {interval: 1s}}
      - kubernetes: {scale: {by: 1, max: 5}}
        verify: {within: 3s, settle: 0s, hold: 0s, workload: {interval: 1s}}
        on_failure: next
      - kubernetes: {rollback: {}}
        verify: {within: 30s, settle: 0s, hold: 0s, workload: {interval: 1s}}
        on_failure: escalate
`

func TestKubernetesLadder(t *testing.T) {
	t.Parallel()
	s := NewStage(t, 1, 1)
	web := s.Deployments(t, 2, "web")[0]
	s.Lab.Patch(t, web, `{"spec":{"template":{"spec":{"containers":[{"name":"app","image":"`+kubetest.Image("web", "v2")+`"}]}}}}`)
	s.Lab.WaitRolledOut(t, web)
	e := run(t, Options{Config: s.Config(t, ladder), Storage: t.TempDir()})
	i := NewIncident("i-1", web.Namespace, "web")
	require.NoError(t, e.Tell(t.Context(), i.Opened()))
	s.news(t, "started", "failed/not_recovered", "started", "failed/not_recovered", "started")
	s.Lab.WaitFor(t, web, "rolled back", func() error {
		if image := web.Spec.Template.Spec.Containers[0].Image; image != kubetest.Image("web", "v1") {
			return fmt.Errorf("image %s", image)
		}
		return nil
	})
	assert.Equal(t, int32(3), *web.Spec.Replicas)
	s.Lab.WaitRolledOut(t, web)
	require.NoError(t, e.Tell(t.Context(), i.Resolved()))
	s.news(t, "started", "failed/not_recovered", "started", "failed/not_recovered", "started", "succeeded/recovered")
	assert.Len(t, s.Writes(), 3, "%q", s.Writes())
}

func TestKubernetesScaleIsTakenBack(t *testing.T) {
	t.Parallel()
	s := NewStage(t, 1, 1)
	web := s.Deployments(t, 2, "web")[0]
	e := run(t, Options{Config: s.Config(t, `
playbooks:
  - name: scale
    when: ['true']
    mode: auto
    scope: {namespaces: SCOPE}
    steps:
      - kubernetes: {scale: {by: 2, max: 5}}
        verify: {within: 3s, settle: 0s, hold: 0s, workload: {interval: 1s}}
        on_failure: rollback
`), Storage: t.TempDir()})
	require.NoError(t, e.Tell(t.Context(), NewIncident("i-1", web.Namespace, "web").Opened()))
	s.Lab.WaitFor(t, web, "scaled", func() error {
		if *web.Spec.Replicas != 4 {
			return fmt.Errorf("%d replicas", *web.Spec.Replicas)
		}
		return nil
	})
	s.news(t, "started", "failed/not_recovered", "rolled_back/not_recovered", "escalated/not_recovered")
	s.Lab.Refresh(t, web)
	assert.Equal(t, int32(2), *web.Spec.Replicas)
	assert.Len(t, s.Writes(), 2, "%q", s.Writes())
}

func TestKubernetesEscalates(t *testing.T) {
	t.Parallel()
	s := NewStage(t, 1, 1)
	web := s.Deployments(t, 2, "web")[0]
	e := run(t, Options{Config: s.Config(t, `
playbooks:
  - name: restart
    when: ['true']
    mode: auto
    scope: {namespaces: SCOPE}
    steps:
      - kubernetes: {rollout_restart: {}}
        verify: {within: 3s, settle: 0s, hold: 0s, workload: {interval: 1s}}
        on_failure: escalate
      - kubernetes: {scale: {by: 2, max: 5}}
`), Storage: t.TempDir()})
	i := NewIncident("i-1", web.Namespace, "web")
	require.NoError(t, e.Tell(t.Context(), i.Opened()))
	s.news(t, "started", "failed/not_recovered", "escalated/not_recovered")
	require.NoError(t, e.Tell(t.Context(), i.Updated()))
	time.Sleep(1500 * time.Millisecond) // a tick of the executor and more
	assert.Equal(t, []string{"patch deployments web"}, s.Writes(), "the next step is a person's")
}
