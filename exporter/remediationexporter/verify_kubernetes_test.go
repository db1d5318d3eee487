package remediationexporter

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/kubeaction"
	"github.com/paramedic-otel/paramedic/internal/kubetest"
	"github.com/paramedic-otel/paramedic/semconv"
)

// On a real API server, with an account that has no right but those for the action: the workload's own view decides, whatever
// becomes of the incident.
func TestKubernetesWorkloadDecides(t *testing.T) {
	t.Parallel()
	lab := kubetest.Shared(t)
	restart := &kubeaction.Step{RolloutRestart: &kubeaction.RolloutRestart{}}
	for name, tc := range map[string]struct {
		image  string
		want   string
		detail string
	}{
		"ready":     {image: "v1", want: "succeeded/recovered"},
		"crashes":   {image: kubetest.TagCrash, want: "failed/worse", detail: "workload is worse"},
		"not ready": {image: kubetest.TagNotReady, want: "failed/not_recovered", detail: "workload is unmet"},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			ns, home := lab.Namespace(t), lab.Namespace(t)
			web := kubetest.Deployment(ns, "web", 2)
			web.Spec.Template.Spec.Containers[0].Image = kubetest.Image("web", tc.image)
			lab.Create(t, web)
			if tc.image == "v1" {
				lab.WaitRolledOut(t, web)
			}
			rules := kubeaction.RulesFor([]*kubeaction.Step{restart}, kubeaction.Scope{Namespaces: []string{ns}}).Namespaced[ns]
			account := lab.ServiceAccount(t, home, kubetest.Grant{Namespace: ns, Rules: rules})
			settings := kubeaction.DefaultSettings()
			settings.Namespace = home
			client, err := kubeaction.NewForConfig(account, settings, kubeaction.TransportSettings{})
			require.NoError(t, err)

			r := newRig(t, "chat")
			r.onCluster(func(p *PlaybookConfig) {
				p.Scope.Namespaces = []string{ns}
				p.Verify.Within, p.Verify.Settle, p.Verify.Hold, p.Verify.FailHold = 12*time.Second, time.Second, 2*time.Second, time.Second
				p.Verify.Workload = WorkloadConfig{Enabled: true, Interval: time.Second}
				p.Steps[0].OnFailure = "escalate"
			})
			r.cluster, r.real = nil, client
			r.cfg.MaxEventAge = 0
			r.start()
			send := func(e semconv.IncidentEvent) {
				e.Incident.Causes[0].Resource = map[string]string{semconv.AttrK8sNamespaceName: ns, semconv.AttrK8sDeploymentName: "web"}
				require.NoError(t, r.exp.ConsumeLogs(context.Background(), logsOf(e)))
			}
			reach := func(want string) {
				t.Helper()
				kubetest.Eventually(t, want, func() error {
					if audit := r.audit(); len(audit) == 0 || audit[len(audit)-1] != want {
						return errors.New(strings.Join(audit, ", "))
					}
					return nil
				})
			}
			send(opened("i-1"))
			reach("accepted")
			send(resolved("i-1", 2, time.Second))
			reach(tc.want)
			assert.Contains(t, r.detail(), tc.detail)
			for _, request := range lab.AuditWrites(t, account) {
				assert.Contains(t, request.String(), "deployments", "the verification only reads")
			}
			r.stop()
		})
	}
}
