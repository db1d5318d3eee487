package incidentconnector

import (
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/paramedic-otel/paramedic/internal/edgehealth"
	"github.com/paramedic-otel/paramedic/semconv"
)

// maxNameBytes bounds names that telemetry brings in.
const maxNameBytes = 256

// actionAttributes are the resource attributes by which an action finds its target.
var actionAttributes = []string{
	semconv.AttrServiceName, semconv.AttrServiceNamespace, semconv.AttrServiceVersion, semconv.AttrServiceCriticality,
	semconv.AttrServiceOwner, semconv.AttrTeam,
	semconv.AttrK8sClusterName, semconv.AttrK8sNamespaceName, semconv.AttrK8sDeploymentName,
	semconv.AttrK8sStatefulSetName, semconv.AttrK8sDaemonSetName, semconv.AttrK8sPodName, semconv.AttrK8sPodUID,
	semconv.AttrK8sNodeName, semconv.AttrK8sContainerName, semconv.AttrContainerName, semconv.AttrHostName,
	semconv.AttrDeploymentEnvName, semconv.AttrServerAddress, semconv.AttrDBSystemName, semconv.AttrMessagingDest,
}

// serviceName returns the name of a service entity from its two attributes.
func serviceName(namespace, name string) string {
	if namespace == "" {
		return bounded(name)
	}
	return bounded(namespace) + "/" + bounded(name)
}

func serviceNode(name string) edgehealth.Node {
	return edgehealth.Node(semconv.Entity{Type: semconv.EntityService, Name: name}.String())
}

// entityOf returns the entity that a node stands for.
func entityOf(n edgehealth.Node) semconv.Entity {
	entityType, name, _ := strings.Cut(string(n), ":")
	return semconv.Entity{Type: semconv.EntityType(entityType), Name: name}
}

// resourceEntity derives the entity of a resource: its service, or else the database or queue that it is about, its pod, its
// workload, its container, its node or its host.
func resourceEntity(resource pcommon.Map) (semconv.Entity, bool) {
	if name := str(resource, semconv.AttrServiceName); name != "" {
		return semconv.Entity{Type: semconv.EntityService, Name: serviceName(str(resource, semconv.AttrServiceNamespace), name)}, true
	}
	if pod := str(resource, semconv.AttrK8sPodName); pod != "" {
		return semconv.Entity{Type: semconv.EntityPod, Name: serviceName(str(resource, semconv.AttrK8sNamespaceName), pod)}, true
	}
	if peer, ok := peerEntity(resource); ok {
		return peer, true
	}
	for _, by := range []struct {
		attribute  string
		entityType semconv.EntityType
	}{
		{semconv.AttrK8sDeploymentName, semconv.EntityDeployment},
		{semconv.AttrK8sStatefulSetName, semconv.EntityStatefulSet},
		{semconv.AttrK8sDaemonSetName, semconv.EntityDaemonSet},
	} {
		if name := str(resource, by.attribute); name != "" {
			return semconv.Entity{Type: by.entityType, Name: serviceName(str(resource, semconv.AttrK8sNamespaceName), name)}, true
		}
	}
	for _, by := range []struct {
		attribute  string
		entityType semconv.EntityType
	}{
		{semconv.AttrContainerName, semconv.EntityContainer},
		{semconv.AttrK8sNodeName, semconv.EntityNode},
		{semconv.AttrHostName, semconv.EntityHost},
	} {
		if name := str(resource, by.attribute); name != "" {
			return semconv.Entity{Type: by.entityType, Name: bounded(name)}, true
		}
	}
	return semconv.Entity{}, false
}

// destinations are the attributes by which receivers name the queue or topic that a series is about.
var destinations = []string{semconv.AttrMessagingDest, "topic", "rabbitmq.queue.name"}

// addresses are those by which they name the server.
var addresses = []string{semconv.AttrServerAddress, "mysql.instance.endpoint"}

// peerEntity derives the database, queue or other server that attributes of a resource, or of a point, say a series is about.
func peerEntity(attrs pcommon.Map) (semconv.Entity, bool) {
	for _, key := range destinations {
		if name := str(attrs, key); name != "" {
			return semconv.Entity{Type: semconv.EntityMessaging, Name: bounded(name)}, true
		}
	}
	for _, key := range addresses {
		name := str(attrs, key)
		if name == "" {
			continue
		}
		entityType := semconv.EntityExternal
		if str(attrs, semconv.AttrDBSystemName) != "" {
			entityType = semconv.EntityDatabase
		}
		return semconv.Entity{Type: entityType, Name: bounded(name)}, true
	}
	return semconv.Entity{}, false
}

// pointEntity derives the entity of a point: that of its resource, unless that is only the machine where something watches the
// database or queue that the point itself names.
func pointEntity(resource semconv.Entity, known bool, attrs pcommon.Map) (semconv.Entity, bool) {
	if !known || isMachine(resource) {
		if peer, ok := peerEntity(attrs); ok {
			return peer, true
		}
	}
	return resource, known
}

