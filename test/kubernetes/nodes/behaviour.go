package nodes

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The tags of images that misbehave, and the annotations; the package comment explains them. internal/kubetest has the same.
const (
	tagPullError = "pull-error"
	tagCrash     = "crash"
	tagNotReady  = "not-ready"
	tagHang      = "hang"

	annotationReadyAfter = "lab/ready-after"
	annotationNotReady   = "lab/not-ready"
	annotationCrash      = "lab/crash"
	annotationRunFor     = "lab/run-for"
	annotationStopAfter  = "lab/stop-after"
	annotationOffline    = "lab/offline"
)

// crashEvery is how often a container whose image crashes is started again. One that its annotation lets crash waits as a
// kubelet does: twice as long each time.
const (
	crashEvery      = 2 * time.Second
	firstBackOff    = 10 * time.Second
	greatestBackOff = 5 * time.Minute
)

// step is what a kubelet makes of a pod at one moment.
type step struct {
	status v1.PodStatus
	// again is when to look again, counted from that moment; 0 when only a change of the pod matters.
	again time.Duration
	// gone is set when the pod has ended after its deletion.
	gone bool
	// warnings are the events to emit: reason and message.
	warnings [][2]string
}

// next moves a pod one step. Times in a pod's status have whole seconds, so delays may be up to a second longer.
func next(pod *v1.Pod, now time.Time) step {
	s := step{status: *pod.Status.DeepCopy()}
	if pod.DeletionTimestamp != nil {
		s.again, s.gone = ending(pod, now)
		return s
	}
	if s.status.Phase == v1.PodSucceeded || s.status.Phase == v1.PodFailed {
		return s
	}
	first := s.status.StartTime == nil
	if first {
		start := metav1.NewTime(now.Add(time.Second - 1).Truncate(time.Second))
		s.status.StartTime = &start
		ip := address(pod)
		s.status.PodIP, s.status.PodIPs = ip, []v1.PodIP{{IP: ip}}
	}
	wasRunning := s.status.Phase == v1.PodRunning
	s.status.Phase = v1.PodRunning
	late := s.after(pod, annotationReadyAfter, now) || pod.Annotations[annotationNotReady] == "true"
	// A pod is seen running before it ends.
	ready, failed, ends := true, false, pod.Spec.RestartPolicy != v1.RestartPolicyAlways && wasRunning
	containers := make([]v1.ContainerStatus, 0, len(pod.Spec.Containers))
	for _, c := range pod.Spec.Containers {
		status := statusOf(pod, c)
		switch tag(c.Image) {
		case tagPullError:
			status.Ready, ends = false, false
			status.State = waiting("ImagePullBackOff", "Back-off pulling image "+c.Image)
			s.status.Phase = v1.PodPending
			if first {
				s.warnings = append(s.warnings, [2]string{"Failed", "Failed to pull image " + c.Image})
			}
		case tagCrash:
			if pod.Spec.RestartPolicy == v1.RestartPolicyNever {
				failed = true
				run(&status, true, now)
				break
			}
			status.Ready, ends = false, false
			s.crash(&status, c.Name, pod.Name, "Error", crashEvery, now)
		default:
			if reason := pod.Annotations[annotationCrash]; reason != "" {
				status.Ready, ends = false, false
				s.crash(&status, c.Name, pod.Name, reason, backOff(status.RestartCount), now)
				break
			}
			run(&status, tag(c.Image) != tagNotReady && !late, now)
			ends = ends && tag(c.Image) != tagHang && tag(c.Image) != tagNotReady
		}
		ready = ready && status.Ready
		containers = append(containers, status)
	}
	if ends && !s.after(pod, annotationRunFor, now) {
		s.status.Phase, ready = v1.PodSucceeded, false
		if failed {
			s.status.Phase = v1.PodFailed
		}
		for i, c := range pod.Spec.Containers {
			containers[i].Ready, containers[i].State = false, ended(0, "Completed", now)
			if tag(c.Image) == tagCrash {
				containers[i].State = ended(1, "Error", now)
			}
		}
	}
	s.status.ContainerStatuses = containers
	s.setConditions(pod, ready, now)
	return s
}

// ending tells whether a pod that is being deleted has ended, and when to look again if not.
func ending(pod *v1.Pod, now time.Time) (again time.Duration, gone bool) {
	linger, err := time.ParseDuration(pod.Annotations[annotationStopAfter])
	if err != nil || pod.DeletionGracePeriodSeconds == nil {
		return 0, true
	}
	grace := time.Duration(*pod.DeletionGracePeriodSeconds) * time.Second
	asked := pod.DeletionTimestamp.Add(time.Second - grace) // rounded up
	end := asked.Add(min(linger, grace))
	if left := end.Sub(now); left > 0 {
		return left, false
	}
	return 0, true
}

