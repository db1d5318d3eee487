package kubeaction

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func policyObject(namespace, name string) Object {
	return Object{APIVersion: kindNetworkPolicy.apiVersion(), Kind: kindNetworkPolicy.name, Namespace: namespace, Name: name}
}

func dnsPorts() []networkingv1.NetworkPolicyPort {
	udp, tcp, port := corev1.ProtocolUDP, corev1.ProtocolTCP, intstr.FromInt32(53)
	return []networkingv1.NetworkPolicyPort{{Protocol: &udp, Port: &port}, {Protocol: &tcp, Port: &port}}
}

// policy is the policy of a plan.
func (c *Client) policy(p *Plan, data isolateData) *networkingv1.NetworkPolicy {
	return &networkingv1.NetworkPolicy{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: p.Target.Namespace, Name: data.Policy,
			Labels: map[string]string{labelManagedBy: managedBy},
			Annotations: map[string]string{
				annotationIntent: p.key(), annotationIncident: clean(p.Order.Incident, 128), annotationIsolates: p.Target.UID,
				annotationExpires: c.now().Add(data.ExpiresIn).UTC().Format(time.RFC3339),
			},
		},
		Spec: data.Spec,
	}
}

// isolation is what has to be known to release it.
type isolation struct {
	// Pod is the one that has our label, if any.
	Pod *Object `json:"pod,omitempty"`
}

// checkPolicies refuses to isolate pods to which another policy would still let traffic through.
func (c *Client) checkPolicies(ctx context.Context, p *Plan, data isolateData, matched labels.Set) error {
	for options := (metav1.ListOptions{Limit: pageSize}); ; {
		list, err := c.typed.NetworkingV1().NetworkPolicies(p.Target.Namespace).List(ctx, options)
		if err != nil {
			return c.explain(err, policyObject(p.Target.Namespace, "*"), "list")
		}
		for i := range list.Items {
			policy := &list.Items[i]
			if policy.Name == data.Policy && policy.Annotations[annotationIntent] == p.key() {
				p.NoOp, p.Summary = true, fmt.Sprintf("Nothing: this intent has already isolated %s", p.Target)
				return nil
			}
			selector, err := metav1.LabelSelectorAsSelector(&policy.Spec.PodSelector)
			if err != nil || !selector.Matches(matched) {
				continue
			}
			if policy.Annotations[annotationIsolates] == p.Target.UID {
				return refuse(ReasonTargetChanged, "%s is isolated already, by NetworkPolicy %s; release it first", p.Target, policy.Name)
			}
			for _, direction := range data.Spec.PolicyTypes {
				if allows(policy, direction) {
					return refuse(ReasonUnsupported, "NetworkPolicy %s/%s lets %s traffic of %s through whatever another one says, so isolating would not isolate; change that policy",
						policy.Namespace, policy.Name, direction, p.Target)
				}
			}
		}
		if options.Continue = list.Continue; options.Continue == "" {
			p.passed("policies", "no other NetworkPolicy lets this traffic through")
			return nil
		}
	}
}

func allows(policy *networkingv1.NetworkPolicy, direction networkingv1.PolicyType) bool {
	if direction == networkingv1.PolicyTypeIngress {
		return len(policy.Spec.Ingress) > 0
	}
	return len(policy.Spec.Egress) > 0
}

func (*Isolate) apply(ctx context.Context, c *Client, p *Plan) (Receipt, error) {
	if p.NoOp && len(p.Data) == 0 {
		return p.nothing(), nil
	}
	var data isolateData
	if err := decode(p.Data, &data); err != nil {
		return Receipt{}, err
	}
	target, err := c.get(ctx, p.Target)
	if err != nil {
		return Receipt{}, err
	}
	if target.GetAnnotations()[annotationUndone] == p.Key {
		return Receipt{Objects: p.Objects, NoOp: true, Summary: "Nothing: it was taken back"}, nil
	}
	object := policyObject(p.Target.Namespace, data.Policy)
	policies := c.typed.NetworkingV1().NetworkPolicies(p.Target.Namespace)
	made, err := policies.Create(ctx, c.policy(p, data), metav1.CreateOptions{FieldManager: c.settings.FieldManager})
	repeated := apierrors.IsAlreadyExists(err)
	if repeated {
		if made, err = policies.Get(ctx, data.Policy, metav1.GetOptions{}); err == nil && made.Annotations[annotationIntent] != p.Key {
			return Receipt{}, refuse(ReasonTargetChanged, "%s exists and is not of this order", object)
		}
	}
	if err != nil {
		return Receipt{}, c.explain(err, object, "create")
	}
	r := policyReceipt(made)
	r.Summary, r.NoOp = p.Summary, repeated
	if !data.LabelOnPod {
		return r, nil
	}
	labelled, err := c.write(ctx, isolatedLabel(p))
	if err != nil {
		return Receipt{}, err
	}
	r.NoOp = repeated && labelled.repeated
	r.Undo, err = json.Marshal(isolation{Pod: &p.Target})
	return r, err
}

