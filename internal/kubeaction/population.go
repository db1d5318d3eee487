package kubeaction

import (
	"context"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/ptr"
)

// maxParallel bounds how many lists are asked for at once.
const maxParallel = 8

// countPopulation sets how many pods of workloads a rule with this scope could disturb, and how many of them are ready.
func (c *Client) countPopulation(ctx context.Context, p *Plan) error {
	var population, healthy atomic.Int64
	count := func(desired, total, ready int) {
		population.Add(int64(max(desired, total)))
		healthy.Add(int64(ready))
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(maxParallel)
	for _, namespace := range p.Order.Scope.Namespaces {
		for _, k := range workloads {
			group.Go(func() error {
				err := c.count(ctx, k, namespace, p.Order.Scope.Selector, count)
				if absent(k, err) {
					return nil
				}
				return err
			})
		}
	}
	err := group.Wait()
	p.Population, p.Healthy = int(population.Load()), int(healthy.Load())
	return err
}

// count tells of each workload of a kind how many pods it wants, has, and has ready. Kinds of the API server itself are read
// from its cache, in the encoding that is cheap to read: a count may be a moment old, and this is most of what is read before acting.
func (c *Client) count(ctx context.Context, k kind, namespace, selector string, tell func(desired, total, ready int)) error {
	options := metav1.ListOptions{LabelSelector: selector, ResourceVersion: "0"}
	var err error
	switch k {
	case kindDeployment:
		var list *appsv1.DeploymentList
		if list, err = c.typed.AppsV1().Deployments(namespace).List(ctx, options); err == nil {
			for i := range list.Items {
				w := &list.Items[i]
				tell(int(ptr.Deref(w.Spec.Replicas, 1)), int(w.Status.Replicas), int(w.Status.ReadyReplicas))
			}
		}
	case kindStatefulSet:
		var list *appsv1.StatefulSetList
		if list, err = c.typed.AppsV1().StatefulSets(namespace).List(ctx, options); err == nil {
			for i := range list.Items {
				w := &list.Items[i]
				tell(int(ptr.Deref(w.Spec.Replicas, 1)), int(w.Status.Replicas), int(w.Status.ReadyReplicas))
			}
		}
	case kindDaemonSet:
		var list *appsv1.DaemonSetList
		if list, err = c.typed.AppsV1().DaemonSets(namespace).List(ctx, options); err == nil {
			for i := range list.Items {
				w := &list.Items[i]
				tell(int(w.Status.DesiredNumberScheduled), int(w.Status.CurrentNumberScheduled), int(w.Status.NumberReady))
			}
		}
	default:
		return c.each(ctx, k, namespace, selector, func(u *unstructured.Unstructured) error {
			r := replicasOf(u)
			tell(r.desired, r.total, r.ready)
			return nil
		})
	}
	if err != nil {
		return c.explain(err, Object{APIVersion: k.apiVersion(), Kind: k.name, Namespace: namespace, Name: "*"}, "list")
	}
	return nil
}
