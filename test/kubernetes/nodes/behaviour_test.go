package nodes

import (
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// live moves a pod through time, as often as it asks to be looked at, and returns what it is at the end.
func live(pod *v1.Pod, d time.Duration) (s step) {
	now, end := start, start.Add(d)
	for range 100 {
		s = next(pod, now)
		changed := s.status.Phase != pod.Status.Phase
		pod.Status = s.status
		switch {
		case s.gone:
			return s
		case changed: // the kubelet sees its own write
		case s.again == 0 || now.Add(s.again).After(end):
			return s
		default:
			now = now.Add(s.again)
		}
	}
	return s
}

func pod(image string, policy v1.RestartPolicy, annotations ...string) *v1.Pod {
	p := &v1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "web", UID: "1", Annotations: map[string]string{}},
		Spec: v1.PodSpec{
			RestartPolicy: policy, Containers: []v1.Container{{Name: "app", Image: "registry.invalid:443/web" + image}},
		},
		Status: v1.PodStatus{Phase: v1.PodPending},
	}
	for i := 0; i < len(annotations); i += 2 {
		p.Annotations[annotations[i]] = annotations[i+1]
	}
	return p
}

func TestBehaviour(t *testing.T) {
	always, never, onFailure := v1.RestartPolicyAlways, v1.RestartPolicyNever, v1.RestartPolicyOnFailure
	tests := []struct {
		name     string
		pod      *v1.Pod
		after    time.Duration
		phase    v1.PodPhase
		ready    bool
		reason   string // of the waiting or ended container
		restarts int32
	}{
		{"no tag", pod("", always), 0, v1.PodRunning, true, "", 0},
		{"any tag", pod(":v1", always), 0, v1.PodRunning, true, "", 0},
		{"image that cannot be pulled", pod(":pull-error", always), time.Minute, v1.PodPending, false, "ImagePullBackOff", 0},
		{"image that crashes", pod(":crash", always), 0, v1.PodRunning, false, "CrashLoopBackOff", 1},
		{"image that goes on crashing", pod(":crash", always), 5 * time.Second, v1.PodRunning, false, "CrashLoopBackOff", 3},
		{"image that is never ready", pod(":not-ready", always), time.Minute, v1.PodRunning, false, "", 0},
		{"slow start, early", pod(":v1", always, annotationReadyAfter, "5s"), 4 * time.Second, v1.PodRunning, false, "", 0},
		{"slow start, late", pod(":v1", always, annotationReadyAfter, "5s"), 5 * time.Second, v1.PodRunning, true, "", 0},
		{"made not ready", pod(":v1", always, annotationNotReady, "true"), time.Minute, v1.PodRunning, false, "", 0},
		{"made to crash", pod(":v1", always, annotationCrash, "OOMKilled"), 9 * time.Second, v1.PodRunning, false, "CrashLoopBackOff", 1},
		{"made to crash for longer", pod(":v1", always, annotationCrash, "Error"), 31 * time.Second, v1.PodRunning, false, "CrashLoopBackOff", 3},
		{"job that succeeds", pod(":v1", never), 0, v1.PodSucceeded, false, "Completed", 0},
		{"job that is still running", pod(":v1", never, annotationRunFor, "5s"), 4 * time.Second, v1.PodRunning, true, "", 0},
		{"job that ran", pod(":v1", never, annotationRunFor, "5s"), 5 * time.Second, v1.PodSucceeded, false, "Completed", 0},
		{"job that fails", pod(":crash", never), 0, v1.PodFailed, false, "Error", 0},
		{"job that will fail", pod(":crash", never, annotationRunFor, "5s"), 4 * time.Second, v1.PodRunning, true, "", 0},
		{"job that is tried again", pod(":crash", onFailure), 0, v1.PodRunning, false, "CrashLoopBackOff", 1},
		{"job that hangs", pod(":hang", never), time.Hour, v1.PodRunning, true, "", 0},
		{"job that is never ready", pod(":not-ready", onFailure), time.Hour, v1.PodRunning, false, "", 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			live(test.pod, test.after)
			status := test.pod.Status
			if status.Phase != test.phase {
				t.Errorf("phase %s, want %s", status.Phase, test.phase)
			}
			for _, c := range status.Conditions {
				if c.Type == v1.PodReady && (c.Status == v1.ConditionTrue) != test.ready {
					t.Errorf("ready is %s, want %v", c.Status, test.ready)
				}
			}
			container, reason := status.ContainerStatuses[0], ""
			if container.State.Waiting != nil {
				reason = container.State.Waiting.Reason
			}
			if container.State.Terminated != nil {
				reason = container.State.Terminated.Reason
			}
			if reason != test.reason || container.RestartCount != test.restarts {
				t.Errorf("reason %q after %d restarts, want %q after %d", reason, container.RestartCount, test.reason, test.restarts)
			}
			if status.PodIP == "" || status.StartTime == nil {
				t.Error("no address or no start")
			}
		})
	}
}

// A container that no longer has to crash runs, and crashes at once when it has to again.
func TestCrashesAndRecovers(t *testing.T) {
	p := pod(":v1", v1.RestartPolicyAlways, annotationCrash, "OOMKilled")
	live(p, 0)
	if last := p.Status.ContainerStatuses[0].LastTerminationState.Terminated; last == nil || last.Reason != "OOMKilled" || last.ExitCode != 137 {
		t.Errorf("ended as %v, want OOMKilled with 137", last)
	}
	delete(p.Annotations, annotationCrash)
	live(p, 0)
	if status := p.Status.ContainerStatuses[0]; !status.Ready || status.RestartCount != 1 {
		t.Errorf("%v, want it to run after one restart", status)
	}
	p.Annotations[annotationCrash] = "Error"
	live(p, 0)
	if status := p.Status.ContainerStatuses[0]; status.Ready || status.RestartCount != 2 || status.LastTerminationState.Terminated.ExitCode != 1 {
		t.Errorf("%v, want it to have crashed again", status)
	}
}

// A pod that is being deleted ends at once, or as late as it says and its grace period allows.
func TestEnding(t *testing.T) {
	for stopAfter, want := range map[string]time.Duration{"": 0, "nonsense": 0, "3s": 4 * time.Second, "60s": 31 * time.Second} {
		p := pod(":v1", v1.RestartPolicyAlways, annotationStopAfter, stopAfter)
		grace, deadline := int64(30), metav1.NewTime(start.Add(30*time.Second))
		p.DeletionGracePeriodSeconds, p.DeletionTimestamp = &grace, &deadline

		s := next(p, start)
		if s.again != want || s.gone != (want == 0) {
			t.Errorf("stop-after %q: look again in %s, gone is %v; want it to end in %s", stopAfter, s.again, s.gone, want)
		}
		if want > 0 && !next(p, start.Add(want)).gone {
			t.Errorf("stop-after %q: not gone after %s", stopAfter, want)
		}
	}
}

func TestReadinessGate(t *testing.T) {
	p := pod(":v1", v1.RestartPolicyAlways)
	p.Spec.ReadinessGates = []v1.PodReadinessGate{{ConditionType: "balanced"}}
	isReady := func() bool {
		live(p, 0)
		for _, c := range p.Status.Conditions {
			if c.Type == v1.PodReady {
				return c.Status == v1.ConditionTrue
			}
		}
		return false
	}
	if isReady() {
		t.Error("ready without its gate")
	}
	p.Status.Conditions = append(p.Status.Conditions, v1.PodCondition{Type: "balanced", Status: v1.ConditionTrue})
	if !isReady() {
		t.Error("not ready with its gate open")
	}
}
