package kubetest

import (
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// How the containers of an image behave on the lab's nodes, by the image's tag. Any other tag runs and is ready; in a Job it
// succeeds.
const (
	// TagPullError waits in ImagePullBackOff for ever.
	TagPullError = "pull-error"
	// TagCrash waits in CrashLoopBackOff; the restart count grows. In a Job with restartPolicy Never it fails.
	TagCrash = "crash"
	// TagNotReady runs and never becomes ready.
	TagNotReady = "not-ready"
	// TagHang runs, is ready, and never ends, also in a Job.
	TagHang = "hang"
)

// Annotations that the lab's nodes obey.
const (
	// AnnotationReadyAfter on a pod is how long after its start it becomes ready, such as "5s".
	AnnotationReadyAfter = "lab/ready-after"
	// AnnotationNotReady on a pod, when "true", makes it not ready; it may be set and removed while the pod runs.
	AnnotationNotReady = "lab/not-ready"
	// AnnotationCrash on a pod is the reason why its containers crash again and again, "Error" or "OOMKilled"; it may be set
	// and removed while the pod runs.
	AnnotationCrash = "lab/crash"
	// AnnotationStopAfter on a pod is how long it takes to end when it is deleted, such as "3s", at most its grace period.
	// Without it a pod ends at once.
	AnnotationStopAfter = "lab/stop-after"
	// AnnotationRunFor on a pod of a Job is how long it runs before it ends, such as "2s". Delays may be a second longer.
	AnnotationRunFor = "lab/run-for"
	// AnnotationOffline on a node, when "true", stops its heartbeats and freezes its pods.
	AnnotationOffline = "lab/offline"
)

// Image returns the image reference of an application with a tag. The registry does not exist: nothing is pulled.
func Image(app, tag string) string { return "registry.invalid/" + app + ":" + tag }

// Selector returns the label selector of the pods that the makers of this package make for a workload of this name.
func Selector(app string) string { return "app=" + app }

func labelsOf(app string) map[string]string { return map[string]string{"app": app} }

func selectorOf(app string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: labelsOf(app)}
}

func metaOf(namespace, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: labelsOf(name)}
}

func podTemplate(app string) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: labelsOf(app), Annotations: map[string]string{}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: Image(app, "v1")}}},
	}
}

// Pod makes a pod with one container "app" that runs Image(name, "v1").
func Pod(namespace, name string) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metaOf(namespace, name), Spec: podTemplate(name).Spec}
}

// Deployment makes a Deployment of pods labelled app=name, each with one container "app" that runs Image(name, "v1").
func Deployment(namespace, name string, replicas int32) *appsv1.Deployment {
	return &appsv1.Deployment{
		ObjectMeta: metaOf(namespace, name),
		Spec:       appsv1.DeploymentSpec{Replicas: &replicas, Selector: selectorOf(name), Template: podTemplate(name)},
	}
}

// StatefulSet makes a StatefulSet, with pods as those of Deployment.
func StatefulSet(namespace, name string, replicas int32) *appsv1.StatefulSet {
	return &appsv1.StatefulSet{
		ObjectMeta: metaOf(namespace, name),
		Spec: appsv1.StatefulSetSpec{
			Replicas: &replicas, Selector: selectorOf(name), Template: podTemplate(name), ServiceName: name,
		},
	}
}

// DaemonSet makes a DaemonSet, with pods as those of Deployment.
func DaemonSet(namespace, name string) *appsv1.DaemonSet {
	return &appsv1.DaemonSet{
		ObjectMeta: metaOf(namespace, name),
		Spec:       appsv1.DaemonSetSpec{Selector: selectorOf(name), Template: podTemplate(name)},
	}
}

// HorizontalPodAutoscaler makes an autoscaler of the Deployment of the same name. There are no metrics in the lab: it
// enforces minimum and maximum and otherwise leaves the Deployment alone.
func HorizontalPodAutoscaler(namespace, name string, minimum, maximum int32) *autoscalingv2.HorizontalPodAutoscaler {
	utilization := int32(80)
	return &autoscalingv2.HorizontalPodAutoscaler{
		ObjectMeta: metaOf(namespace, name),
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			MinReplicas: &minimum, MaxReplicas: maximum,
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: name},
			Metrics: []autoscalingv2.MetricSpec{{
				Type: autoscalingv2.ResourceMetricSourceType,
				Resource: &autoscalingv2.ResourceMetricSource{
					Name:   corev1.ResourceCPU,
					Target: autoscalingv2.MetricTarget{Type: autoscalingv2.UtilizationMetricType, AverageUtilization: &utilization},
				},
			}},
		},
	}
}

// PodDisruptionBudget makes a budget for the pods of the workload of the same name.
func PodDisruptionBudget(namespace, name string, minAvailable int32) *policyv1.PodDisruptionBudget {
	available := intstr.FromInt32(minAvailable)
	return &policyv1.PodDisruptionBudget{
		ObjectMeta: metaOf(namespace, name),
		Spec:       policyv1.PodDisruptionBudgetSpec{MinAvailable: &available, Selector: selectorOf(name)},
	}
}

// Job makes a Job of one pod that is not tried again; the tag says how it ends.
func Job(namespace, name, tag string) *batchv1.Job {
	template, retries := podTemplate(name), int32(0)
	template.Spec.RestartPolicy = corev1.RestartPolicyNever
	template.Spec.Containers[0].Image = Image(name, tag)
	return &batchv1.Job{
		ObjectMeta: metaOf(namespace, name),
		Spec:       batchv1.JobSpec{Template: template, BackoffLimit: &retries},
	}
}

// CronJob makes a CronJob that runs such a Job every minute; the schedule "@every 1s" runs it within seconds.
func CronJob(namespace, name string) *batchv1.CronJob {
	return &batchv1.CronJob{
		ObjectMeta: metaOf(namespace, name),
		Spec: batchv1.CronJobSpec{
			Schedule:    "* * * * *",
			JobTemplate: batchv1.JobTemplateSpec{Spec: Job(namespace, name, "v1").Spec},
		},
	}
}

// ConfigMap makes a ConfigMap.
func ConfigMap(namespace, name string, data map[string]string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metaOf(namespace, name), Data: data}
}

// NetworkPolicy makes a policy that cuts the pods of the workload of the same name off. The lab stores policies and does not
// enforce them.
func NetworkPolicy(namespace, name string) *networkingv1.NetworkPolicy {
	return &networkingv1.NetworkPolicy{
		ObjectMeta: metaOf(namespace, name),
		Spec: networkingv1.NetworkPolicySpec{
			PodSelector: *selectorOf(name),
			PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress},
		},
	}
}
