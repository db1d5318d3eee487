package kubeaction

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

var budgetNeed = permission{Group: "policy", Resource: "poddisruptionbudgets", Verbs: []string{"list"}}

// DeletePod deletes the pod that the incident names, so that its owner makes it anew. A ready pod whose disruption budget
// is spent is left alone; for one that is not ready no budget is asked. It cannot be undone.
type DeletePod struct {
	// GracePeriod is how long the pod may take to end, 1 s to 10 min in whole seconds; 0 for the pod's own.
	GracePeriod time.Duration `mapstructure:"grace_period"`
}

func (*DeletePod) name() string      { return "delete_pod" }
func (*DeletePod) class() Class      { return ClassPod }
func (a *DeletePod) validate() error { return validateGrace(a.GracePeriod) }

func (*DeletePod) needs() []permission {
	return append(podNeeds(), kindPod.permission("get", "delete"), budgetNeed)
}

func (a *DeletePod) plan(ctx context.Context, c *Client, p *Plan) error {
	pod, err := c.planPod(ctx, p, podData{Grace: graceSeconds(a.GracePeriod)})
	if err != nil || p.NoOp {
		return err
	}
	p.Summary = fmt.Sprintf("Delete %s, so that its owner makes it anew", p.Target)
	p.Commands = []string{fmt.Sprintf("kubectl -n %s delete pod %s", pod.Namespace, pod.Name)}
	if err := c.checkBudgets(ctx, pod, p); err != nil {
		return err
	}
	err = c.typed.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{
		DryRun: []string{metav1.DryRunAll}, GracePeriodSeconds: graceSeconds(a.GracePeriod), Preconditions: preconditions(p.Target.UID, ""),
	})
	if err != nil {
		return c.explain(err, p.Target, "delete")
	}
	p.passed("dry_run", "the API server accepts the deletion")
	return nil
}

func (*DeletePod) apply(ctx context.Context, c *Client, p *Plan) (Receipt, error) {
	var data podData
	if err := decode(p.Data, &data); err != nil {
		return Receipt{}, err
	}
	for attempt := 1; ; attempt++ {
		pod, err := c.livePod(ctx, p.Target, data)
		if err != nil {
			return Receipt{}, err
		}
		if pod == nil {
			return podReceipt(p, false), nil
		}
		if err := c.checkBudgets(ctx, pod, p); err != nil {
			return Receipt{}, err
		}
		err = c.typed.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{
			GracePeriodSeconds: data.Grace, Preconditions: preconditions(p.Target.UID, pod.ResourceVersion),
		})
		switch {
		case err == nil:
			return podReceipt(p, true), nil
		case apierrors.IsNotFound(err):
			return podReceipt(p, false), nil
		case apierrors.IsConflict(err) && attempt < maxConflicts:
			continue
		}
		return Receipt{}, c.explain(err, p.Target, "delete")
	}
}

func (*DeletePod) undo(_ context.Context, _ *Client, r *Receipt) (Receipt, error) {
	return Receipt{}, refuse(ReasonUnsupported, "a deleted pod cannot be brought back; its owner makes another")
}

func (*DeletePod) health(ctx context.Context, c *Client, r *Receipt) (Health, error) {
	return c.podHealth(ctx, r)
}

// checkBudgets refuses to delete a ready pod which a disruption budget wants kept: deleting, other than evicting, would not
// ask it.
func (c *Client) checkBudgets(ctx context.Context, pod *corev1.Pod, p *Plan) error {
	if !podReady(pod) {
		return nil
	}
	budgets, err := c.typed.PolicyV1().PodDisruptionBudgets(pod.Namespace).List(ctx, metav1.ListOptions{Limit: pageSize})
	if err != nil {
		return c.explain(err, Object{Kind: "PodDisruptionBudget", Namespace: pod.Namespace, Name: "*"}, "list")
	}
	if budgets.Continue != "" {
		return refuse(ReasonDisruption, "namespace %s has more than %d disruption budgets; evict the pod instead", pod.Namespace, pageSize)
	}
	for i := range budgets.Items {
		budget := &budgets.Items[i]
		selector, err := metav1.LabelSelectorAsSelector(budget.Spec.Selector)
		if err != nil || !selector.Matches(labels.Set(pod.Labels)) {
			continue
		}
		if budget.Status.DisruptionsAllowed < 1 || budget.Status.ObservedGeneration < budget.Generation {
			return refuse(ReasonDisruption, "%s is ready, and PodDisruptionBudget %s allows no disruption now (%d of %d desired pods are healthy)",
				podObject(pod), budget.Name, budget.Status.CurrentHealthy, budget.Status.DesiredHealthy)
		}
		p.passed("disruption_budget", "PodDisruptionBudget %s allows %d disruptions", budget.Name, budget.Status.DisruptionsAllowed)
	}
	return nil
}

// preconditions are of a write: the UID, and the resourceVersion unless it is empty.
func preconditions(uid, resourceVersion string) *metav1.Preconditions {
	p := metav1.NewUIDPreconditions(uid)
	if resourceVersion != "" {
		p.ResourceVersion = &resourceVersion
	}
	return p
}
