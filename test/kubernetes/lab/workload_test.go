package lab

import (
	"fmt"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	v1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func patch(t *testing.T, ns, body string) {
	t.Helper()
	must[*appsv1.Deployment](t)(client.AppsV1().Deployments(ns).Patch(t.Context(), "web", types.StrategicMergePatchType, []byte(body), metav1.PatchOptions{}))
}

func TestRestartScaleRollback(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	deployment(t, ns, 3, nil)
	deployments := client.AppsV1().Deployments(ns)

	patch(t, ns, `{"spec":{"template":{"metadata":{"annotations":{"kubectl.kubernetes.io/restartedAt":"2026-01-01T00:00:00Z"}}}}}`)
	rolledOut(t, ns, 3)
	sets := must[*appsv1.ReplicaSetList](t)(client.AppsV1().ReplicaSets(ns).List(t.Context(), metav1.ListOptions{})).Items
	if len(sets) != 2 {
		t.Fatalf("%d replica sets after a restart, want 2", len(sets))
	}

	scale := must[*autoscalingv1.Scale](t)(deployments.GetScale(t.Context(), "web", metav1.GetOptions{}))
	scale.Spec.Replicas = 5
	must[*autoscalingv1.Scale](t)(deployments.UpdateScale(t.Context(), "web", scale, metav1.UpdateOptions{}))
	rolledOut(t, ns, 5)

	image := `{"spec":{"progressDeadlineSeconds":2,"template":{"spec":{"containers":[{"name":"app","image":"registry.invalid/web:%s"}]}}}}`
	patch(t, ns, fmt.Sprintf(image, "pull-error"))
	eventually(t, "stuck", func() error {
		d, err := deployments.Get(t.Context(), "web", metav1.GetOptions{})
		if err != nil {
			return err
		}
		for _, c := range d.Status.Conditions {
			if c.Type == appsv1.DeploymentProgressing && c.Reason == "ProgressDeadlineExceeded" {
				if d.Status.AvailableReplicas < 4 {
					t.Errorf("%d pods available while the bad rollout is stuck, want at least 4", d.Status.AvailableReplicas)
				}
				return nil
			}
		}
		return fmt.Errorf("conditions %v", d.Status.Conditions)
	})
	patch(t, ns, fmt.Sprintf(image, "v1"))
	rolledOut(t, ns, 5)
}

func TestStatefulSet(t *testing.T) {
	t.Parallel()
	ns, replicas := namespace(t), int32(2)
	sets := client.AppsV1().StatefulSets(ns)
	must[*appsv1.StatefulSet](t)(sets.Create(t.Context(), &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Name: "db"},
		Spec:       appsv1.StatefulSetSpec{Replicas: &replicas, Selector: selector, ServiceName: "db", Template: template("v1", nil)},
	}, metav1.CreateOptions{}))
	settled := func(revisions int) func() error {
		return func() error {
			s, err := sets.Get(t.Context(), "db", metav1.GetOptions{})
			if err != nil {
				return err
			}
			history, err := client.AppsV1().ControllerRevisions(ns).List(t.Context(), metav1.ListOptions{})
			if err != nil {
				return err
			}
			if s.Status.ObservedGeneration < s.Generation || s.Status.AvailableReplicas != 2 || s.Status.CurrentRevision != s.Status.UpdateRevision || len(history.Items) != revisions {
				return fmt.Errorf("%d revisions, status %+v", len(history.Items), s.Status)
			}
			return nil
		}
	}
	eventually(t, "started", settled(1))
	must[*appsv1.StatefulSet](t)(sets.Patch(t.Context(), "db", types.StrategicMergePatchType,
		[]byte(`{"spec":{"template":{"metadata":{"annotations":{"restartedAt":"now"}}}}}`), metav1.PatchOptions{}))
	eventually(t, "restarted", settled(2))
	for i, pod := range pods(t, ns) {
		if want := fmt.Sprintf("db-%d", i); pod.Name != want || pod.Annotations["restartedAt"] != "now" {
			t.Errorf("pod %s with annotations %v, want %s, restarted", pod.Name, pod.Annotations, want)
		}
	}
}

