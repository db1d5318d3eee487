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
	semconv.AttrK8sClusterName, semconv.AttrK8sNamespaceName, semconv.AttrK8sDeploymentName,
	semconv.AttrK8sStatefulSetName, semconv.AttrK8sDaemonSetName, semconv.AttrK8sPodName, semconv.AttrK8sPodUID,
	semconv.AttrK8sNodeName, semconv.AttrK8sContainerName, semconv.AttrHostName, semconv.AttrDeploymentEnvName,
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

// resourceEntity derives the entity of a resource: its service, or else its pod, node or host.
func resourceEntity(resource pcommon.Map) (semconv.Entity, bool) {
	if name := str(resource, semconv.AttrServiceName); name != "" {
		return semconv.Entity{Type: semconv.EntityService, Name: serviceName(str(resource, semconv.AttrServiceNamespace), name)}, true
	}
	for _, by := range []struct {
		attribute  string
		entityType semconv.EntityType
	}{
		{semconv.AttrK8sPodName, semconv.EntityPod},
		{semconv.AttrK8sNodeName, semconv.EntityNode},
		{semconv.AttrHostName, semconv.EntityHost},
	} {
		if name := str(resource, by.attribute); name != "" {
			return semconv.Entity{Type: by.entityType, Name: bounded(name)}, true
		}
	}
	return semconv.Entity{}, false
}

// edgeKey derives both ends of an edge from the attributes of a service graph point.
func (e *engine) edgeKey(attrs pcommon.Map) (edgehealth.Key, bool) {
	client, server := str(attrs, semconv.AttrGraphClient), str(attrs, semconv.AttrGraphServer)
	if client == "" || server == "" {
		return edgehealth.Key{}, false
	}
	namespace := str(attrs, semconv.AttrGraphClientNamespace)
	virtual := str(attrs, semconv.AttrGraphVirtualNode)
	connection := str(attrs, semconv.AttrGraphConnectionType)
	key := edgehealth.Key{
		Client: serviceNode(e.directory.qualify(serviceName(namespace, client))),
		Server: serviceNode(e.directory.qualify(serviceName(str(attrs, semconv.AttrGraphServerNamespace), server))),
	}
	if virtual == "client" || (client == semconv.GraphUser && connection == semconv.ConnectionVirtual) {
		key.Client = virtualNode(semconv.EntityExternal, client)
	}
	known, isKnown := e.directory.serviceAt(namespace, server)
	switch {
	case isKnown && (virtual == "server" || connection == semconv.ConnectionDatabase):
		key.Server = serviceNode(known)
	case connection == semconv.ConnectionDatabase:
		key.Server = virtualNode(semconv.EntityDatabase, server)
	case virtual == "server" && connection == semconv.ConnectionMessaging:
		key.Server = virtualNode(semconv.EntityMessaging, server)
	case virtual == "server":
		key.Server = virtualNode(semconv.EntityExternal, server)
	}
	return key, true
}

func virtualNode(entityType semconv.EntityType, name string) edgehealth.Node {
	return edgehealth.Node(semconv.Entity{Type: entityType, Name: bounded(name)}.String())
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
}

func newDirectory(limit int) *directory {
	return &directory{limit: limit, resources: map[string]map[string]string{}, seen: map[string]time.Time{}, namespaced: map[string][]string{}}
}

// serviceAt returns the known service that a caller in a namespace reaches under an address: a peer that sends no spans
// of its own, such as a database or a crashed service, is named by its address in the graph. The address may be a host
// name, of which the first label counts, and a database name may follow it.
func (d *directory) serviceAt(namespace, address string) (string, bool) {
	host, _, _ := strings.Cut(address, "/")
	host, _, _ = strings.Cut(host, ":")
	label, _, _ := strings.Cut(host, ".")
	for _, candidate := range []string{host, label} {
		name := serviceName(namespace, candidate)
		if _, ok := d.resources[name]; ok && candidate != "" {
			return name, true
		}
	}
	return "", false
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

// forget drops the services that were not seen since a time.
func (d *directory) forget(before time.Time) {
	d.names = slices.DeleteFunc(d.names, func(name string) bool {
		if !d.seen[name].Before(before) {
			return false
		}
		delete(d.resources, name)
		delete(d.seen, name)
		bare := bareName(name)
		if d.namespaced[bare] = slices.DeleteFunc(d.namespaced[bare], func(n string) bool { return n == name }); len(d.namespaced[bare]) == 0 {
			delete(d.namespaced, bare)
		}
		return true
	})
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
		d.resources[name] = known
		if bare := bareName(name); bare != name {
			d.namespaced[bare] = append(d.namespaced[bare], name)
		}
		i, _ := slices.BinarySearch(d.names, name)
		d.names = slices.Insert(d.names, i, name)
	}
	for _, key := range actionAttributes {
		if v := str(resource, key); v != "" && v != known[key] {
			known[key] = bounded(v)
		}
	}
	d.seen[name] = at
	return true, isNew
}

// meet notes the service of a resource. The edges that led to its address, while nobody knew that a service is behind it,
// lead to the service from now on: what is known of them under the address ends.
func (e *engine) meet(name string, resource pcommon.Map) bool {
	at := e.clock.watermark
	known, isNew := e.directory.see(name, at, resource)
	if !isNew {
		return known
	}
	var stale []edgehealth.Key
	bare := serviceNode(bareName(name))
	e.edges.Edges(func(k edgehealth.Key) {
		if bare != serviceNode(name) && (k.Client == bare || k.Server == bare) {
			stale = append(stale, k)
			return
		}
		server := entityOf(k.Server)
		if server.Type != semconv.EntityDatabase && server.Type != semconv.EntityExternal {
			return
		}
		namespace, _, named := strings.Cut(entityOf(k.Client).Name, "/")
		if !named {
			namespace = ""
		}
		if behind, ok := e.directory.serviceAt(namespace, server.Name); ok && behind == name {
			stale = append(stale, k)
		}
	})
	for _, k := range stale {
		e.edges.Forget(k)
	}
	return known
}

func str(m pcommon.Map, key string) string {
	if v, ok := m.Get(key); ok && v.Type() == pcommon.ValueTypeStr {
		return v.Str()
	}
	return ""
}

// bounded cuts a name that telemetry brought in to a sane length and makes it valid text.
func bounded(s string) string {
	if len(s) > maxNameBytes {
		s = s[:maxNameBytes]
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
