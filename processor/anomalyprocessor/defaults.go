package anomalyprocessor

import (
	"slices"
	"strings"

	"github.com/paramedic-otel/paramedic/internal/baseline"
	"github.com/paramedic-otel/paramedic/semconv"
)

// rateLimits are the defaults for the rate of a counter or of a histogram's count.
func rateLimits(name, unit string) baseline.Limits {
	switch {
	case isFailure(name):
		return baseline.Limits{MinRelative: 0.5, IgnoreDown: true}
	case strings.HasSuffix(name, "cpu.time") || strings.HasSuffix(name, "cpu_seconds_total"):
		// Seconds a second: a utilisation.
		return baseline.Limits{MinAbsolute: 0.05, MinRelative: 0.1}
	case unit == "By":
		return baseline.Limits{MinAbsolute: 1024, MinRelative: 0.3}
	default:
		return baseline.Limits{MinRelative: 0.3}
	}
}

// levelLimits are the defaults for a value, a mean or a quantile. state says that the value is the state of something,
// not a property of what was counted.
func levelLimits(name, unit string, state bool) baseline.Limits {
	if second, ok := seconds(name, unit); ok {
		return baseline.Limits{MinAbsolute: 0.005 * second, MinRelative: 0.25, IgnoreDown: true}
	}
	switch {
	case unit == "%":
		return baseline.Limits{MinAbsolute: 5, MinRelative: 0.1}
	case isRatio(name):
		return baseline.Limits{MinAbsolute: 0.05, MinRelative: 0.1}
	case isFailure(name):
		return baseline.Limits{MinRelative: 0.5, IgnoreDown: true}
	case state && isRestarts(name):
		return baseline.Limits{MinAbsolute: 0.5, IgnoreDown: true}
	case state && isInstances(name):
		return baseline.Limits{MinAbsolute: 0.5, MinRelative: 0.1, IgnoreUp: hasWord(name, ready)}
	case state && isQueue(name):
		return baseline.Limits{MinAbsolute: 2, MinRelative: 0.1, IgnoreDown: true}
	case unit == "{cpu}":
		return baseline.Limits{MinAbsolute: 0.05, MinRelative: 0.2}
	case state && (unit == "By" || strings.HasSuffix(name, "_bytes")):
		return baseline.Limits{MinAbsolute: 1 << 20, MinRelative: 0.1}
	case state && strings.HasPrefix(unit, "{"):
		return baseline.Limits{MinAbsolute: 2, MinRelative: 0.2}
	default:
		return baseline.Limits{MinRelative: 0.1}
	}
}

// seconds returns how many of the unit make one second, for durations.
func seconds(name, unit string) (float64, bool) {
	switch unit {
	case "s":
		return 1, true
	case "ms":
		return 1e3, true
	case "us":
		return 1e6, true
	case "ns":
		return 1e9, true
	case "":
		if strings.HasSuffix(name, "_seconds") || strings.HasPrefix(name, semconv.MetricGraphRequestServer) ||
			strings.HasPrefix(name, semconv.MetricGraphRequestClient) {
			return 1, true
		}
		if strings.HasSuffix(name, "_milliseconds") {
			return 1e3, true
		}
	}
	return 0, false
}

func isRatio(name string) bool {
	return strings.HasSuffix(name, "utilization") || strings.HasSuffix(name, "utilisation") || strings.HasSuffix(name, "ratio")
}

// failures are words in the names of metrics that count what goes wrong: fewer is never bad.
var failures = []string{"fail", "error", "exception", "dropped", "refused", "rejected", "timeout", "retries", "throttl"}

func isFailure(name string) bool {
	return slices.ContainsFunc(failures, func(word string) bool { return strings.Contains(name, word) })
}

// queues are words in the names of metrics that count what waits: a shorter queue is never bad.
var queues = []string{"queue", "backlog", "lag", "pending", "waiting"}

func isQueue(name string) bool { return hasWord(name, queues) }

// isRestarts reports whether a metric counts restarts. Where it comes as a value, one more is news.
func isRestarts(name string) bool { return hasWord(name, restarts) }

var restarts = []string{"restart", "restarts"}

// instances begin the names of metrics that count the instances of a workload on Kubernetes, as its receivers and
// kube-state-metrics have them. There are few of them, and each counts.
var instances = []string{
	"k8s.deployment.", "k8s.replicaset.", "k8s.statefulset.", "k8s.daemonset.", "k8s.replication_controller.", "k8s.job.",
	"k8s.container.ready", "k8s.node.condition", "kube_deployment_status_", "kube_replicaset_status_", "kube_statefulset_status_",
	"kube_daemonset_status_", "kube_pod_container_status_", "kube_node_status_condition",
}

// ready are words for instances that can work: more of them is never bad.
var ready = []string{"available", "ready"}

func isInstances(name string) bool {
	return slices.ContainsFunc(instances, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}

// hasWord reports whether one of the words stands in the name.
func hasWord(name string, words []string) bool {
	for word := range strings.FieldsFuncSeq(name, func(r rune) bool { return r == '.' || r == '_' || r == '-' || r == '/' }) {
		if slices.Contains(words, word) {
			return true
		}
	}
	return false
}
