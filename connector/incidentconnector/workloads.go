package incidentconnector

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/pdatautil"
	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/paramedic-otel/paramedic/semconv"
)

// restartedAt is the annotation of a pod template that `kubectl rollout restart` writes.
const restartedAt = "kubectl.kubernetes.io/restartedAt"

// maxReplicaSets is how many replica sets of a deployment are known by name.
const maxReplicaSets = 16

// objects are the workloads and config maps of Kubernetes as they were last reported.
type objects struct {
	limit     int
	workloads map[semconv.Entity]*workload
	// configMaps holds a hash of each one's data by its name with its namespace.
	configMaps map[string][16]byte
	// replicaSets are the names of each deployment's that were seen, the newest last.
	replicaSets map[semconv.Entity][]string
	// deleted holds the pods that are gone, for as long as their series may still be held.
	deleted map[semconv.Entity]deletedPod
}

// deletedPod tells a pod that is gone from a later one of the same name.
type deletedPod struct {
	at  time.Time
	uid string
}

// workload is a deployment, a stateful set or a daemon set.
type workload struct {
	// images are those of the containers as "<container>=<image>", and previous those before them, in order.
	images, previous []string
	// spec and annotations are hashes of what its pods are made of.
	spec, annotations [16]byte
	restarted         string
	replicas          int64
	// configMaps are the names of those that its pods read.
	configMaps []string
}

func newObjects(limit int) *objects {
	return &objects{limit: limit, workloads: map[semconv.Entity]*workload{}, configMaps: map[string][16]byte{}, replicaSets: map[semconv.Entity][]string{}, deleted: map[semconv.Entity]deletedPod{}}
}

func (o *objects) len() int {
	return len(o.workloads) + len(o.configMaps) + len(o.replicaSets) + len(o.deleted)
}

// forgetDeleted drops the pods that were gone before a time.
func (o *objects) forgetDeleted(before time.Time) {
	maps.DeleteFunc(o.deleted, func(_ semconv.Entity, d deletedPod) bool { return d.at.Before(before) })
}

// newReplicaSet reports whether a replica set of a deployment is another one than those that were seen before.
func (o *objects) newReplicaSet(deployment semconv.Entity, name string) bool {
	known := o.replicaSets[deployment]
	if slices.Contains(known, name) || known == nil && o.len() >= o.limit {
		return false
	}
	if len(known) >= maxReplicaSets {
		known = known[1:]
	}
	o.replicaSets[deployment] = append(slices.Clip(known), name)
	return len(known) > 0
}

var kindsOfResources = map[string]string{"deployments": "Deployment", "statefulsets": "StatefulSet", "daemonsets": "DaemonSet"}

// observeWorkload compares a workload with what it was when it was last reported.
func (e *engine) observeWorkload(at time.Time, object kubeObject) {
	entity, ok := kubeEntity(kindsOfResources[object.resource], object.namespace, object.name)
	if !ok {
		return
	}
	known := e.objects.workloads[entity]
	if object.deleted {
		if known != nil {
			delete(e.objects.workloads, entity)
			e.noteChange(at, entity, semconv.ChangeRemoval, "was deleted", false)
		}
		return
	}
	if known == nil && e.objects.len() >= e.objects.limit {
		e.refusals.limit++
		return
	}
	now := workloadOf(object.body)
	e.objects.workloads[entity] = now
	if known == nil {
		if changedJustNow(object.body) {
			e.noteChange(at, entity, "", "was changed, from what is not known", true)
		}
		return
	}
	now.previous = known.previous
	switch {
	case !slices.Equal(now.images, known.images):
		now.previous = known.images
		kind := semconv.ChangeImage
		if slices.Equal(now.images, known.previous) {
			kind = semconv.ChangeRollback
		}
		e.noteChange(at, entity, kind, imageChange(known.images, now.images), false)
	case now.spec != known.spec || now.annotations != known.annotations:
		e.noteChange(at, entity, semconv.ChangeConfig, "what its pods are made of was changed", false)
	case now.restarted != known.restarted:
		e.noteChange(at, entity, semconv.ChangeRestart, "was restarted", false)
	case now.replicas != known.replicas:
		e.noteChange(at, entity, semconv.ChangeScaling, fmt.Sprintf("scaled from %d to %d", known.replicas, now.replicas), false)
	}
}

