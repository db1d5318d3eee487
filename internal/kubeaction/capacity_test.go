package kubeaction

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

func TestRoomForPods(t *testing.T) {
	node := func(name, cpu, memory string, change ...func(*corev1.Node)) corev1.Node {
		n := corev1.Node{}
		n.Name, n.Labels = name, map[string]string{"name": name}
		n.Status.Allocatable = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory), corev1.ResourcePods: resource.MustParse("3")}
		n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
		for _, f := range change {
			f(&n)
		}
		return n
	}
	pod := func(name, on, cpu, memory string, change ...func(*corev1.Pod)) corev1.Pod {
		p := corev1.Pod{}
		p.Name, p.Spec.NodeName = name, on
		p.Spec.Containers = []corev1.Container{{Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory)}}}}
		for _, f := range change {
			f(&p)
		}
		return p
	}
	always := corev1.ContainerRestartPolicyAlways
	nodes := []corev1.Node{
		node("gone", "8", "8Gi"), node("a", "2", "4Gi"), node("b", "4", "4Gi"),
		node("sick", "9", "9Gi", func(n *corev1.Node) { n.Status.Conditions = nil }),
		node("cordoned", "9", "9Gi", func(n *corev1.Node) { n.Spec.Unschedulable = true }),
		node("tainted", "9", "9Gi", func(n *corev1.Node) {
			n.Spec.Taints = []corev1.Taint{{Key: "gpu", Effect: corev1.TaintEffectNoSchedule}}
		}),
	}
	pods := []corev1.Pod{
		pod("other", "a", "500m", "1Gi"),
		pod("done", "b", "4", "4Gi", func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded }),
	}
	free := hosts(nodes, pods, "gone")
	require.Len(t, free, 2, "only those that take pods from anybody")
	assert.Equal(t, room{"cpu": 1500, "memory": 3 << 30, "pods": 2}, free[0].free)
	assert.Equal(t, room{"cpu": 4000, "memory": 4 << 30, "pods": 3}, free[1].free)

	for name, test := range map[string]struct {
		pods []corev1.Pod
		left int
	}{
		"fit":             {[]corev1.Pod{pod("1", "gone", "1", "1Gi"), pod("2", "gone", "4", "3Gi")}, 0},
		"too much CPU":    {[]corev1.Pod{pod("1", "gone", "4500m", "1Gi")}, 1},
		"too much in sum": {[]corev1.Pod{pod("1", "gone", "3", "1Gi"), pod("2", "gone", "3", "1Gi")}, 1},
		"places":          {[]corev1.Pod{pod("1", "", "0", "0"), pod("2", "", "0", "0"), pod("3", "", "0", "0"), pod("4", "", "0", "0"), pod("5", "", "0", "0"), pod("6", "", "0", "0")}, 1},
		"selector":        {[]corev1.Pod{pod("1", "gone", "3", "1Gi", func(p *corev1.Pod) { p.Spec.NodeSelector = map[string]string{"name": "a"} })}, 1},
		"init container":  {[]corev1.Pod{pod("1", "gone", "1", "1Gi", func(p *corev1.Pod) { p.Spec.InitContainers = pod("", "", "5", "1Gi").Spec.Containers })}, 1},
		"sidecar": {[]corev1.Pod{pod("1", "gone", "2", "1Gi", func(p *corev1.Pod) {
			p.Spec.InitContainers = pod("", "", "2500m", "1Gi").Spec.Containers
			p.Spec.InitContainers[0].RestartPolicy = &always
		})}, 1},
		"overhead": {[]corev1.Pod{pod("1", "gone", "4", "1Gi", func(p *corev1.Pod) {
			p.Spec.Overhead = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1m")}
		})}, 1},
		"unknown resources": {[]corev1.Pod{pod("1", "gone", "1", "1Gi", func(p *corev1.Pod) {
			p.Spec.Containers[0].Resources.Requests["example.com/gpu"] = resource.MustParse("1")
		})}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			var list []*corev1.Pod
			for i := range test.pods {
				list = append(list, &test.pods[i])
			}
			assert.Len(t, place(list, hosts(nodes, pods, "gone")), test.left)
		})
	}
}
