package kubeaction

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
)

const (
	// annotationIsolates is, on a NetworkPolicy of ours, the UID of the workload or pod that it isolates.
	annotationIsolates = "paramedic.io/isolates"
	// annotationExpires is, on a NetworkPolicy of ours, when it should be released at the latest.
	annotationExpires = "paramedic.io/expires"
	// labelIsolated is on a pod that is isolated alone; its value is the order's idempotency key.
	labelIsolated = "paramedic.io/isolated"

	defaultIsolation = time.Hour
	maxIsolation     = 24 * time.Hour
	maxAllowed       = 20
)

// Direction of traffic, as a NetworkPolicy sees it.
type Direction string

// The directions.
const (
	Ingress Direction = "ingress"
	Egress  Direction = "egress"
)

// Isolate cuts a workload, or one pod, off with a NetworkPolicy. It is refused where other policies would still let traffic
// through: policies only ever add to what is allowed. Whether the cluster's network enforces policies cannot be seen from
// the API. Undo, or [Release], deletes the policy.
type Isolate struct {
	// Pod isolates only the pod that the incident names, by a label that it is given; else it is the whole workload.
	Pod bool `mapstructure:"pod"`
	// Directions are those that are cut; ingress alone if empty.
	Directions []Direction `mapstructure:"directions"`
	// AllowNamespaces and AllowCIDRs are peers that are not cut off, at most 20 each. Asking DNS is always allowed.
	AllowNamespaces []string `mapstructure:"allow_namespaces"`
	AllowCIDRs      []string `mapstructure:"allow_cidrs"`
	// ExpiresAfter is after what time it should be released, 1 min to 24 h; 0 for 1 h.
	ExpiresAfter time.Duration `mapstructure:"expires_after"`
}

func (*Isolate) name() string { return "isolate" }
func (*Isolate) class() Class { return ClassNetwork }

func (a *Isolate) validate() error {
	var errs []error
	for i, d := range a.Directions {
		if d != Ingress && d != Egress || slices.Contains(a.Directions[:i], d) {
			errs = append(errs, fmt.Errorf("directions must be of ingress and egress, each once, got %q", d))
		}
	}
	if len(a.AllowNamespaces) > maxAllowed || len(a.AllowCIDRs) > maxAllowed {
		errs = append(errs, fmt.Errorf("allow_namespaces and allow_cidrs must be at most %d each, got %d and %d", maxAllowed, len(a.AllowNamespaces), len(a.AllowCIDRs)))
	}
	for _, ns := range a.AllowNamespaces {
		if msgs := validation.ValidateNamespaceName(ns, false); len(msgs) > 0 {
			errs = append(errs, fmt.Errorf("allow_namespaces must be names of namespaces, got %q: %s", ns, strings.Join(msgs, "; ")))
		}
	}
	for _, cidr := range a.AllowCIDRs {
		if prefix, err := netip.ParsePrefix(cidr); err != nil || prefix.Masked() != prefix {
			errs = append(errs, fmt.Errorf("allow_cidrs must be networks such as 10.1.0.0/16, got %q", cidr))
		}
	}
	if a.ExpiresAfter != 0 && (a.ExpiresAfter < time.Minute || a.ExpiresAfter > maxIsolation) {
		errs = append(errs, fmt.Errorf("expires_after must be 0 (%s) or between 1m and %s, got %s", defaultIsolation, maxIsolation, a.ExpiresAfter))
	}
	return errors.Join(errs...)
}

func (a *Isolate) needs() []permission {
	needs := append(workloadNeeds(nil), kindNetworkPolicy.permission("get", "list", "create", "delete"))
	if a.Pod {
		needs = append(needs, podNeeds()...)
		needs = append(needs, kindPod.permission("patch"))
	}
	return needs
}

// isolateData is what the policy is made of.
type isolateData struct {
	Policy     string                         `json:"policy"`
	Spec       networkingv1.NetworkPolicySpec `json:"spec"`
	ExpiresIn  time.Duration                  `json:"expires_in"`
	LabelOnPod bool                           `json:"label_on_pod,omitempty"`
}

func (a *Isolate) plan(ctx context.Context, c *Client, p *Plan) error {
	var (
		data    = isolateData{ExpiresIn: cmp.Or(a.ExpiresAfter, defaultIsolation), LabelOnPod: a.Pod}
		matched labels.Set
		err     error
	)
	if a.Pod {
		matched, err = a.planPod(ctx, c, p, &data)
	} else {
		matched, err = a.planWorkload(ctx, c, p, &data)
	}
	if err != nil {
		return err
	}
	if p.NoOp {
		p.Data = nil
		return nil
	}
	p.Destructive, p.Undoable = true, true
	data.Policy = "paramedic-isolate-" + p.key()[:20]
	a.fill(&data.Spec)
	if p.Data, err = json.Marshal(data); err != nil {
		return err
	}
	p.Summary = fmt.Sprintf("Cut %s off (%s), for %s at most", p.Target, joinTypes(data.Spec.PolicyTypes), data.ExpiresIn)
	p.Commands = []string{
		fmt.Sprintf("kubectl -n %s describe networkpolicy %s", p.Target.Namespace, data.Policy),
		fmt.Sprintf("kubectl -n %s delete networkpolicy %s # takes it back", p.Target.Namespace, data.Policy),
	}
	if err := c.checkPolicies(ctx, p, data, matched); err != nil || p.NoOp {
		return err
	}
	_, err = c.typed.NetworkingV1().NetworkPolicies(p.Target.Namespace).Create(ctx, c.policy(p, data), metav1.CreateOptions{
		DryRun: []string{metav1.DryRunAll}, FieldManager: c.settings.FieldManager,
	})
	if err != nil {
		return c.explain(err, policyObject(p.Target.Namespace, data.Policy), "create")
	}
	p.passed("dry_run", "the API server accepts the policy; whether the network enforces it cannot be seen")
	if a.Pod {
		return c.try(ctx, p, isolatedLabel(p))
	}
	return nil
}

