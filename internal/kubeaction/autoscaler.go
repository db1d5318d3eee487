package kubeaction

import (
	"context"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// kedaPaused and kedaPausedReplicas, on a ScaledObject, make KEDA hold the workload as it is or at that many pods.
const (
	kedaPaused         = "autoscaling.keda.sh/paused"
	kedaPausedReplicas = "autoscaling.keda.sh/paused-replicas"
)

// autoscalers are who else sets a workload's number of pods.
type autoscalers struct {
	hpa, scaledObject *unstructured.Unstructured // nil if none
}

var autoscalerNeeds = []permission{kindHPA.permission("list"), kindScaledObject.optional("get", "list")}

// autoscalersOf finds who scales the workload. A HorizontalPodAutoscaler that belongs to anything but a ScaledObject is
// reported by respect when it is written.
func (c *Client) autoscalersOf(ctx context.Context, u *unstructured.Unstructured) (autoscalers, error) {
	var found autoscalers
	var names []string
	err := c.each(ctx, kindHPA, u.GetNamespace(), "", func(hpa *unstructured.Unstructured) error {
		if scales(hpa, u) {
			found.hpa = hpa
			names = append(names, hpa.GetName())
		}
		return nil
	})
	if err != nil {
		return found, err
	}
	if len(names) > 1 {
		slices.Sort(names)
		return found, refuse(ReasonOwner, "%s is scaled by several autoscalers (%s), which fight already; leave it only one", objectOf(u), strings.Join(names, ", "))
	}
	if found.hpa != nil {
		if ref := metav1.GetControllerOfNoCopy(found.hpa); ref != nil && ref.Kind == kindScaledObject.name {
			found.scaledObject, err = c.get(ctx, Object{
				APIVersion: kindScaledObject.apiVersion(), Kind: ref.Kind, Namespace: u.GetNamespace(), Name: ref.Name, UID: string(ref.UID),
			})
		}
		return found, err
	}
	// KEDA removes the autoscaler while it is paused or at zero.
	err = c.each(ctx, kindScaledObject, u.GetNamespace(), "", func(so *unstructured.Unstructured) error {
		if scales(so, u) {
			found.scaledObject = so
		}
		return nil
	})
	if absent(kindScaledObject, err) {
		err = nil
	}
	return found, err
}

// scales reads scaleTargetRef; KEDA's defaults are a Deployment and its group.
func scales(scaler, u *unstructured.Unstructured) bool {
	ref := func(name string) string { return stringAt(scaler, "spec", "scaleTargetRef", name) }
	kind, group := ref("kind"), "apps"
	if kind == "" {
		kind = kindDeployment.name
	}
	if version := ref("apiVersion"); version != "" {
		gv, err := schema.ParseGroupVersion(version)
		if err != nil {
			return false
		}
		group = gv.Group
	}
	return ref("name") == u.GetName() && kind == u.GetKind() && group == u.GroupVersionKind().Group
}

// paused says how KEDA was told to stand still; empty if it was not.
func paused(so *unstructured.Unstructured) string {
	notes := so.GetAnnotations()
	if n, ok := notes[kedaPausedReplicas]; ok {
		return kedaPausedReplicas + "=" + clean(n, 16)
	}
	if v, ok := notes[kedaPaused]; ok && v != "false" {
		return kedaPaused + "=" + clean(v, 16)
	}
	return ""
}