// changedJustNow reports whether the controller of a workload has not seen the newest change of it yet.
func changedJustNow(body pcommon.Map) bool {
	metadata, _ := childOf(body, "metadata")
	status, _ := childOf(body, "status")
	observed := integer(status, "observedGeneration")
	return observed > 0 && integer(metadata, "generation") > observed
}

// workloadOf reads what matters of a workload.
func workloadOf(body pcommon.Map) *workload {
	spec, _ := childOf(body, "spec")
	template, _ := childOf(spec, "template")
	metadata, _ := childOf(template, "metadata")
	annotations, _ := childOf(metadata, "annotations")
	pod, _ := childOf(template, "spec")
	w := &workload{replicas: integer(spec, "replicas"), spec: pdatautil.MapHash(pod), restarted: bounded(str(annotations, restartedAt))}
	others := pcommon.NewMap()
	for k, v := range annotations.All() {
		if k != restartedAt {
			v.CopyTo(others.PutEmpty(k))
		}
	}
	w.annotations = pdatautil.MapHash(others)
	reads := func(name string) {
		if name != "" && !slices.Contains(w.configMaps, name) && len(w.configMaps) < maxItems {
			w.configMaps = append(w.configMaps, bounded(name))
		}
	}
	from := func(m pcommon.Map, key string) {
		ref, _ := childOf(m, key)
		reads(str(ref, "name"))
	}
	for _, list := range []string{"initContainers", "containers"} {
		itemsOf(pod, list, func(container pcommon.Map) {
			if len(w.images) < maxItems {
				w.images = append(w.images, bounded(str(container, "name"))+"="+bounded(str(container, "image")))
			}
			itemsOf(container, "envFrom", func(source pcommon.Map) { from(source, "configMapRef") })
			itemsOf(container, "env", func(env pcommon.Map) {
				value, _ := childOf(env, "valueFrom")
				from(value, "configMapKeyRef")
			})
		})
	}
	itemsOf(pod, "volumes", func(volume pcommon.Map) { from(volume, "configMap") })
	slices.Sort(w.images)
	return w
}

// imageChange says which images were exchanged.
func imageChange(before, after []string) string {
	var parts []string
	for _, image := range after {
		if slices.Contains(before, image) {
			continue
		}
		name, to, _ := strings.Cut(image, "=")
		from := "none"
		for _, old := range before {
			if was, image, _ := strings.Cut(old, "="); was == name {
				from = image
			}
		}
		parts = append(parts, fmt.Sprintf("image of %s %s → %s", name, from, to))
	}
	if len(parts) == 0 {
		return "a container was removed"
	}
	return strings.Join(parts, ", ")
}

// observeConfigMap compares the data of a config map with what they were. Workloads that are known to read it have changed
// with it; of others, it is only supposed when they have its name, or one that it extends.
func (e *engine) observeConfigMap(at time.Time, object kubeObject) {
	name := serviceName(object.namespace, object.name)
	before, known := e.objects.configMaps[name]
	if !known && e.objects.len() >= e.objects.limit {
		e.refusals.limit++
		return
	}
	contents := pcommon.NewMap()
	for _, key := range []string{"data", "binaryData"} {
		if data, ok := childOf(object.body, key); ok {
			data.CopyTo(contents.PutEmptyMap(key))
		}
	}
	hash := pdatautil.MapHash(contents)
	e.objects.configMaps[name] = hash
	if object.deleted {
		delete(e.objects.configMaps, name)
	} else if !known || hash == before {
		return
	}
	summary := "config map " + bounded(object.name) + " was changed"
	for _, entity := range sortedEntities(e.objects.workloads) {
		if namespaceOf(entity) == object.namespace && slices.Contains(e.objects.workloads[entity].configMaps, bounded(object.name)) {
			e.noteChange(at, entity, semconv.ChangeConfig, summary, false)
		}
	}
	for _, entity := range e.workloadsIn(object.namespace) {
		bare := bareName(entity.Name)
		w := e.objects.workloads[entity]
		if (w == nil || !slices.Contains(w.configMaps, bounded(object.name))) && (object.name == bare || strings.HasPrefix(object.name, bare+"-")) {
			e.noteChange(at, entity, semconv.ChangeConfig, summary, true)
		}
	}
}

