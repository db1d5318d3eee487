package incidentconnector

import (
	"strings"

	"github.com/paramedic-otel/paramedic/internal/edgehealth"
	"github.com/paramedic-otel/paramedic/semconv"
)

// peers finds the nodes of the service graph that send no telemetry of their own. The graph names them by their address, which
// a database's name may follow, or by a destination, which the system's name may precede.
type peers struct {
	// hosts are those by their whole host, labels by the first label of a host that has more, destinations by the name of a
	// queue or topic.
	hosts, labels, destinations map[string]semconv.Entity
}

func (e *engine) findPeers() *peers {
	p := &peers{hosts: map[string]semconv.Entity{}, labels: map[string]semconv.Entity{}, destinations: map[string]semconv.Entity{}}
	// The edges come in order: of several nodes the first counts.
	first := func(m map[string]semconv.Entity, key string, entity semconv.Entity) {
		if _, known := m[key]; !known && key != "" {
			m[key] = entity
		}
	}
	e.edges.Edges(func(k edgehealth.Key) {
		entity := entityOf(k.Server)
		if !isPeer(entity) {
			return
		}
		host := hostOf(entity.Name)
		first(p.hosts, host, entity)
		if label := firstLabel(host); label != host {
			first(p.labels, label, entity)
		}
		if entity.Type == semconv.EntityMessaging {
			_, destination, _ := strings.Cut(entity.Name, "/")
			first(p.destinations, destination, entity)
			first(p.destinations, entity.Name, entity)
		}
	})
	return p
}

// at returns the node at an address, be it that one of the two leaves out the domain.
func (p *peers) at(address string) (semconv.Entity, bool) {
	host := hostOf(address)
	if found, ok := p.hosts[host]; ok {
		return found, true
	}
	label := firstLabel(host)
	if label == host {
		found, ok := p.labels[host]
		return found, ok
	}
	found, ok := p.hosts[label]
	return found, ok && label != ""
}

// peerAt returns the service or the node of the service graph that a database, a queue or another server is.
func (e *engine) peerAt(peer semconv.Entity) semconv.Entity {
	if peer.Type != semconv.EntityMessaging {
		name, ok := e.directory.serviceAt("", peer.Name)
		if !ok {
			name = e.directory.qualify(firstLabel(peer.Name))
			ok = e.directory.resources[name] != nil
		}
		if ok && (peer.Type != semconv.EntityDatabase || !e.directory.traced[name]) {
			return semconv.Entity{Type: semconv.EntityService, Name: name}
		}
	}
	if e.peers == nil {
		e.peers = e.findPeers()
	}
	if peer.Type == semconv.EntityMessaging {
		if found, ok := e.peers.destinations[peer.Name]; ok {
			return found
		}
		return peer
	}
	if found, ok := e.peers.at(peer.Name); ok {
		return found
	}
	return peer
}

// hostOf returns the host part of an address that a port and a name may follow.
func hostOf(address string) string {
	host, _, _ := strings.Cut(address, "/")
	if strings.Count(host, ":") == 1 {
		host, _, _ = strings.Cut(host, ":")
	}
	return host
}

// firstLabel returns the first label of the host of an address; of an IP address, all.
func firstLabel(address string) string {
	host := hostOf(address)
	label, _, _ := strings.Cut(host, ".")
	if isNumber(label) {
		return host
	}
	return label
}

func isNumber(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}
