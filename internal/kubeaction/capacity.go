package kubeaction

import (
	"cmp"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// room is an amount of each resource: CPU in thousandths, everything else in its own unit.
type room map[corev1.ResourceName]int64

func roomOf(list corev1.ResourceList) room {
	r := room{}
	for name, quantity := range list {
		if name == corev1.ResourceCPU {
			r[name] = quantity.MilliValue()
		} else {
			r[name] = quantity.Value()
		}
	}
	return r
}

func (r room) add(other room, sign int64) {
	for name, amount := range other {
		r[name] += sign * amount
	}
}

func (r room) holds(other room) bool {
	for name, amount := range other {
		if amount > 0 && r[name] < amount {
			return false
		}
	}
	return true
}

// requestsOf is what the scheduler reserves for a pod: the containers and those init containers that go on running, or the
// greatest other init container, and the overhead; and one of the node's places for pods.
func requestsOf(pod *corev1.Pod) room {
	sum, initial := room{}, room{}
	for i := range pod.Spec.Containers {
		sum.add(roomOf(pod.Spec.Containers[i].Resources.Requests), 1)
	}
	for i := range pod.Spec.InitContainers {
		container := &pod.Spec.InitContainers[i]
		requests := roomOf(container.Resources.Requests)
		if container.RestartPolicy != nil && *container.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			sum.add(requests, 1)
			continue
		}
		for name, amount := range requests {
			initial[name] = max(initial[name], amount)
		}
	}
	for name, amount := range initial {
		sum[name] = max(sum[name], amount)
	}
	sum.add(roomOf(pod.Spec.Overhead), 1)
	sum[corev1.ResourcePods]++
	return sum
}

// host is a node that could take pods, and what is free on it.
type host struct {
	node *corev1.Node
	free room
}

// hosts are the nodes but one that take pods from anybody now, with what the pods on them leave free, by name.
func hosts(nodes []corev1.Node, pods []corev1.Pod, without string) []host {
	var all []host
	byName := map[string]room{}
	for i := range nodes {
		node := &nodes[i]
		if node.Name == without || !takesPods(node) {
			continue
		}
		free := roomOf(node.Status.Allocatable)
		byName[node.Name] = free
		all = append(all, host{node, free})
	}
	for i := range pods {
		if free := byName[pods[i].Spec.NodeName]; free != nil && !finished(&pods[i]) {
			free.add(requestsOf(&pods[i]), -1)
		}
	}
	slices.SortFunc(all, func(a, b host) int { return cmp.Compare(a.node.Name, b.node.Name) })
	return all
}

// place puts the pods, the greatest first, each on the first host that has room for it, and returns those that fit nowhere.
// It looks at requests and node selectors only. Where it finds no place the scheduler still may, but seldom; where it finds
// one, affinities may forbid it. (First fit decreasing: Johnson, Near-optimal bin packing algorithms, 1973.)
func place(pods []*corev1.Pod, all []host) []*corev1.Pod {
	pods = slices.Clone(pods)
	slices.SortStableFunc(pods, func(a, b *corev1.Pod) int {
		x, y := requestsOf(a), requestsOf(b)
		return cmp.Or(cmp.Compare(y[corev1.ResourceMemory], x[corev1.ResourceMemory]), cmp.Compare(y[corev1.ResourceCPU], x[corev1.ResourceCPU]))
	})
	var left []*corev1.Pod
	for _, pod := range pods {
		wanted, selector := requestsOf(pod), labels.SelectorFromSet(pod.Spec.NodeSelector)
		i := slices.IndexFunc(all, func(h host) bool {
			return h.free.holds(wanted) && selector.Matches(labels.Set(h.node.Labels))
		})
		if i < 0 {
			left = append(left, pod)
			continue
		}
		all[i].free.add(wanted, -1)
	}
	return left
}

// takesPods tells whether a node takes pods that tolerate nothing.
func takesPods(node *corev1.Node) bool {
	return nodeReady(node) && !node.Spec.Unschedulable && node.DeletionTimestamp == nil &&
		!slices.ContainsFunc(node.Spec.Taints, func(t corev1.Taint) bool { return t.Effect != corev1.TaintEffectPreferNoSchedule })
}

// readyNodes are the names of the nodes that take pods and match the selector.
func readyNodes(nodes []corev1.Node, selector string) []string {
	parsed, err := labels.Parse(selector)
	if err != nil {
		return nil
	}
	var names []string
	for i := range nodes {
		if takesPods(&nodes[i]) && parsed.Matches(labels.Set(nodes[i].Labels)) {
			names = append(names, nodes[i].Name)
		}
	}
	return names
}
