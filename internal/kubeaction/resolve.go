package kubeaction

import (
	"context"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"
)

// maxOwners is how far up a chain of owners is followed; the longest in use (Pod, Job, CronJob) has three links.
const maxOwners = 4

// checkPlace refuses an order outside its scope or where nothing may be touched. It needs no request.
func (c *Client) checkPlace(order Order) error {
	s := order.Subject
	if err := c.checkCluster(s); err != nil {
		return err
	}
	if s.Namespace == "" {
		return refuse(ReasonTargetMissing, "the incident's cause does not say in which namespace it is; add k8s.namespace.name to its resource or name the target in the playbook")
	}
	if err := checkNames(s); err != nil {
		return err
	}
	return c.checkNamespace(order.Scope, s.Namespace)
}

// checkNames refuses what cannot be the name of an object: it comes from telemetry and goes into the path of requests.
func checkNames(s Subject) error {
	for _, part := range []struct{ what, name string }{{"namespace", s.Namespace}, {"workload", s.Name}, {"pod", s.Pod}} {
		if part.name != "" && len(validation.IsDNS1123Subdomain(part.name)) > 0 {
			return refuse(ReasonTargetMissing, "the incident's cause has %q as the name of its %s, which no object can have", clean(part.name, 64), part.what)
		}
	}
	if s.Kind != "" && s.Name == "" {
		return refuse(ReasonTargetMissing, "the incident's cause is a %s without a name", clean(s.Kind, 64))
	}
	return nil
}

func (c *Client) checkCluster(s Subject) error {
	switch {
	case s.Cluster == "" || s.Cluster == c.settings.Cluster:
		return nil
	case c.settings.Cluster == "":
		return refuse(ReasonOutOfScope, "the incident is in cluster %q, and the setting cluster does not say which one this is", clean(s.Cluster, 128))
	default:
		return refuse(ReasonOutOfScope, "the incident is in cluster %q, this is %q", clean(s.Cluster, 128), c.settings.Cluster)
	}
}

func (c *Client) checkNamespace(scope Scope, namespace string) error {
	if namespace == c.settings.Namespace {
		return refuse(ReasonProtected, "namespace %q holds ourselves; run the collector in a namespace of its own to act on others of this one", namespace)
	}
	if slices.Contains(c.settings.ProtectedNamespaces, namespace) {
		return refuse(ReasonProtected, "namespace %q is in protected_namespaces", namespace)
	}
	if !slices.Contains(scope.Namespaces, namespace) {
		return refuse(ReasonOutOfScope, "namespace %q is not in the playbook's scope; add it to namespaces to allow it", clean(namespace, 64))
	}
	return nil
}

// resolve finds the object of one of the wanted kinds that the order is about: by kind and name, or as the owner of the
// pod. It refuses what is out of scope, is protected or has changed since the incident was seen.
func (c *Client) resolve(ctx context.Context, order Order, wanted ...kind) (*unstructured.Unstructured, error) {
	if err := c.checkPlace(order); err != nil {
		return nil, err
	}
	selector, err := labels.Parse(order.Scope.Selector)
	if err != nil {
		return nil, refuse(ReasonOutOfScope, "selector of the scope must be a label selector: %w", err)
	}
	found, err := c.find(ctx, order.Subject)
	if err != nil {
		return nil, err
	}
	object := objectOf(found)
	if !slices.ContainsFunc(wanted, func(k kind) bool {
		return k.name == found.GetKind() && k.resource.Group == found.GroupVersionKind().Group
	}) {
		return nil, refuse(ReasonUnsupported, "%s is not of a kind that %s acts on", object, order.Step.Name())
	}
	if found.GetDeletionTimestamp() != nil {
		return nil, refuse(ReasonTargetChanged, "%s is being deleted", object)
	}
	if !selector.Matches(labels.Set(found.GetLabels())) {
		return nil, refuse(ReasonOutOfScope, "the labels of %s do not match the scope's selector %q", object, order.Scope.Selector)
	}
	return found, nil
}

func (c *Client) find(ctx context.Context, s Subject) (*unstructured.Unstructured, error) {
	if s.Kind == "" && s.Pod == "" {
		return nil, refuse(ReasonTargetMissing, "the incident's cause names neither a workload nor a pod; add k8s.deployment.name or the like to its resource or name the target in the playbook")
	}
	var named *unstructured.Unstructured
	if s.Kind != "" {
		k, ok := findKind(s.Kind, "")
		if !ok {
			return nil, refuse(ReasonUnsupported, "kind %q is not known here", clean(s.Kind, 64))
		}
		var err error
		if named, err = c.get(ctx, Object{APIVersion: k.apiVersion(), Kind: k.name, Namespace: s.Namespace, Name: s.Name}); err != nil {
			return nil, err
		}
		if s.Pod == "" || s.PodUID == "" {
			return named, nil
		}
	}
	owner, err := c.ownerOfPod(ctx, s)
	if err != nil {
		return nil, err
	}
	if named != nil && named.GetUID() != owner.GetUID() {
		return nil, refuse(ReasonTargetChanged, "pod %s/%s belongs to %s, not to %s as the incident has it", s.Namespace, s.Pod, objectOf(owner), objectOf(named))
	}
	return owner, nil
}

// ownerOfPod follows the chain of controllers up from the pod, as far as the kinds are known.
func (c *Client) ownerOfPod(ctx context.Context, s Subject) (*unstructured.Unstructured, error) {
	object := Object{APIVersion: kindPod.apiVersion(), Kind: kindPod.name, Namespace: s.Namespace, Name: s.Pod}
	current, err := c.dynamic.Resource(kindPod.resource).Namespace(s.Namespace).Get(ctx, s.Pod, metav1.GetOptions{})
	if apierrors.IsNotFound(err) && s.PodUID != "" {
		return nil, refuse(ReasonTargetChanged, "%s with UID %s is gone; what the incident saw is no longer there", object, clean(s.PodUID, 64))
	}
	if err != nil {
		return nil, c.explain(err, object, "get")
	}
	if s.PodUID != "" && string(current.GetUID()) != s.PodUID {
		return nil, refuse(ReasonTargetChanged, "%s was deleted and made anew: its UID is %s, not %s", object, current.GetUID(), clean(s.PodUID, 64))
	}
	for range maxOwners {
		ref := metav1.GetControllerOfNoCopy(current)
		if ref == nil {
			break
		}
		k, known := findKind(ref.Kind, ref.APIVersion)
		if !known {
			break
		}
		current, err = c.get(ctx, Object{APIVersion: k.apiVersion(), Kind: k.name, Namespace: s.Namespace, Name: ref.Name, UID: string(ref.UID)})
		if err != nil {
			return nil, err
		}
	}
	if current.GetKind() == kindPod.name {
		return nil, refuse(ReasonUnsupported, "%s has no workload as its owner", object)
	}
	return current, nil
}