// workloadsIn returns the workloads of a namespace that anything tells of, in order.
func (e *engine) workloadsIn(namespace string) []semconv.Entity {
	found := map[semconv.Entity]bool{}
	for entity := range e.objects.workloads {
		found[entity] = namespaceOf(entity) == namespace
	}
	for entity := range e.relations.links {
		if slices.Contains(workloadTypes, entity.Type) {
			found[entity] = namespaceOf(entity) == namespace
		}
	}
	return slices.DeleteFunc(sortedEntities(found), func(entity semconv.Entity) bool { return !found[entity] })
}

func namespaceOf(entity semconv.Entity) string {
	namespace, _, ok := strings.Cut(entity.Name, "/")
	if !ok {
		return ""
	}
	return namespace
}

// observePod learns from a pod where it runs and what became of its containers.
func (e *engine) observePod(at time.Time, object kubeObject) {
	pod := semconv.Entity{Type: semconv.EntityPod, Name: serviceName(object.namespace, object.name)}
	if object.deleted {
		e.notePodDeleted(at, pod, object)
		return
	}
	relate := func(other semconv.Entity) {
		if !e.relations.see(pod, other, at) {
			e.refusals.limit++
		}
	}
	metadata, _ := childOf(object.body, "metadata")
	spec, _ := childOf(object.body, "spec")
	status, _ := childOf(object.body, "status")
	node := bounded(str(spec, "nodeName"))
	if node != "" {
		relate(semconv.Entity{Type: semconv.EntityNode, Name: node})
	}
	itemsOf(metadata, "ownerReferences", func(owner pcommon.Map) {
		if entity, ok := kubeEntity(str(owner, "kind"), object.namespace, str(owner, "name")); ok && slices.Contains(workloadTypes, entity.Type) {
			relate(entity)
		}
	})
	uid := bounded(str(metadata, "uid"))
	itemsOf(status, "containerStatuses", func(container pcommon.Map) {
		name := bounded(str(container, "name"))
		tell := func(state, reason, message string, count int64, when time.Time) {
			if reason == "" || reason == "Completed" {
				return
			}
			e.observeEvent(at, kubeEvent{
				uid: uid + "/" + name + "/" + state, reason: bounded(reason), message: message, count: count, at: when,
				kind: "Pod", namespace: object.namespace, name: bounded(object.name), container: name, node: node,
			})
		}
		restarts := integer(container, "restartCount")
		// What has ended is the current state until the container is started anew, which counts as a restart.
		ended := func(state pcommon.Map, restarts int64) {
			end, _ := childOf(state, "terminated")
			tell("terminated", str(end, "reason"), fmt.Sprintf("container %s ended with code %d", name, integer(end, "exitCode")), restarts, timeOf(end, "finishedAt"))
		}
		last, _ := childOf(container, "lastState")
		ended(last, restarts)
		state, _ := childOf(container, "state")
		ended(state, restarts+1)
		waiting, _ := childOf(state, "waiting")
		tell("waiting", str(waiting, "reason"), str(waiting, "message"), restarts+1, time.Time{})
	})
}

// notePodDeleted notes that a pod is gone, and whatever is wrong with it.
func (e *engine) notePodDeleted(at time.Time, pod semconv.Entity, object kubeObject) {
	if _, known := e.objects.deleted[pod]; !known && e.objects.len() >= e.objects.limit {
		e.refusals.limit++
		return
	}
	metadata, _ := childOf(object.body, "metadata")
	e.objects.deleted[pod] = deletedPod{at: at, uid: bounded(str(metadata, "uid"))}
}

// outlived reports whether a series is of a pod that Kubernetes says is gone, and has ended with it: nobody will say that it
// is as usual again. What is sent last may come, or be measured, a bucket after the pod's end.
func (e *engine) outlived(s *signal, now time.Time) bool {
	name := s.resource[semconv.AttrK8sPodName]
	if name == "" || len(e.objects.deleted) == 0 {
		return false
	}
	pod := semconv.Entity{Type: semconv.EntityPod, Name: serviceName(s.resource[semconv.AttrK8sNamespaceName], name)}
	d, ok := e.objects.deleted[pod]
	if uid := s.resource[semconv.AttrK8sPodUID]; !ok || uid != "" && d.uid != "" && uid != d.uid {
		return false
	}
	end := d.at.Add(e.cfg.Bucket)
	return !s.last.After(end) && !now.Before(end)
}