// directory knows the services that were seen and how to act on them.
type directory struct {
	limit int
	// names is sorted.
	names     []string
	resources map[string]map[string]string
	// namespaced maps names without their namespace to the services that have them.
	namespaced map[string][]string
	// seen is when each was last seen.
	seen map[string]time.Time
	// versions are what was running of each.
	versions map[string]*versions
	// records is when log records of each last came, errors are examples of those.
	records map[string]time.Time
	errors  map[string]*logExamples
	// traced are those that make spans, by which the service graph knows them.
	traced map[string]bool
	// changes counts whatever changes what names mean.
	changes int
}

func newDirectory(limit int) *directory {
	return &directory{
		limit: limit, resources: map[string]map[string]string{}, seen: map[string]time.Time{}, namespaced: map[string][]string{}, versions: map[string]*versions{},
		records: map[string]time.Time{}, errors: map[string]*logExamples{}, traced: map[string]bool{},
	}
}

// qualify returns the one service that a name without a namespace can mean: some producers of service graphs leave
// namespaces out.
func (d *directory) qualify(name string) string {
	if _, known := d.resources[name]; !known {
		if services := d.namespaced[name]; len(services) == 1 {
			return services[0]
		}
	}
	return name
}

// bareName returns a service's name without its namespace.
func bareName(name string) string { return name[strings.LastIndexByte(name, '/')+1:] }

// noteRecord notes that a known service has written a log record, and keeps an error as an example.
func (d *directory) noteRecord(service string, at time.Time, isError bool, text string, trace pcommon.TraceID, bucket time.Duration) {
	if at.After(d.records[service]) {
		d.records[service] = at
	}
	if !isError || trace.IsEmpty() {
		return
	}
	if d.errors[service] == nil {
		d.errors[service] = &logExamples{}
	}
	d.errors[service].add(text, trace, at, bucket)
}

// examplesOf returns traces in which a service has logged errors with a template since a time.
func (d *directory) examplesOf(service, template string, since time.Time) traces {
	if l := d.errors[service]; l != nil {
		return l.of(template, since)
	}
	return nil
}

// forget drops the services that were not seen since a time.
func (d *directory) forget(before time.Time) {
	for name, v := range d.versions {
		if v.last.Before(before) {
			delete(d.versions, name)
		}
	}
	d.names = slices.DeleteFunc(d.names, func(name string) bool {
		if !d.seen[name].Before(before) {
			return false
		}
		delete(d.resources, name)
		delete(d.seen, name)
		delete(d.records, name)
		delete(d.errors, name)
		delete(d.traced, name)
		d.changes++
		bare := bareName(name)
		if d.namespaced[bare] = slices.DeleteFunc(d.namespaced[bare], func(n string) bool { return n == name }); len(d.namespaced[bare]) == 0 {
			delete(d.namespaced, bare)
		}
		return true
	})
}

// pause says that nobody looked for a while: no service has been silent in that time.
func (d *directory) pause(gap time.Duration) {
	for name, seen := range d.seen {
		d.seen[name] = seen.Add(gap)
	}
}

// see notes at a time a service and what its resource says; isKnown is false when there is no room for it, and isNew is true
// the first time.
func (d *directory) see(name string, at time.Time, resource pcommon.Map) (isKnown, isNew bool) {
	known := d.resources[name]
	if known == nil {
		isNew = true
		if len(d.names) >= d.limit {
			return false, false
		}
		known = map[string]string{}
		d.add(name, known)
	}
	for _, key := range actionAttributes {
		if v := str(resource, key); v != "" && v != known[key] {
			known[key] = bounded(v)
		}
	}
	d.seen[name] = at
	return true, isNew
}

func (d *directory) add(name string, resource map[string]string) {
	d.resources[name] = resource
	d.changes++
	if bare := bareName(name); bare != name {
		d.namespaced[bare] = append(d.namespaced[bare], name)
	}
	i, _ := slices.BinarySearch(d.names, name)
	d.names = slices.Insert(d.names, i, name)
}

// meet notes the service of a resource, and tells whether there is room for it.
func (e *engine) meet(name string, resource pcommon.Map) bool {
	at := e.clock.watermark
	known, isNew := e.directory.see(name, at, resource)
	if known {
		e.noteVersions(name, at, resource)
	}
	if isNew {
		e.newcomers = append(e.newcomers, name)
	}
	return known
}

func str(m pcommon.Map, key string) string {
	if v, ok := m.Get(key); ok && v.Type() == pcommon.ValueTypeStr {
		return v.Str()
	}
	return ""
}

// bounded cuts a name that telemetry brought in to a sane length and makes it valid text. What is cut off is not kept in memory.
func bounded(s string) string {
	if len(s) > maxNameBytes {
		s = strings.Clone(s[:maxNameBytes])
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