// isolatedLabel gives the pod the label that the policy selects.
func isolatedLabel(p *Plan) change {
	return p.change(p.Target, func(*unstructured.Unstructured) (fields, error) {
		return nest(p.key(), "metadata", "labels", labelIsolated), nil
	})
}

// planPod selects one pod by a label of its own.
func (a *Isolate) planPod(ctx context.Context, c *Client, p *Plan, data *isolateData) (labels.Set, error) {
	pod, err := c.planPod(ctx, p, podData{})
	if err != nil || p.NoOp {
		return nil, err
	}
	data.Spec.PodSelector = metav1.LabelSelector{MatchLabels: map[string]string{labelIsolated: p.key()}}
	if on := pod.Labels[labelIsolated]; on != "" && on != p.key() {
		return nil, refuse(ReasonTargetChanged, "%s is isolated already; release it first", p.Target)
	}
	return pod.Labels, nil
}

// planWorkload selects the pods as the workload itself does.
func (a *Isolate) planWorkload(ctx context.Context, c *Client, p *Plan, data *isolateData) (labels.Set, error) {
	u, err := c.resolve(ctx, p.Order, workloads...)
	if err != nil {
		return nil, err
	}
	p.Target = objectOf(u)
	if err := c.describe(ctx, u, p); err != nil {
		return nil, err
	}
	raw, found, _ := unstructured.NestedMap(u.Object, "spec", "selector")
	if !found || len(raw) == 0 {
		return nil, refuse(ReasonUnsupported, "%s has no selector of its own", p.Target)
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(raw, &data.Spec.PodSelector); err != nil {
		return nil, refuse(ReasonUnsupported, "the selector of %s cannot be read: %w", p.Target, err)
	}
	pods, err := c.podsOf(ctx, u)
	if err != nil {
		return nil, err
	}
	ours := map[string]bool{p.Target.UID: true}
	err = c.eachOwned(ctx, kindReplicaSet, u, func(rs *unstructured.Unstructured) error {
		ours[string(rs.GetUID())] = true
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i := range pods {
		if controller := metav1.GetControllerOfNoCopy(&pods[i]); controller == nil || !ours[string(controller.UID)] {
			return nil, refuse(ReasonOutOfScope, "the selector of %s also matches %s, which is not its own", p.Target, podObject(&pods[i]))
		}
	}
	p.Weight = len(pods)
	template, _, _ := unstructured.NestedStringMap(u.Object, "spec", "template", "metadata", "labels")
	return template, nil
}

// fill sets what the policy allows.
func (a *Isolate) fill(spec *networkingv1.NetworkPolicySpec) {
	var peers []networkingv1.NetworkPolicyPeer
	for _, ns := range a.AllowNamespaces {
		peers = append(peers, networkingv1.NetworkPolicyPeer{NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": ns}}})
	}
	for _, cidr := range a.AllowCIDRs {
		peers = append(peers, networkingv1.NetworkPolicyPeer{IPBlock: &networkingv1.IPBlock{CIDR: cidr}})
	}
	if len(a.Directions) == 0 || slices.Contains(a.Directions, Ingress) {
		spec.PolicyTypes = append(spec.PolicyTypes, networkingv1.PolicyTypeIngress)
		if len(peers) > 0 {
			spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{From: peers}}
		}
	}
	if slices.Contains(a.Directions, Egress) {
		spec.PolicyTypes = append(spec.PolicyTypes, networkingv1.PolicyTypeEgress)
		spec.Egress = []networkingv1.NetworkPolicyEgressRule{{Ports: dnsPorts()}}
		if len(peers) > 0 {
			spec.Egress = append(spec.Egress, networkingv1.NetworkPolicyEgressRule{To: peers})
		}
	}
}

func joinTypes(types []networkingv1.PolicyType) string {
	var names []string
	for _, t := range types {
		names = append(names, strings.ToLower(string(t)))
	}
	return strings.Join(names, " and ")
}

// Expired gives a receipt for each isolation of ours in the namespaces of the scope that should have been released by now;
// [Client.Undo] releases it.
func (c *Client) Expired(ctx context.Context, scope Scope) ([]Receipt, error) {
	var expired []Receipt
	for _, namespace := range scope.Namespaces {
		policies, err := c.ourPolicies(ctx, namespace)
		if err != nil {
			return nil, err
		}
		for i := range policies {
			at, err := time.Parse(time.RFC3339, policies[i].Annotations[annotationExpires])
			if err != nil || c.now().Before(at) {
				continue
			}
			r := policyReceipt(&policies[i])
			r.At, r.Summary = policies[i].CreationTimestamp.UTC(), fmt.Sprintf("%s expired at %s", r.Objects[0], at.Format(time.RFC3339))
			pods, err := c.typed.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: labels.Set{labelIsolated: r.Key}.String(), Limit: pageSize})
			if err != nil {
				return nil, c.explain(err, Object{APIVersion: "v1", Kind: kindPod.name, Namespace: namespace, Name: "*"}, "list")
			}
			if len(pods.Items) > 0 {
				pod := podObject(&pods.Items[0])
				if r.Undo, err = json.Marshal(isolation{Pod: &pod}); err != nil {
					return nil, err
				}
			}
			expired = append(expired, r)
		}
	}
	return expired, nil
}
