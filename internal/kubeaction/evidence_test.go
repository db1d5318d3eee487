package kubeaction

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/paramedic-otel/paramedic/internal/kubetest"
)

func TestEvidenceIsBounded(t *testing.T) {
	var e evidence
	var pods []corev1.Pod
	for i := range 200 {
		pods = append(pods, corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("pod-%03d-%s", i, strings.Repeat("x", 200))},
			Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{
				Name: "app", RestartCount: int32(i),
				State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff", Message: strings.Repeat("m", 5000)}},
			}}},
		})
	}
	e.addPods(pods)
	assert.Len(t, e.Pods, maxEvidencePods)
	assert.Equal(t, 190, e.PodsLeftOut)
	assert.True(t, strings.HasPrefix(e.Pods[0].Name, "pod-199"), "the worst first")
	for i := range 100 {
		e.Events = append(e.Events, evidenceEvent{Message: strings.Repeat("e", maxEvidenceText), Reason: fmt.Sprint(i)})
	}
	for i := range 100 {
		e.Containers = append(e.Containers, evidenceContainer{Name: fmt.Sprint(i), Env: []string{strings.Repeat("n", 200)}})
	}
	text := e.encode()
	assert.LessOrEqual(t, len(text), maxEvidenceBytes)
	assert.True(t, json.Valid(text))
}

func TestKubernetesEvidence(t *testing.T) {
	t.Parallel()
	b := newBench(t, &RolloutRestart{})
	web := kubetest.Deployment(b.ns, "web", 2)
	container := &web.Spec.Template.Spec.Containers[0]
	container.Image = kubetest.Image("web", kubetest.TagCrash)
	container.Env = []corev1.EnvVar{{Name: "API_TOKEN", Value: "hunter2"}}
	container.Args = []string{"--password=hunter3"}
	web.Annotations = map[string]string{"note": "hunter4"}
	b.lab.Create(t, web)
	var kept evidence
	var p Plan
	kubetest.Eventually(t, "the crash is seen", func() error {
		p = b.prepare(b.order("a", restart(), "Deployment", "web"))
		kept = evidence{}
		if err := json.Unmarshal(p.Evidence, &kept); err != nil {
			return err
		}
		if kept.Replicas["total"] < 2 || len(kept.Pods) < 2 || len(kept.Events) == 0 || !strings.Contains(kept.Pods[0].Containers[0].Waiting, "CrashLoopBackOff") {
			return fmt.Errorf("%s", p.Evidence)
		}
		return nil
	})
	assert.NotContains(t, string(p.Evidence), "hunter")
	assert.Equal(t, []string{"API_TOKEN"}, kept.Containers[0].Env)
	assert.Equal(t, map[string]int{"desired": 2, "total": 2, "ready": 0, "updated": 2, "available": 0}, kept.Replicas)
	assert.NotEmpty(t, kept.Conditions)
	assert.Positive(t, kept.Pods[0].Containers[0].Restarts)
	assert.NotNil(t, kept.Pods[0].Containers[0].LastExit)
	assert.WithinDuration(t, time.Now(), kept.Events[0].Last, time.Minute)
	assert.Contains(t, detailsOf(p, "capacity"), "nothing to lose")

	// Restarted it crashes again: that is found, not taken for a cure.
	h := b.healthy(b.apply(p))
	assert.True(t, h.Failed, h.Detail)
	assert.Contains(t, h.Detail, "CrashLoopBackOff")
}
