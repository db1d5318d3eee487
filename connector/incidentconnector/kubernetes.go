package incidentconnector

import (
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/paramedic-otel/paramedic/semconv"
)

// Attributes of the records that the k8sobjects and the k8s_events receivers make.
const (
	attrK8sResource    = "k8s.resource.name"
	attrK8sObjectKind  = "k8s.object.kind"
	attrK8sObjectName  = "k8s.object.name"
	attrK8sObjectPath  = "k8s.object.fieldpath"
	attrK8sEventReason = "k8s.event.reason"
	attrK8sEventUID    = "k8s.event.uid"
	attrK8sEventCount  = "k8s.event.count"
	// watchDeleted is what a watch says of an object that is gone.
	watchDeleted = "DELETED"
)

// kubeObject is an object of the Kubernetes API as the k8sobjects receiver reports it.
type kubeObject struct {
	// resource is the plural name of its kind, in lower case.
	resource, namespace, name string
	body                      pcommon.Map
	deleted                   bool
}

// kubeEvent is an event of Kubernetes about an object.
type kubeEvent struct {
	uid, reason, message string
	// kind, namespace and name are those of the object, container is the one of a pod that it is about, and node where it was
	// seen.
	kind, namespace, name, container, node string
	// count is how often it has happened so far.
	count int64
	// at is when it last happened; zero when it does not say so.
	at time.Time
}

// ingestKubernetes takes a record of an event or an object of Kubernetes. It returns false for other records.
func (e *engine) ingestKubernetes(at time.Time, resource pcommon.Map, lr plog.LogRecord) bool {
	if event, ok := eventOfRecord(resource, lr); ok {
		e.observeEvent(at, event)
		return true
	}
	object, ok := objectOf(lr)
	if !ok {
		return false
	}
	switch object.resource {
	case "events":
		if event, ok := eventOfObject(object.body); ok && !object.deleted {
			e.observeEvent(at, event)
		}
	case "deployments", "statefulsets", "daemonsets":
		e.observeWorkload(at, object)
	case "configmaps":
		e.observeConfigMap(at, object)
	case "pods":
		e.observePod(at, object)
	}
	return true
}

// objectOf reads the body of a record of the k8sobjects receiver: when it pulls, the object, and when it watches, what
// happened to it and the object.
func objectOf(lr plog.LogRecord) (kubeObject, bool) {
	resource := str(lr.Attributes(), attrK8sResource)
	if resource == "" || lr.Body().Type() != pcommon.ValueTypeMap {
		return kubeObject{}, false
	}
	object := kubeObject{resource: strings.ToLower(resource), body: lr.Body().Map()}
	if inner, ok := childOf(object.body, "object"); ok {
		object.deleted = str(object.body, "type") == watchDeleted
		object.body = inner
	}
	metadata, _ := childOf(object.body, "metadata")
	object.namespace, object.name = str(metadata, "namespace"), str(metadata, "name")
	return object, object.name != ""
}

// eventOfObject reads an event of either API group, v1 or events.k8s.io.
func eventOfObject(body pcommon.Map) (kubeEvent, bool) {
	metadata, _ := childOf(body, "metadata")
	involved, ok := childOf(body, "involvedObject")
	if !ok {
		involved, _ = childOf(body, "regarding")
	}
	series, _ := childOf(body, "series")
	event := kubeEvent{
		uid: bounded(str(metadata, "uid")), reason: bounded(str(body, "reason")), message: str(body, "message"),
		kind: str(involved, "kind"), namespace: bounded(str(involved, "namespace")), name: bounded(str(involved, "name")),
		container: containerOf(str(involved, "fieldPath")),
	}
	if event.message == "" {
		event.message = str(body, "note")
	}
	for _, source := range []string{"source", "deprecatedSource"} {
		if from, ok := childOf(body, source); ok && event.node == "" {
			event.node = bounded(str(from, "host"))
		}
	}
	event.count = max(1, integer(body, "count"), integer(body, "deprecatedCount"), integer(series, "count"))
	for _, t := range []time.Time{
		timeOf(body, "lastTimestamp"), timeOf(body, "deprecatedLastTimestamp"), timeOf(series, "lastObservedTime"), timeOf(body, "eventTime"),
		timeOf(body, "firstTimestamp"), timeOf(body, "deprecatedFirstTimestamp"), timeOf(metadata, "creationTimestamp"),
	} {
		if !t.IsZero() {
			event.at = t
			break
		}
	}
	return event, event.reason != "" && event.kind != "" && event.name != ""
}

