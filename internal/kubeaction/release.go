package kubeaction

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Release takes back every isolation of ours of the workload that the incident names, and of its pods. It cannot be undone.
type Release struct{}

func (*Release) name() string    { return "release" }
func (*Release) class() Class    { return ClassNetwork }
func (*Release) validate() error { return nil }

func (*Release) needs() []permission {
	return append(workloadNeeds(nil), kindNetworkPolicy.permission("get", "list", "delete"), kindPod.permission("patch"))
}

// releaseData is what there is to release.
type releaseData struct {
	Policies []releasedPolicy `json:"policies"`
}

type releasedPolicy struct {
	Object Object `json:"object"`
	// Pod is the one that was isolated alone, and Key its label's value.
	Pod *Object `json:"pod,omitempty"`
	Key string  `json:"key"`
}

func (a *Release) plan(ctx context.Context, c *Client, p *Plan) error {
	u, err := c.resolve(ctx, p.Order, workloads...)
	if err != nil {
		return err
	}
	p.Target = objectOf(u)
	if err := c.describe(ctx, u, p); err != nil {
		return err
	}
	pods, err := c.podsOf(ctx, u)
	if err != nil {
		return err
	}
	policies, err := c.ourPolicies(ctx, p.Target.Namespace)
	if err != nil {
		return err
	}
	var data releaseData
	var names []string
	for i := range policies {
		released := releasedPolicy{Key: policies[i].Annotations[annotationIntent], Object: policyReceipt(&policies[i]).Objects[0]}
		switch isolated := policies[i].Annotations[annotationIsolates]; {
		case isolated == p.Target.UID:
		case findPod(pods, isolated) != nil:
			pod := podObject(findPod(pods, isolated))
			released.Pod = &pod
		default:
			continue
		}
		data.Policies = append(data.Policies, released)
		p.Objects = append(p.Objects, released.Object)
		names = append(names, released.Object.Name)
	}
	if p.Data, err = json.Marshal(data); err != nil {
		return err
	}
	if len(data.Policies) == 0 {
		p.NoOp, p.Summary = true, fmt.Sprintf("Nothing: %s is not isolated by us", p.Target)
		return nil
	}
	p.Weight = len(pods)
	p.Summary = fmt.Sprintf("Let traffic of %s through again: delete NetworkPolicy %s", p.Target, strings.Join(names, ", "))
	p.Commands = []string{fmt.Sprintf("kubectl -n %s delete networkpolicy %s", p.Target.Namespace, strings.Join(names, " "))}
	for _, released := range data.Policies {
		err := c.typed.NetworkingV1().NetworkPolicies(p.Target.Namespace).Delete(ctx, released.Object.Name, metav1.DeleteOptions{
			DryRun: []string{metav1.DryRunAll}, Preconditions: preconditions(released.Object.UID, ""),
		})
		if err != nil {
			return c.explain(err, released.Object, "delete")
		}
	}
	p.passed("dry_run", "the API server accepts the deletion")
	return nil
}

func findPod(pods []corev1.Pod, uid string) *corev1.Pod {
	for i := range pods {
		if string(pods[i].UID) == uid {
			return &pods[i]
		}
	}
	return nil
}

func (*Release) apply(ctx context.Context, c *Client, p *Plan) (Receipt, error) {
	var data releaseData
	if err := decode(p.Data, &data); err != nil {
		return Receipt{}, err
	}
	r := p.nothing()
	for _, released := range data.Policies {
		deleted, err := c.deletePolicy(ctx, released.Object)
		if err != nil {
			return Receipt{}, err
		}
		r.NoOp = r.NoOp && !deleted
		if released.Pod == nil {
			continue
		}
		if err := c.unlabel(ctx, *released.Pod, released.Key); err != nil {
			return Receipt{}, err
		}
	}
	return r, nil
}

func (*Release) undo(_ context.Context, _ *Client, r *Receipt) (Receipt, error) {
	return Receipt{}, refuse(ReasonUnsupported, "a release is not taken back; isolate again if that is wanted")
}

// health says whether the policies are gone.
func (*Release) health(ctx context.Context, c *Client, r *Receipt) (Health, error) {
	for _, object := range r.Objects {
		if object.Kind != kindNetworkPolicy.name {
			continue
		}
		var refusal *Refusal
		if _, err := c.get(ctx, object); !errors.As(err, &refusal) {
			return Health{Detail: fmt.Sprintf("%s is still there", object)}, err
		}
	}
	return Health{Ready: true, Detail: "no isolation of ours is left"}, nil
}