// policyReceipt is that of an isolation, as far as the policy tells.
func policyReceipt(policy *networkingv1.NetworkPolicy) Receipt {
	object := policyObject(policy.Namespace, policy.Name)
	object.UID, object.ResourceVersion = string(policy.UID), policy.ResourceVersion
	r := Receipt{Key: policy.Annotations[annotationIntent], Action: (*Isolate)(nil).name(), Objects: []Object{object}}
	r.Undo, _ = json.Marshal(isolation{})
	return r
}

func (*Isolate) undo(ctx context.Context, c *Client, r *Receipt) (Receipt, error) {
	var data isolation
	if err := decode(r.Undo, &data); err != nil {
		return Receipt{}, err
	}
	deleted, err := c.deletePolicy(ctx, r.Objects[0])
	if err != nil {
		return Receipt{}, err
	}
	if data.Pod != nil {
		if err := c.unlabel(ctx, *data.Pod, r.Key); err != nil {
			return Receipt{}, err
		}
	}
	return Receipt{Objects: r.Objects, NoOp: !deleted, Summary: fmt.Sprintf("Delete %s", r.Objects[0])}, nil
}

// deletePolicy deletes exactly this policy, and tells whether it was there.
func (c *Client) deletePolicy(ctx context.Context, o Object) (bool, error) {
	err := c.typed.NetworkingV1().NetworkPolicies(o.Namespace).Delete(ctx, o.Name, metav1.DeleteOptions{Preconditions: preconditions(o.UID, "")})
	switch {
	case apierrors.IsNotFound(err), apierrors.IsConflict(err):
		// Gone, or another one of the same name, which is not ours to delete.
		return false, nil
	case err != nil:
		return false, c.explain(err, o, "delete")
	}
	return true, nil
}

// unlabel takes our label off a pod. One that is gone needs nothing.
func (c *Client) unlabel(ctx context.Context, pod Object, key string) error {
	_, err := c.write(ctx, change{
		object: pod, key: key, mark: annotationUndone,
		patch: func(u *unstructured.Unstructured) (fields, error) {
			if u.GetLabels()[labelIsolated] != key {
				return nil, nil
			}
			return nest(nil, "metadata", "labels", labelIsolated), nil
		},
	})
	if refusal := (*Refusal)(nil); errors.As(err, &refusal) && (refusal.Reason == ReasonTargetChanged || refusal.Reason == ReasonTargetMissing) {
		return nil
	}
	return err
}

func (*Isolate) health(ctx context.Context, c *Client, r *Receipt) (Health, error) {
	object := r.Objects[0]
	policy, err := c.typed.NetworkingV1().NetworkPolicies(object.Namespace).Get(ctx, object.Name, metav1.GetOptions{})
	gone := apierrors.IsNotFound(err)
	if err != nil && !gone {
		return Health{}, c.explain(err, object, "get")
	}
	if gone || string(policy.UID) != object.UID {
		return Health{Failed: true, Detail: fmt.Sprintf("%s is gone", object)}, nil
	}
	return Health{Ready: true, Detail: fmt.Sprintf("%s is there until %s", object, policy.Annotations[annotationExpires])}, nil
}

// ourPolicies lists the isolations of ours in a namespace.
func (c *Client) ourPolicies(ctx context.Context, namespace string) ([]networkingv1.NetworkPolicy, error) {
	var ours []networkingv1.NetworkPolicy
	options := metav1.ListOptions{LabelSelector: labels.Set{labelManagedBy: managedBy}.String(), Limit: pageSize}
	for {
		list, err := c.typed.NetworkingV1().NetworkPolicies(namespace).List(ctx, options)
		if err != nil {
			return nil, c.explain(err, policyObject(namespace, "*"), "list")
		}
		for i := range list.Items {
			if list.Items[i].Annotations[annotationIsolates] != "" {
				ours = append(ours, list.Items[i])
			}
		}
		if options.Continue = list.Continue; options.Continue == "" {
			return ours, nil
		}
	}
}
