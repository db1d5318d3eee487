package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8slabels "k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	appslisters "k8s.io/client-go/listers/apps/v1"
	batchlisters "k8s.io/client-go/listers/batch/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	networkinglisters "k8s.io/client-go/listers/networking/v1"

	"github.com/paramedic-otel/paramedic/internal/shop"
)

// containerStart is how long a container that was killed takes until it is up again.
const containerStart = 4 * time.Second

// Shop is a simulation whose services run in a namespace. One goroutine at a time may use it.
type Shop struct {
	Namespace string
	// Simulation is the shop; its pods are those of the namespace.
	Simulation *shop.Simulation

	cluster  *Cluster
	services []shop.Service
	factory  informers.SharedInformerFactory
	stop     context.CancelFunc

	pods         corelisters.PodNamespaceLister
	maps         corelisters.ConfigMapNamespaceLister
	deployments  appslisters.DeploymentNamespaceLister
	statefulSets appslisters.StatefulSetNamespaceLister
	jobs         batchlisters.JobNamespaceLister
	policies     networkinglisters.NetworkPolicyNamespaceLister

	flushed  map[types.UID]bool // Jobs that have flushed the cache
	admitted string
	crashing map[string]crash // by the pod's UID
}

// crash is a container of which the API was told that it does not run.
type crash struct {
	reason   string
	restarts int64     // when it was told
	back     time.Time // when the container is up again
}

// Host makes the workloads of a shop in a namespace that exists, and waits until all of their pods are ready.
func (c *Cluster) Host(ctx context.Context, namespace string, simulation *shop.Simulation) (*Shop, error) {
	s := &Shop{
		Namespace: namespace, Simulation: simulation, cluster: c, services: shop.Services(),
		flushed: map[types.UID]bool{}, crashing: map[string]crash{}, admitted: "low",
	}
	for _, service := range s.services {
		var err error
		if service.Stateful {
			_, err = c.client.AppsV1().StatefulSets(namespace).Create(ctx, statefulSet(namespace, service), metav1.CreateOptions{})
		} else {
			_, err = c.client.AppsV1().Deployments(namespace).Create(ctx, deployment(namespace, service), metav1.CreateOptions{})
		}
		if err != nil {
			return nil, fmt.Errorf("make %s: %w", service.Name, err)
		}
	}
	if _, err := c.client.CoreV1().ConfigMaps(namespace).Create(ctx, admissionMap(namespace), metav1.CreateOptions{}); err != nil {
		return nil, fmt.Errorf("make the config map %s: %w", AdmissionMap, err)
	}
	if _, err := c.client.BatchV1().CronJobs(namespace).Create(ctx, flushJob(namespace), metav1.CreateOptions{}); err != nil {
		return nil, fmt.Errorf("make the cron job %s: %w", FlushJob, err)
	}
	if err := s.watch(ctx); err != nil {
		s.Close()
		return nil, err
	}
	err := Await(ctx, "the pods of the shop", func(context.Context) error { return s.complete() })
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, s.Sync(ctx)
}

// Close stops watching. The namespace stays.
func (s *Shop) Close() {
	s.stop()
	s.factory.Shutdown()
}

func (s *Shop) watch(ctx context.Context) error {
	ctx, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	f := informers.NewSharedInformerFactoryWithOptions(s.cluster.client, 0, informers.WithNamespace(s.Namespace))
	s.factory = f
	s.pods = f.Core().V1().Pods().Lister().Pods(s.Namespace)
	s.maps = f.Core().V1().ConfigMaps().Lister().ConfigMaps(s.Namespace)
	s.deployments = f.Apps().V1().Deployments().Lister().Deployments(s.Namespace)
	s.statefulSets = f.Apps().V1().StatefulSets().Lister().StatefulSets(s.Namespace)
	s.jobs = f.Batch().V1().Jobs().Lister().Jobs(s.Namespace)
	s.policies = f.Networking().V1().NetworkPolicies().Lister().NetworkPolicies(s.Namespace)
	f.Start(ctx.Done())
	for kind, synced := range f.WaitForCacheSync(ctx.Done()) {
		if !synced {
			return fmt.Errorf("watch %s: it was not listed", kind)
		}
	}
	return nil
}

