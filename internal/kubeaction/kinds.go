package kubeaction

import (
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// kind is a kind of object that we read or write. The table spares us discovery, and with it a permission and a delay.
type kind struct {
	name     string // Kind
	resource schema.GroupVersionResource
}

func kindOf(name, group, version, resource string) kind {
	return kind{name, schema.GroupVersionResource{Group: group, Version: version, Resource: resource}}
}

var (
	kindDeployment         = kindOf("Deployment", "apps", "v1", "deployments")
	kindStatefulSet        = kindOf("StatefulSet", "apps", "v1", "statefulsets")
	kindDaemonSet          = kindOf("DaemonSet", "apps", "v1", "daemonsets")
	kindReplicaSet         = kindOf("ReplicaSet", "apps", "v1", "replicasets")
	kindControllerRevision = kindOf("ControllerRevision", "apps", "v1", "controllerrevisions")
	kindJob                = kindOf("Job", "batch", "v1", "jobs")
	kindCronJob            = kindOf("CronJob", "batch", "v1", "cronjobs")
	kindPod                = kindOf("Pod", "", "v1", "pods")
	kindNode               = kindOf("Node", "", "v1", "nodes")
	kindNetworkPolicy      = kindOf("NetworkPolicy", "networking.k8s.io", "v1", "networkpolicies")
	kindConfigMap          = kindOf("ConfigMap", "", "v1", "configmaps")
	kindHPA                = kindOf("HorizontalPodAutoscaler", "autoscaling", "v2", "horizontalpodautoscalers")
	kindRollout            = kindOf("Rollout", "argoproj.io", "v1alpha1", "rollouts")
	kindScaledObject       = kindOf("ScaledObject", "keda.sh", "v1alpha1", "scaledobjects")
	kindApplication        = kindOf("Application", "argoproj.io", "v1alpha1", "applications")
	kindKustomization      = kindOf("Kustomization", "kustomize.toolkit.fluxcd.io", "v1", "kustomizations")
	kindHelmRelease        = kindOf("HelmRelease", "helm.toolkit.fluxcd.io", "v2", "helmreleases")
)

// workloads are the kinds whose pods serve.
var workloads = []kind{kindDeployment, kindStatefulSet, kindDaemonSet, kindRollout}

var kinds = []kind{
	kindDeployment, kindStatefulSet, kindDaemonSet, kindReplicaSet, kindControllerRevision, kindJob, kindCronJob, kindPod,
	kindNode, kindNetworkPolicy,
	kindConfigMap, kindHPA, kindRollout, kindScaledObject, kindApplication, kindKustomization, kindHelmRelease,
}

// find gives the kind of an object; ok is false for one that we do not know. With a group, the group must be the kind's.
func findKind(name, apiVersion string) (kind, bool) {
	group := ""
	if gv, err := schema.ParseGroupVersion(apiVersion); err == nil {
		group = gv.Group
	}
	for _, k := range kinds {
		if k.name == name && (apiVersion == "" || k.resource.Group == group) {
			return k, true
		}
	}
	return kind{}, false
}

func (k kind) apiVersion() string { return k.resource.GroupVersion().String() }

func (k kind) permission(verbs ...string) permission {
	return permission{Group: k.resource.Group, Resource: k.resource.Resource, Verbs: verbs}
}

// served is optional for a kind that a cluster may lack.
func (k kind) served(verbs ...string) permission {
	p := k.permission(verbs...)
	p.Optional = !k.builtin()
	return p
}

func (k kind) builtin() bool { return !strings.Contains(k.resource.Group, ".") }

func (k kind) optional(verbs ...string) permission {
	p := k.permission(verbs...)
	p.Optional = true
	return p
}
