package cluster

import (
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/paramedic-otel/paramedic/internal/shop"
	"github.com/paramedic-otel/paramedic/semconv"
)

// What the lab's kubelets obey; test/kubernetes/README.md explains it.
const (
	annotationReadyAfter = "lab/ready-after"
	annotationStopAfter  = "lab/stop-after"
	annotationCrash      = "lab/crash"
	annotationRunFor     = "lab/run-for"
)

// What the shop makes of objects that are no workloads.
const (
	// AdmissionMap is the ConfigMap whose key [AdmissionKey] says from which criticality on the frontend lets requests in.
	AdmissionMap = "admission"
	AdmissionKey = "least"
	// FlushJob is the CronJob that serves as template for flushing the cache. It never runs by itself.
	FlushJob = "cache-flush"
	// flushFor is how long flushing takes.
	flushFor = 2 * time.Second
	// stopAfter is how long a pod takes to end when it is told to.
	stopAfter = time.Second
)

// startUp is how long a pod of a service takes from being scheduled to being ready, its image being on the node: data stores
// replay their log, others start in a few seconds.
func startUp(s shop.Service) time.Duration {
	if s.Stateful {
		return 8 * time.Second
	}
	return 5 * time.Second
}

func labels(service string) map[string]string { return map[string]string{"app": service} }

func image(service, version string) string { return "registry.invalid/shop/" + service + ":" + version }

func template(s shop.Service) corev1.PodTemplateSpec {
	limits := corev1.ResourceList{
		corev1.ResourceCPU:    *resource.NewMilliQuantity(int64(s.CPULimit*1000), resource.DecimalSI),
		corev1.ResourceMemory: *resource.NewQuantity(int64(s.MemoryLimit), resource.BinarySI),
	}
	// Requests are small: the lab's nodes are few, and several shops share them.
	requests := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("10m"), corev1.ResourceMemory: resource.MustParse("16Mi")}
	pod := labels(s.Name)
	pod[semconv.AttrServiceCriticality] = s.Criticality
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: pod, Annotations: map[string]string{
			annotationReadyAfter: startUp(s).String(), annotationStopAfter: stopAfter.String(),
		}},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{
			Name: s.Name, Image: image(s.Name, s.Version), Resources: corev1.ResourceRequirements{Limits: limits, Requests: requests},
		}}},
	}
}

func objectMeta(namespace string, s shop.Service) metav1.ObjectMeta {
	l := labels(s.Name)
	l[semconv.AttrServiceCriticality] = s.Criticality
	return metav1.ObjectMeta{Namespace: namespace, Name: s.Name, Labels: l}
}

func deployment(namespace string, s shop.Service) *appsv1.Deployment {
	replicas := int32(s.Replicas) //nolint:gosec // a handful
	return &appsv1.Deployment{
		ObjectMeta: objectMeta(namespace, s),
		Spec:       appsv1.DeploymentSpec{Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: labels(s.Name)}, Template: template(s)},
	}
}

func statefulSet(namespace string, s shop.Service) *appsv1.StatefulSet {
	replicas := int32(s.Replicas) //nolint:gosec // a handful
	return &appsv1.StatefulSet{
		ObjectMeta: objectMeta(namespace, s),
		Spec: appsv1.StatefulSetSpec{
			Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: labels(s.Name)}, Template: template(s), ServiceName: s.Name,
		},
	}
}

func admissionMap(namespace string) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: AdmissionMap, Labels: labels("frontend")}, Data: map[string]string{AdmissionKey: "low"},
	}
}

func flushJob(namespace string) *batchv1.CronJob {
	suspended, retries := true, int32(0)
	return &batchv1.CronJob{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: FlushJob},
		Spec: batchv1.CronJobSpec{
			Schedule: "@yearly", Suspend: &suspended,
			JobTemplate: batchv1.JobTemplateSpec{Spec: batchv1.JobSpec{
				BackoffLimit: &retries,
				Template: corev1.PodTemplateSpec{
					ObjectMeta: metav1.ObjectMeta{Labels: labels(FlushJob), Annotations: map[string]string{annotationRunFor: flushFor.String()}},
					Spec: corev1.PodSpec{
						RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "flush", Image: image(FlushJob, "1")}},
					},
				},
			}},
		},
	}
}

// imagePatch is what changes the version of a workload, and says why.
func imagePatch(service, version string) []byte {
	return fmt.Appendf(nil, `{"metadata":{"annotations":{"kubernetes.io/change-cause":"release %s"}},"spec":{"template":{"spec":{"containers":[{"name":%q,"image":%q}]}}}}`,
		version, service, image(service, version))
}
