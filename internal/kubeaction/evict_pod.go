package kubeaction

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	defaultEvictDeadline = 2 * time.Minute
	maxEvictDeadline     = time.Hour
	// evictPause is how long to wait where the API server does not say.
	evictPause = 5 * time.Second
)

var evictionNeed = permission{Resource: "pods/eviction", Verbs: []string{"create"}}

// EvictPod asks the API server to take the pod that the incident names away as soon as its disruption budget allows it. It
// cannot be undone.
type EvictPod struct {
	// GracePeriod is how long the pod may take to end, 1 s to 10 min in whole seconds; 0 for the pod's own.
	GracePeriod time.Duration `mapstructure:"grace_period"`
	// Deadline is how long to wait for the budget, 1 s to 1 h; 0 for 2 min.
	Deadline time.Duration `mapstructure:"deadline"`
}

func (*EvictPod) name() string { return "evict_pod" }
func (*EvictPod) class() Class { return ClassPod }

func (a *EvictPod) validate() error {
	err := validateGrace(a.GracePeriod)
	if a.Deadline != 0 && (a.Deadline < time.Second || a.Deadline > maxEvictDeadline) {
		err = errors.Join(err, fmt.Errorf("deadline must be 0 (%s) or between 1s and %s, got %s", defaultEvictDeadline, maxEvictDeadline, a.Deadline))
	}
	return err
}

func (*EvictPod) needs() []permission { return append(podNeeds(), evictionNeed) }

func (a *EvictPod) plan(ctx context.Context, c *Client, p *Plan) error {
	data := podData{Grace: graceSeconds(a.GracePeriod), Deadline: a.Deadline}
	if data.Deadline == 0 {
		data.Deadline = defaultEvictDeadline
	}
	pod, err := c.planPod(ctx, p, data)
	if err != nil || p.NoOp {
		return err
	}
	p.Summary = fmt.Sprintf("Evict %s as its disruption budget allows, within %s", p.Target, data.Deadline)
	p.Commands = []string{fmt.Sprintf(
		`echo '{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"namespace":%q,"name":%q}}' | kubectl create --raw /api/v1/namespaces/%s/pods/%s/eviction -f -`,
		pod.Namespace, pod.Name, pod.Namespace, pod.Name)}
	return c.tryEvictions(ctx, p, []Object{p.Target}, data.Grace)
}

func (*EvictPod) apply(ctx context.Context, c *Client, p *Plan) (Receipt, error) {
	var data podData
	if err := decode(p.Data, &data); err != nil {
		return Receipt{}, err
	}
	until := c.now().Add(data.Deadline)
	for {
		pod, err := c.livePod(ctx, p.Target, data)
		if err != nil {
			return Receipt{}, err
		}
		if pod == nil {
			return podReceipt(p, false), nil
		}
		answer, err := c.evict(ctx, p.Target, data.Grace, false)
		if err != nil {
			return Receipt{}, err
		}
		if answer.blocked == "" {
			return podReceipt(p, !answer.gone), nil
		}
		if c.now().Add(answer.wait).After(until) {
			return Receipt{}, refuse(ReasonDisruption, "%s was not evicted within %s: %s", p.Target, data.Deadline, answer.blocked)
		}
		if err := wait(ctx, answer.wait); err != nil {
			return Receipt{}, fmt.Errorf("wait for the disruption budget of %s: %w", p.Target, err)
		}
	}
}

func (*EvictPod) undo(_ context.Context, _ *Client, r *Receipt) (Receipt, error) {
	return Receipt{}, refuse(ReasonUnsupported, "an evicted pod cannot be brought back; its owner makes another")
}

func (*EvictPod) health(ctx context.Context, c *Client, r *Receipt) (Health, error) {
	return c.podHealth(ctx, r)
}

// eviction is the API server's answer to one request to evict.
type eviction struct {
	// gone is set where the pod was no longer there.
	gone bool
	// blocked says why not now, and wait when to ask again.
	blocked string
	wait    time.Duration
}

// evict asks once, without client-go's own repetitions: between two of them the world must be looked at.
func (c *Client) evict(ctx context.Context, o Object, grace *int64, dryRun bool) (eviction, error) {
	options := &metav1.DeleteOptions{Preconditions: preconditions(o.UID, ""), GracePeriodSeconds: grace}
	request := c.typed.CoreV1().RESTClient().Post().Namespace(o.Namespace).Resource("pods").Name(o.Name).SubResource("eviction").MaxRetries(0)
	if dryRun {
		options.DryRun = []string{metav1.DryRunAll}
		request = request.Param("dryRun", metav1.DryRunAll)
	}
	err := request.Body(&policyv1.Eviction{
		TypeMeta:   metav1.TypeMeta{APIVersion: "policy/v1", Kind: "Eviction"},
		ObjectMeta: metav1.ObjectMeta{Namespace: o.Namespace, Name: o.Name}, DeleteOptions: options,
	}).Do(ctx).Error()
	switch {
	case err == nil:
		return eviction{}, nil
	case apierrors.IsNotFound(err):
		return eviction{gone: true}, nil
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return eviction{blocked: "its namespace is being deleted, and the pod with it", wait: time.Second}, nil
	case apierrors.IsConflict(err):
		return eviction{}, refuse(ReasonTargetChanged, "%s is no longer the one that was planned for: %w", o, err)
	case apierrors.IsTooManyRequests(err):
		pause := evictPause
		if seconds, ok := apierrors.SuggestsClientDelay(err); ok && seconds > 0 {
			pause = time.Duration(seconds) * time.Second
		}
		return eviction{blocked: budgetSays(err), wait: pause}, nil
	case apierrors.IsInternalError(err) && strings.Contains(err.Error(), "more than one PodDisruptionBudget"):
		return eviction{}, refuse(ReasonDisruption, "%s has more than one PodDisruptionBudget, so that it can never be evicted; leave it one", o)
	}
	return eviction{}, c.explain(err, o, "create")
}

// budgetSays gives the budget's own words, which the message of a 429 does not hold.
func budgetSays(err error) string {
	text := err.Error()
	var status apierrors.APIStatus
	if errors.As(err, &status) && status.Status().Details != nil {
		for _, cause := range status.Status().Details.Causes {
			text += " " + cause.Message
		}
	}
	return clean(text, 512)
}

// tryEvictions lets the API server judge evictions without carrying them out. A budget that is spent now is only noted,
// because it may not be when the eviction is asked for.
func (c *Client) tryEvictions(ctx context.Context, p *Plan, pods []Object, grace *int64) error {
	for _, pod := range pods {
		answer, err := c.evict(ctx, pod, grace, true)
		if err != nil {
			return err
		}
		if answer.blocked != "" {
			p.noted("disruption_budget", "%s cannot be evicted now: %s", pod, answer.blocked)
		}
	}
	p.passed("dry_run", "the API server accepts the evictions, if not all at once")
	return nil
}
