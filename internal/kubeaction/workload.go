package kubeaction

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// pageSize bounds one answer to a list request.
const pageSize = 500

// replicas are a workload's pods by number, as its controller last counted them.
type replicas struct {
	desired, total, ready, updated, available int
	// observed is set when the controller has seen the newest generation.
	observed bool
}

func replicasOf(u *unstructured.Unstructured) replicas {
	status := func(name string) int { return intAt(u, "status", name) }
	if u.GetKind() == kindDaemonSet.name {
		return replicas{
			desired: status("desiredNumberScheduled"), total: status("currentNumberScheduled"), ready: status("numberReady"),
			updated: status("updatedNumberScheduled"), available: status("numberAvailable"),
			observed: status("observedGeneration") >= int(u.GetGeneration()),
		}
	}
	return replicas{
		desired: desiredReplicas(u), total: status("replicas"), ready: status("readyReplicas"),
		updated: status("updatedReplicas"), available: status("availableReplicas"),
		observed: observedGeneration(u) >= u.GetGeneration(),
	}
}

// desiredReplicas is what the specification asks for; the API's default is 1.
func desiredReplicas(u *unstructured.Unstructured) int {
	if _, found, _ := unstructured.NestedFieldNoCopy(u.Object, "spec", "replicas"); !found {
		return 1
	}
	return intAt(u, "spec", "replicas")
}

// observedGeneration reads a Rollout's too, which is text.
func observedGeneration(u *unstructured.Unstructured) int64 {
	value, _, _ := unstructured.NestedFieldNoCopy(u.Object, "status", "observedGeneration")
	switch v := value.(type) {
	case int64:
		return v
	case string:
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil {
			return 0
		}
		return n
	default:
		return 0
	}
}

func intAt(u *unstructured.Unstructured, path ...string) int {
	n, _, _ := unstructured.NestedInt64(u.Object, path...)
	return int(n)
}

func stringAt(u *unstructured.Unstructured, path ...string) string {
	s, _, _ := unstructured.NestedString(u.Object, path...)
	return s
}

func boolAt(u *unstructured.Unstructured, path ...string) bool {
	b, _, _ := unstructured.NestedBool(u.Object, path...)
	return b
}

// checkCapacity refuses to disturb a workload of which too little is left.
func (c *Client) checkCapacity(u *unstructured.Unstructured, p *Plan) error {
	r := replicasOf(u)
	detail := fmt.Sprintf("%d of %d pods of %s are ready", r.ready, r.desired, objectOf(u))
	if r.ready > 0 && float64(r.ready) < c.settings.MinReady*float64(r.desired) {
		return refuse(ReasonCapacity, "%s, less than min_ready (%v); to disturb it could take the rest", detail, c.settings.MinReady)
	}
	if r.ready == 0 {
		detail += ", so there is nothing to lose"
	}
	p.passed("capacity", "%s", detail)
	return nil
}

// absent says that a kind which a cluster may lack is not there, or that we may not look.
func absent(k kind, err error) bool {
	var refusal *Refusal
	return !k.builtin() && errors.As(err, &refusal) && (refusal.Reason == ReasonTargetMissing || refusal.Reason == ReasonPermission)
}

// each calls f with every object of the kind that matches, in order of names.
func (c *Client) each(ctx context.Context, k kind, namespace, selector string, f func(*unstructured.Unstructured) error) error {
	options := metav1.ListOptions{LabelSelector: selector, Limit: pageSize}
	for {
		list, err := c.dynamic.Resource(k.resource).Namespace(namespace).List(ctx, options)
		if err != nil {
			what := Object{APIVersion: k.apiVersion(), Kind: k.name, Namespace: namespace, Name: "*"}
			if apierrors.IsResourceExpired(err) {
				return fmt.Errorf("list %s: it changed while it was read: %w", what, err)
			}
			return c.explain(err, what, "list")
		}
		for i := range list.Items {
			u := &list.Items[i]
			if u.GetKind() == "" {
				u.SetAPIVersion(k.apiVersion())
				u.SetKind(k.name)
			}
			if err := f(u); err != nil {
				return err
			}
		}
		if list.GetContinue() == "" {
			return nil
		}
		options.Continue = list.GetContinue()
	}
}

// passed records a check that was passed.
func (p *Plan) passed(name, format string, args ...any) {
	p.Checks = append(p.Checks, Check{Name: name, Passed: true, Detail: fmt.Sprintf(format, args...)})
}

// noted records something that speaks against acting, but not strongly enough.
func (p *Plan) noted(name, format string, args ...any) {
	p.Checks = append(p.Checks, Check{Name: name, Passed: false, Detail: fmt.Sprintf(format, args...)})
}

// criticality reads the tier of a workload from its label or annotation, or those of its pods.
func criticality(u *unstructured.Unstructured) string {
	const key = "service.criticality"
	for _, path := range [][]string{
		{"metadata", "labels", key},
		{"metadata", "annotations", key},
		{"spec", "template", "metadata", "labels", key},
		{"spec", "template", "metadata", "annotations", key},
	} {
		if value := stringAt(u, path...); value != "" {
			return clean(value, 64)
		}
	}
	return ""
}