// after tells whether the time that an annotation names has not passed since the pod's start, and sees that the pod is looked
// at when it has.
func (s *step) after(pod *v1.Pod, annotation string, now time.Time) bool {
	delay, err := time.ParseDuration(pod.Annotations[annotation])
	if err != nil {
		return false
	}
	left := s.status.StartTime.Add(delay).Sub(now)
	if left > 0 {
		s.lookAgain(left)
	}
	return left > 0
}

func (s *step) lookAgain(in time.Duration) {
	if s.again == 0 || in < s.again {
		s.again = in
	}
}

// run lets a container run.
func run(status *v1.ContainerStatus, ready bool, now time.Time) {
	started := true
	status.Started, status.Ready = &started, ready
	if status.State.Running == nil {
		status.State = v1.ContainerState{Running: &v1.ContainerStateRunning{StartedAt: metav1.NewTime(now)}}
	}
}

// backOff is how long a kubelet waits before it starts a container again that it has restarted so often.
func backOff(restarts int32) time.Duration {
	wait := firstBackOff
	for range restarts - 1 {
		wait = min(2*wait, greatestBackOff)
	}
	return wait
}

// crash lets a container end with an error, unless it ended less than wait ago.
func (s *step) crash(status *v1.ContainerStatus, container, pod, reason string, wait time.Duration, now time.Time) {
	status.Started = new(bool)
	if last := status.LastTerminationState.Terminated; last != nil && status.State.Waiting != nil {
		if left := last.FinishedAt.Add(wait).Sub(now); left > 0 {
			s.lookAgain(left)
			return
		}
	}
	code := int32(1)
	if reason == "OOMKilled" {
		code = 137
	}
	status.RestartCount++
	status.LastTerminationState = ended(code, reason, now)
	status.State = waiting("CrashLoopBackOff", "back-off restarting failed container")
	s.warnings = append(s.warnings, [2]string{"BackOff", fmt.Sprintf("Back-off restarting failed container %s in pod %s", container, pod)})
	s.lookAgain(wait)
}

func (s *step) setConditions(pod *v1.Pod, ready bool, now time.Time) {
	gates := !slices.ContainsFunc(pod.Spec.ReadinessGates, func(gate v1.PodReadinessGate) bool {
		return !slices.ContainsFunc(pod.Status.Conditions, func(c v1.PodCondition) bool {
			return c.Type == gate.ConditionType && c.Status == v1.ConditionTrue
		})
	})
	for _, condition := range []struct {
		name  v1.PodConditionType
		holds bool
	}{{v1.PodInitialized, true}, {v1.ContainersReady, ready}, {v1.PodReady, ready && gates}} {
		value := v1.ConditionFalse
		if condition.holds {
			value = v1.ConditionTrue
		}
		i := slices.IndexFunc(s.status.Conditions, func(c v1.PodCondition) bool { return c.Type == condition.name })
		if i < 0 {
			i = len(s.status.Conditions)
			s.status.Conditions = append(s.status.Conditions, v1.PodCondition{Type: condition.name})
		}
		if c := &s.status.Conditions[i]; c.Status != value {
			c.Status, c.LastTransitionTime = value, metav1.NewTime(now)
		}
	}
}

// statusOf returns the status that a container has, or a blank one.
func statusOf(pod *v1.Pod, c v1.Container) v1.ContainerStatus {
	for _, status := range pod.Status.ContainerStatuses {
		if status.Name == c.Name {
			return *status.DeepCopy()
		}
	}
	return v1.ContainerStatus{Name: c.Name, Image: c.Image, ImageID: "fake://" + c.Image}
}

func waiting(reason, message string) v1.ContainerState {
	return v1.ContainerState{Waiting: &v1.ContainerStateWaiting{Reason: reason, Message: message}}
}

func ended(code int32, reason string, now time.Time) v1.ContainerState {
	return v1.ContainerState{Terminated: &v1.ContainerStateTerminated{ExitCode: code, Reason: reason, FinishedAt: metav1.NewTime(now)}}
}

// address returns an address that is the pod's own, or almost certainly so.
func address(pod *v1.Pod) string {
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(pod.UID))
	n := hash.Sum32()
	return fmt.Sprintf("10.%d.%d.%d", 64+n%64, n>>8&255, 1+n>>16%254)
}

// tag returns the tag of an image reference.
func tag(image string) string {
	if i := strings.LastIndex(image, ":"); i > strings.LastIndex(image, "/") {
		return image[i+1:]
	}
	return ""
}