// eventOfRecord reads an event in the form of the k8s_events receiver.
func eventOfRecord(resource pcommon.Map, lr plog.LogRecord) (kubeEvent, bool) {
	attrs := lr.Attributes()
	event := kubeEvent{
		uid: bounded(str(attrs, attrK8sEventUID)), reason: bounded(str(attrs, attrK8sEventReason)), message: messageOf(lr.Body()),
		kind: str(resource, attrK8sObjectKind), namespace: bounded(str(attrs, semconv.AttrK8sNamespaceName)), name: bounded(str(resource, attrK8sObjectName)),
		container: containerOf(str(resource, attrK8sObjectPath)), node: bounded(str(resource, semconv.AttrK8sNodeName)),
		count: max(1, integer(attrs, attrK8sEventCount)),
	}
	if lr.Timestamp() != 0 {
		event.at = lr.Timestamp().AsTime()
	}
	return event, event.reason != "" && event.kind != "" && event.name != ""
}

// containerOf returns the container that a path within a pod names, as "spec.containers{app}" does.
func containerOf(path string) string {
	_, rest, _ := strings.Cut(path, "{")
	name, _, ok := strings.Cut(rest, "}")
	if !ok {
		return ""
	}
	return bounded(name)
}

// entity returns what an event is about; false for kinds that nothing else tells of. A replica set is a part of its
// deployment, whose name it extends.
func (ev *kubeEvent) entity() (semconv.Entity, bool) {
	return kubeEntity(ev.kind, ev.namespace, ev.name)
}

func kubeEntity(kind, namespace, name string) (semconv.Entity, bool) {
	switch kind {
	case "Pod":
		return semconv.Entity{Type: semconv.EntityPod, Name: serviceName(namespace, name)}, true
	case "Deployment", "HorizontalPodAutoscaler":
		return semconv.Entity{Type: semconv.EntityDeployment, Name: serviceName(namespace, name)}, true
	case "ReplicaSet":
		return semconv.Entity{Type: semconv.EntityDeployment, Name: serviceName(namespace, name[:max(strings.LastIndexByte(name, '-'), 0)])}, true
	case "StatefulSet":
		return semconv.Entity{Type: semconv.EntityStatefulSet, Name: serviceName(namespace, name)}, true
	case "DaemonSet":
		return semconv.Entity{Type: semconv.EntityDaemonSet, Name: serviceName(namespace, name)}, true
	case "Node":
		return semconv.Entity{Type: semconv.EntityNode, Name: bounded(name)}, true
	default:
		return semconv.Entity{}, false
	}
}

// target returns the attributes by which an action finds what an event is about.
func (ev *kubeEvent) target() map[string]string {
	out := map[string]string{}
	put := func(key, value string) {
		if value != "" {
			out[key] = value
		}
	}
	entity, _ := ev.entity()
	put(semconv.AttrK8sNamespaceName, ev.namespace)
	switch entity.Type {
	case semconv.EntityPod:
		put(semconv.AttrK8sPodName, ev.name)
		put(semconv.AttrK8sContainerName, ev.container)
		put(semconv.AttrK8sNodeName, ev.node)
	case semconv.EntityNode:
		delete(out, semconv.AttrK8sNamespaceName)
		put(semconv.AttrK8sNodeName, ev.name)
	case semconv.EntityDeployment:
		put(semconv.AttrK8sDeploymentName, bareName(entity.Name))
	case semconv.EntityStatefulSet:
		put(semconv.AttrK8sStatefulSetName, ev.name)
	case semconv.EntityDaemonSet:
		put(semconv.AttrK8sDaemonSetName, ev.name)
	}
	return out
}

// childOf returns the map under a key; without one, an empty map and false.
func childOf(m pcommon.Map, key string) (pcommon.Map, bool) {
	if v, ok := m.Get(key); ok && v.Type() == pcommon.ValueTypeMap {
		return v.Map(), true
	}
	return pcommon.NewMap(), false
}

// maxItems is how many entries of a list in an object are read.
const maxItems = 64

// itemsOf calls visit for the maps in the list under a key.
func itemsOf(m pcommon.Map, key string, visit func(pcommon.Map)) {
	v, ok := m.Get(key)
	if !ok || v.Type() != pcommon.ValueTypeSlice {
		return
	}
	for i := range min(v.Slice().Len(), maxItems) {
		if item := v.Slice().At(i); item.Type() == pcommon.ValueTypeMap {
			visit(item.Map())
		}
	}
}

// integer returns the number under a key, 0 without one or where it is out of range.
func integer(m pcommon.Map, key string) int64 {
	v, ok := m.Get(key)
	if !ok {
		return 0
	}
	const most = 1 << 40
	switch v.Type() {
	case pcommon.ValueTypeInt:
		if n := v.Int(); n > -most && n < most {
			return n
		}
	case pcommon.ValueTypeDouble:
		if f := v.Double(); f > -most && f < most {
			return int64(f)
		}
	}
	return 0
}

// timeOf returns the time under a key, in RFC 3339.
func timeOf(m pcommon.Map, key string) time.Time {
	s := str(m, key)
	if s == "" || len(s) > 64 {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil || t.Unix() <= 0 || t.Year() > 2200 {
		return time.Time{}
	}
	return t.UTC()
}
