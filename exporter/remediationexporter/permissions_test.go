package remediationexporter

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componentstatus"

	"github.com/paramedic-otel/paramedic/internal/kubeaction"
	"github.com/paramedic-otel/paramedic/internal/kubetest"
	"github.com/paramedic-otel/paramedic/semconv"
)

const lackedMessage = "playbooks lack permissions and do nothing until these are granted; remediation-rbac prints the roles"

// A missing permission is named at the start, its playbook makes no call, and what else there is goes on.
func TestMissingPermissionsAreNamedBeforeTheyAreNeeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "chat")
		c := r.onCluster(nil)
		granted := false
		c.review = func([]*kubeaction.Step, kubeaction.Scope) ([]kubeaction.Missing, error) {
			optional := kubeaction.Missing{Resource: "events", Verb: "list", Namespace: "shop", Optional: true}
			if granted {
				return []kubeaction.Missing{optional}, nil
			}
			return []kubeaction.Missing{
				optional,
				{Group: "apps", Resource: "deployments", Verb: "patch", Namespace: "shop"},
				{Resource: "nodes", Verb: "patch"},
			}, nil
		}
		r.start()
		synctest.Wait()
		want := []any{
			`restart: {apiGroups: ["apps"], resources: ["deployments"], verbs: ["patch"]} in a Role in namespace shop`,
			`restart: {apiGroups: [""], resources: ["nodes"], verbs: ["patch"]} in a ClusterRole`,
		}
		told := r.logs.FilterMessage(lackedMessage).All()
		require.Len(t, told, 1, "all of them at once")
		assert.Equal(t, want, told[0].ContextMap()["missing"])
		assert.Equal(t, 1, r.logs.FilterMessage("actions assume the worst about what they may not read").Len())
		assert.EqualValues(t, 2, r.sum("missing_permissions"))
		require.Len(t, r.statuses(), 1)
		assert.Equal(t, componentstatus.StatusRecoverableError, r.statuses()[0].Status())
		assert.ErrorContains(t, r.statuses()[0].Err(), want[0].(string)+"; "+want[1].(string))

		r.must(opened("i-1"))
		synctest.Wait()
		assert.Equal(t, []string{"planned", "skipped/permission"}, r.audit())
		prepared, applied, _ := c.calls()
		assert.Zero(t, prepared+applied, "no call was made")
		skipped := r.logs.FilterMessage("remediation decision").All()[1].ContextMap()
		assert.Contains(t, skipped["detail"], `{apiGroups: ["apps"], resources: ["deployments"], verbs: ["patch"]}`)

		time.Sleep(10 * reviewAgain)
		synctest.Wait()
		assert.Equal(t, 1, r.logs.FilterMessage(lackedMessage).Len(), "told once")
		c.mu.Lock()
		granted = true
		c.mu.Unlock()
		e := opened("i-2")
		e.Time = e.Time.Add(10 * reviewAgain)
		e = on(e, "shop/cart")
		e.Incident.Causes[0].Resource[semconv.AttrK8sDeploymentName] = "cart"
		r.must(e)
		synctest.Wait()
		_, applied, _ = c.calls()
		assert.Equal(t, 1, applied, "what was granted meanwhile counts at once")
		time.Sleep(reviewAgain)
		synctest.Wait()
		assert.Zero(t, r.sum("missing_permissions"))
		require.Len(t, r.statuses(), 2)
		assert.Equal(t, componentstatus.StatusOK, r.statuses()[1].Status())
		r.stop()
	})
}

func TestPermissionsThatCannotBeReviewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "chat")
		c := r.onCluster(nil)
		var up atomic.Bool
		var reviews atomic.Int64
		c.review = func([]*kubeaction.Step, kubeaction.Scope) ([]kubeaction.Missing, error) {
			reviews.Add(1)
			if !up.Load() {
				return nil, errors.New("connection refused")
			}
			return nil, nil
		}
		r.start()
		time.Sleep(5*reviewAgain + time.Second)
		synctest.Wait()
		assert.Equal(t, int64(6), reviews.Load(), "asked again each minute")
		assert.Equal(t, 1, r.logs.FilterMessage("permissions could not be reviewed and are asked for again").Len(), "told once")
		assert.Empty(t, r.statuses())
		up.Store(true)
		time.Sleep(reviewAgain)
		synctest.Wait()
		assert.Equal(t, int64(7), reviews.Load())
		time.Sleep(reviewEvery)
		synctest.Wait()
		assert.Equal(t, int64(8), reviews.Load(), "and less often once it is known")
		r.stop()
	})
}

