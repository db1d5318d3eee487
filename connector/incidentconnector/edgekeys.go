package incidentconnector

import (
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/paramedic-otel/paramedic/internal/edgehealth"
	"github.com/paramedic-otel/paramedic/semconv"
)

// edgeNames are the attributes of a service graph point that say between whom the calls were.
type edgeNames struct {
	client, server, clientNamespace, serverNamespace, connection, virtual string
}

func edgeNamesOf(attrs pcommon.Map) edgeNames {
	return edgeNames{
		client: str(attrs, semconv.AttrGraphClient), server: str(attrs, semconv.AttrGraphServer),
		clientNamespace: str(attrs, semconv.AttrGraphClientNamespace), serverNamespace: str(attrs, semconv.AttrGraphServerNamespace),
		connection: str(attrs, semconv.AttrGraphConnectionType), virtual: str(attrs, semconv.AttrGraphVirtualNode),
	}
}

// maxKeptNames is up to how many bytes names of an edge are remembered with what they mean.
const maxKeptNames = 4 * maxNameBytes

func (n *edgeNames) len() int {
	return len(n.client) + len(n.server) + len(n.clientNamespace) + len(n.serverNamespace) + len(n.connection) + len(n.virtual)
}

func (n *edgeNames) clone() edgeNames {
	return edgeNames{
		strings.Clone(n.client), strings.Clone(n.server), strings.Clone(n.clientNamespace), strings.Clone(n.serverNamespace),
		strings.Clone(n.connection), strings.Clone(n.virtual),
	}
}

// edgeKeys remembers what the names of edges mean, so that a point of a known series costs no more than a look.
type edgeKeys struct {
	limit int
	keys  map[edgeNames]edgehealth.Key
	// changes is that of the directory when it was last looked up.
	changes int
}

func newEdgeKeys(limit int) *edgeKeys {
	return &edgeKeys{limit: limit, keys: map[edgeNames]edgehealth.Key{}}
}

// edgeKey derives both ends of an edge from the attributes of a service graph point.
func (e *engine) edgeKey(attrs pcommon.Map) (edgehealth.Key, bool) {
	names := edgeNamesOf(attrs)
	if names.client == "" || names.server == "" {
		return edgehealth.Key{}, false
	}
	if e.edgeKeys.changes != e.directory.changes {
		clear(e.edgeKeys.keys)
		e.edgeKeys.changes = e.directory.changes
	}
	key, known := e.edgeKeys.keys[names]
	if known {
		return key, true
	}
	key = e.directory.resolve(&names)
	if names.len() <= maxKeptNames {
		if len(e.edgeKeys.keys) >= e.edgeKeys.limit {
			clear(e.edgeKeys.keys)
		}
		e.edgeKeys.keys[names.clone()] = key
	}
	return key, true
}

// resolve returns the nodes that the names of an edge mean, and notes which services make spans.
func (d *directory) resolve(n *edgeNames) edgehealth.Key {
	client := d.qualify(serviceName(n.clientNamespace, n.client))
	server := d.qualify(serviceName(n.serverNamespace, n.server))
	key := edgehealth.Key{Client: serviceNode(client), Server: serviceNode(server)}
	switch {
	case n.virtual == "client" || (n.client == semconv.GraphUser && n.connection == semconv.ConnectionVirtual):
		key.Client = virtualNode(semconv.EntityExternal, n.client)
	case n.virtual == "server" || n.connection != semconv.ConnectionVirtual:
		d.trace(client)
	}
	if n.virtual != "server" && (n.connection == "" || n.connection == semconv.ConnectionMessaging) {
		d.trace(server)
	}
	known, isKnown := d.serviceAt(n.clientNamespace, n.server)
	switch {
	case isKnown && n.connection == semconv.ConnectionDatabase && !d.traced[known], isKnown && n.connection != semconv.ConnectionDatabase && n.virtual == "server":
		key.Server = serviceNode(known)
	case n.connection == semconv.ConnectionDatabase:
		key.Server = virtualNode(semconv.EntityDatabase, n.server)
	case n.virtual == "server" && n.connection == semconv.ConnectionMessaging:
		key.Server = virtualNode(semconv.EntityMessaging, n.server)
	case n.virtual == "server":
		key.Server = virtualNode(semconv.EntityExternal, n.server)
	}
	return key
}

func virtualNode(entityType semconv.EntityType, name string) edgehealth.Node {
	return edgehealth.Node(semconv.Entity{Type: entityType, Name: bounded(name)}.String())
}

// trace notes that a service, if it is a known one, makes spans: a database that has its name is another thing, for that has
// spans of its callers alone. Who owns a database often gives it the own name.
func (d *directory) trace(name string) {
	if d.resources[name] != nil && !d.traced[name] {
		d.traced[name] = true
		d.changes++
	}
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