// Jobs end as their image says; a CronJob's template makes one that does.
func TestJobs(t *testing.T) {
	t.Parallel()
	ns, none := namespace(t), int32(0)
	jobs := client.BatchV1().Jobs(ns)
	spec := func(tag string) batchv1.JobSpec {
		pod := template(tag, nil)
		pod.Spec.RestartPolicy = v1.RestartPolicyNever
		return batchv1.JobSpec{Template: pod, BackoffLimit: &none}
	}
	cron := must[*batchv1.CronJob](t)(client.BatchV1().CronJobs(ns).Create(t.Context(), &batchv1.CronJob{
		ObjectMeta: metav1.ObjectMeta{Name: "nightly"},
		Spec:       batchv1.CronJobSpec{Schedule: "0 3 * * *", JobTemplate: batchv1.JobTemplateSpec{Spec: spec("v1")}},
	}, metav1.CreateOptions{}))
	for name, spec := range map[string]batchv1.JobSpec{"succeeds": cron.Spec.JobTemplate.Spec, "fails": spec("crash"), "hangs": spec("hang")} {
		must[*batchv1.Job](t)(jobs.Create(t.Context(), &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: spec}, metav1.CreateOptions{}))
	}
	for name, done := range map[string]func(batchv1.JobStatus) bool{
		"succeeds": func(s batchv1.JobStatus) bool { return s.Succeeded == 1 && s.CompletionTime != nil },
		"fails":    func(s batchv1.JobStatus) bool { return s.Failed == 1 },
		"hangs":    func(s batchv1.JobStatus) bool { return s.Active == 1 && s.Ready != nil && *s.Ready == 1 },
	} {
		eventually(t, name, func() error {
			job, err := jobs.Get(t.Context(), name, metav1.GetOptions{})
			if err == nil && !done(job.Status) {
				err = fmt.Errorf("status %+v", job.Status)
			}
			return err
		})
	}
}

func TestAutoscalerRaisesToItsMinimum(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	deployment(t, ns, 2, nil)
	minimum, utilization := int32(4), int32(80)
	must[*autoscalingv2.HorizontalPodAutoscaler](t)(client.AutoscalingV2().HorizontalPodAutoscalers(ns).Create(t.Context(),
		&autoscalingv2.HorizontalPodAutoscaler{
			ObjectMeta: metav1.ObjectMeta{Name: "web"},
			Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
				MinReplicas: &minimum, MaxReplicas: 8,
				ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "web"},
				Metrics: []autoscalingv2.MetricSpec{{
					Type: autoscalingv2.ResourceMetricSourceType,
					Resource: &autoscalingv2.ResourceMetricSource{
						Name:   v1.ResourceCPU,
						Target: autoscalingv2.MetricTarget{Type: autoscalingv2.UtilizationMetricType, AverageUtilization: &utilization},
					},
				}},
			},
		}, metav1.CreateOptions{}))
	rolledOut(t, ns, 4)
}

// Validation and preconditions are the real server's.
func TestServerRefuses(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	deployment(t, ns, 1, nil)
	_, err := client.NetworkingV1().NetworkPolicies(ns).Create(t.Context(), &networkingv1.NetworkPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "bad"},
		Spec:       networkingv1.NetworkPolicySpec{PolicyTypes: []networkingv1.PolicyType{"Sideways"}},
	}, metav1.CreateOptions{})
	if !errors.IsInvalid(err) {
		t.Errorf("a policy of no known type: %v, want Invalid", err)
	}
	another := types.UID("00000000-0000-0000-0000-000000000000")
	err = client.CoreV1().Pods(ns).Delete(t.Context(), pods(t, ns)[0].Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &another}})
	if !errors.IsConflict(err) {
		t.Errorf("deletion of another pod of this name: %v, want Conflict", err)
	}
}