// On a real API server, with an account that lacks one rule: it is named at the start, and nothing but reviews is asked.
func TestKubernetesMissingPermissionIsNamedAtTheStart(t *testing.T) {
	t.Parallel()
	lab := kubetest.Shared(t)
	ns, home := lab.Namespace(t), lab.Namespace(t)
	web := kubetest.Deployment(ns, "web", 1)
	lab.Create(t, web)
	lab.WaitRolledOut(t, web)
	step := &kubeaction.Step{RolloutRestart: &kubeaction.RolloutRestart{}}
	rules := kubeaction.RulesFor([]*kubeaction.Step{step}, kubeaction.Scope{Namespaces: []string{ns}}).Namespaced[ns]
	for i := range rules {
		if rules[i].APIGroups[0] == "apps" && strings.Contains(strings.Join(rules[i].Verbs, ","), "patch") {
			rules[i].Verbs = []string{"get", "list"}
		}
	}
	account := lab.ServiceAccount(t, home, kubetest.Grant{Namespace: ns, Rules: rules})

	r := newRig(t, "chat")
	r.onCluster(func(p *PlaybookConfig) { p.Scope.Namespaces = []string{ns} })
	r.cluster = nil
	settings := kubeaction.DefaultSettings()
	settings.Namespace = home
	client, err := kubeaction.NewForConfig(account, settings, kubeaction.TransportSettings{})
	require.NoError(t, err)
	r.real = client
	r.cfg.MaxEventAge = 0
	r.start()
	kubetest.Eventually(t, "it is named", func() error {
		if r.logs.FilterMessage(lackedMessage).Len() != 1 {
			return errors.New("not yet")
		}
		return nil
	})
	missing := r.logs.FilterMessage(lackedMessage).All()[0].ContextMap()["missing"]
	assert.Equal(t, []any{
		`restart: {apiGroups: ["apps"], resources: ["daemonsets"], verbs: ["patch"]} in a Role in namespace ` + ns,
		`restart: {apiGroups: ["apps"], resources: ["deployments"], verbs: ["patch"]} in a Role in namespace ` + ns,
		`restart: {apiGroups: ["apps"], resources: ["statefulsets"], verbs: ["patch"]} in a Role in namespace ` + ns,
	}, missing)
	e := opened("i-1")
	e.Incident.Causes[0].Resource = map[string]string{semconv.AttrK8sNamespaceName: ns, semconv.AttrK8sDeploymentName: "web"}
	require.NoError(t, r.exp.ConsumeLogs(context.Background(), logsOf(e)))
	kubetest.Eventually(t, "the playbook is refused", func() error {
		if audit := r.audit(); len(audit) != 2 || audit[1] != "skipped/permission" {
			return errors.New(strings.Join(audit, ", "))
		}
		return nil
	})
	for _, request := range lab.Audit(t, account) {
		assert.Contains(t, request.String(), "selfsubjectaccessreviews", "no other call was made")
	}
	r.stop()
}

// TestPermissionThatIsOnlyNotReadYet restarts the API server, which answers that nothing is allowed until it has read its
// roles: what was granted before is asked for again for a while.
func TestPermissionThatIsOnlyNotReadYet(t *testing.T) {
	for name, tc := range map[string]struct {
		refused int
		want    []string
	}{
		"for a moment": {3, []string{"planned", "started", "accepted"}},
		"for good":     {1 << 20, []string{"planned", "skipped/permission"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, "chat")
				c := r.onCluster(nil)
				c.plan = func(o kubeaction.Order) (kubeaction.Plan, error) {
					if len(c.prepared) <= tc.refused {
						return kubeaction.Plan{}, &kubeaction.Refusal{Reason: kubeaction.ReasonPermission, Detail: "get deployments is forbidden"}
					}
					return planFor(o), nil
				}
				r.start()
				synctest.Wait()
				r.must(opened("i-1"))
				time.Sleep(time.Minute)
				synctest.Wait()
				assert.Equal(t, tc.want, r.audit())
				r.stop()
			})
		})
	}
}