// complete returns an error until every service has as many ready pods as it should.
func (s *Shop) complete() error {
	var errs []error
	for _, service := range s.services {
		w, err := s.workload(service)
		if err != nil {
			return err
		}
		ready := 0
		for _, p := range w.Pods {
			if p.Ready {
				ready++
			}
		}
		if ready < service.Replicas {
			errs = append(errs, fmt.Errorf("%s has %d ready pods of %d", service.Name, ready, service.Replicas))
		}
	}
	return errors.Join(errs...)
}

// Sync tells the simulation what the API knows, and the API what has become of containers. It is called between ticks.
func (s *Shop) Sync(ctx context.Context) error {
	if err := s.tellContainers(ctx); err != nil {
		return err
	}
	for _, service := range s.services {
		w, err := s.workload(service)
		if err != nil {
			return err
		}
		if err := s.Simulation.SetPods(service.Name, w); err != nil {
			return err
		}
	}
	if err := s.admission(); err != nil {
		return err
	}
	return s.flushes()
}

// workload is a service as the API knows it.
func (s *Shop) workload(service shop.Service) (shop.Workload, error) {
	w := shop.Workload{Version: service.Version}
	var pod *corev1.PodTemplateSpec
	var replicas *int32
	if service.Stateful {
		set, err := s.statefulSets.Get(service.Name)
		if err != nil {
			return w, err
		}
		pod, replicas = &set.Spec.Template, set.Spec.Replicas
	} else {
		d, err := s.deployments.Get(service.Name)
		if err != nil {
			return w, err
		}
		pod, replicas = &d.Spec.Template, d.Spec.Replicas
	}
	w.Version, w.Replicas = versionOf(&pod.Spec), int(*replicas)
	pods, err := s.pods.List(k8slabels.SelectorFromSet(labels(service.Name)))
	if err != nil {
		return w, err
	}
	policies, err := s.policies.List(k8slabels.Everything())
	if err != nil {
		return w, err
	}
	for _, p := range pods {
		if p.DeletionTimestamp != nil || p.Spec.NodeName == "" || p.Status.Phase == corev1.PodFailed || p.Status.Phase == corev1.PodSucceeded {
			continue // it gets no requests any more, or not yet
		}
		told := shop.Pod{Name: p.Name, UID: string(p.UID), Node: p.Spec.NodeName, Version: versionOf(&p.Spec), Ready: ready(p) && !cutOff(p, policies)}
		for i := range p.Status.ContainerStatuses {
			told.Restarts += int64(p.Status.ContainerStatuses[i].RestartCount)
		}
		w.Pods = append(w.Pods, told)
	}
	slices.SortFunc(w.Pods, func(a, b shop.Pod) int { return cmp.Compare(a.Name, b.Name) })
	return w, nil
}

func versionOf(spec *corev1.PodSpec) string {
	image := spec.Containers[0].Image
	return image[strings.LastIndexByte(image, ':')+1:]
}

func ready(p *corev1.Pod) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// cutOff reports whether a policy keeps all traffic from the pod and no other lets some through.
func cutOff(p *corev1.Pod, policies []*networkingv1.NetworkPolicy) bool {
	cut := false
	for _, policy := range policies {
		selector, err := metav1.LabelSelectorAsSelector(&policy.Spec.PodSelector)
		if err != nil || !selector.Matches(k8slabels.Set(p.Labels)) || !slices.Contains(policy.Spec.PolicyTypes, networkingv1.PolicyTypeIngress) {
			continue
		}
		if len(policy.Spec.Ingress) > 0 {
			return false
		}
		cut = true
	}
	return cut
}

// tellContainers does a kubelet's work: it says which containers do not run, and lets those that were killed start again.
func (s *Shop) tellContainers(ctx context.Context) error {
	now := time.Now()
	for _, state := range s.Simulation.PodStates() {
		c, told := s.crashing[state.UID]
		switch {
		case state.Down != "" && !told:
			p, err := s.pods.Get(state.Name)
			if err != nil || string(p.UID) != state.UID {
				continue // it is gone
			}
			c = crash{reason: state.Down}
			for i := range p.Status.ContainerStatuses {
				c.restarts += int64(p.Status.ContainerStatuses[i].RestartCount)
			}
			if err := s.annotate(ctx, state, fmt.Sprintf("%q", state.Down)); err != nil {
				return err
			}
			s.crashing[state.UID] = c
		case state.Down == "" && told && c.back.IsZero():
			c.back = now.Add(containerStart)
			s.crashing[state.UID] = c
		case state.Down == "" && told && now.After(c.back):
			if err := s.annotate(ctx, state, "null"); err != nil {
				return err
			}
			delete(s.crashing, state.UID)
		}
	}
	return nil
}

func (s *Shop) annotate(ctx context.Context, state shop.PodState, value string) error {
	patch := fmt.Appendf(nil, `{"metadata":{"uid":%q,"annotations":{%q:%s}}}`, state.UID, annotationCrash, value)
	_, err := s.cluster.client.CoreV1().Pods(s.Namespace).Patch(ctx, state.Name, types.MergePatchType, patch, metav1.PatchOptions{})
	if err == nil || apierrors.IsNotFound(err) || apierrors.IsConflict(err) { // it was replaced meanwhile
		return nil
	}
	return fmt.Errorf("tell of the containers of %s: %w", state.Name, err)
}

// admission has the frontend let in what the config map says.
func (s *Shop) admission() error {
	m, err := s.maps.Get(AdmissionMap)
	if err != nil || m.Data[AdmissionKey] == s.admitted {
		return err
	}
	s.admitted = m.Data[AdmissionKey]
	return s.Simulation.Admit(s.admitted)
}

// flushes empties the cache once for each Job that has done so.
func (s *Shop) flushes() error {
	jobs, err := s.jobs.List(k8slabels.Everything())
	if err != nil {
		return err
	}
	for _, job := range jobs {
		if job.Spec.Template.Labels["app"] != FlushJob || s.flushed[job.UID] || !done(job) {
			continue
		}
		s.flushed[job.UID] = true
		if _, err := s.Simulation.Act(shop.Action{Name: shop.FlushCache}); err != nil {
			return err
		}
	}
	return nil
}

func done(job *batchv1.Job) bool {
	return slices.ContainsFunc(job.Status.Conditions, func(c batchv1.JobCondition) bool {
		return c.Type == batchv1.JobComplete && c.Status == corev1.ConditionTrue
	})
}

// Inject puts the shop into trouble. A bad release is rolled out as a person would do it.
func (s *Shop) Inject(ctx context.Context, f shop.Fault) (shop.FaultStatus, error) {
	status, err := s.Simulation.Inject(f)
	if err != nil || status.Version == "" {
		return status, err
	}
	return status, s.Release(ctx, status.Service, status.Version)
}

// Release rolls out a version of a service.
func (s *Shop) Release(ctx context.Context, service, version string) error {
	_, err := s.cluster.client.AppsV1().Deployments(s.Namespace).Patch(ctx, service, types.StrategicMergePatchType, imagePatch(service, version),
		metav1.PatchOptions{FieldManager: "kubectl-client-side-apply"})
	if err != nil {
		return fmt.Errorf("release %s %s: %w", service, version, err)
	}
	return nil
}

// Deployment returns a service that is one, as the API knows it.
func (s *Shop) Deployment(ctx context.Context, service string) (*appsv1.Deployment, error) {
	return s.cluster.client.AppsV1().Deployments(s.Namespace).Get(ctx, service, metav1.GetOptions{})
}

// Serves reports whether a pod of this version of a service gets requests.
func (s *Shop) Serves(service, version string) bool {
	for _, v := range s.services {
		if v.Name != service {
			continue
		}
		w, err := s.workload(v)
		return err == nil && slices.ContainsFunc(w.Pods, func(p shop.Pod) bool { return p.Ready && p.Version == version })
	}
	return false
}

// Settled reports whether all workloads have rolled out what they should be: all pods are there, of the newest template and ready.
func (s *Shop) Settled() bool {
	for _, v := range s.services {
		var want, updated, available, all int32
		var current bool
		if v.Stateful {
			set, err := s.statefulSets.Get(v.Name)
			if err != nil {
				return false
			}
			st := set.Status
			want, updated, available, all, current = *set.Spec.Replicas, st.UpdatedReplicas, st.AvailableReplicas, st.Replicas, st.ObservedGeneration >= set.Generation
			if st.CurrentRevision == st.UpdateRevision {
				updated = st.CurrentReplicas
			}
		} else {
			d, err := s.deployments.Get(v.Name)
			if err != nil {
				return false
			}
			st := d.Status
			want, updated, available, all, current = *d.Spec.Replicas, st.UpdatedReplicas, st.AvailableReplicas, st.Replicas, st.ObservedGeneration >= d.Generation
		}
		if !current || updated != want || available != want || all != want {
			return false
		}
	}
	return true
}
