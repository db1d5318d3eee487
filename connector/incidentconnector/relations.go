package incidentconnector

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/paramedic-otel/paramedic/semconv"
)

// relations are what runs on what, as resources tell that name several entities at once: a service, its pods, their workload
// and the node.
type relations struct {
	limit int
	// links holds each relation both ways, with when it was last seen.
	links map[semconv.Entity]map[semconv.Entity]time.Time
	// count is the number of relations.
	count int
}

func newRelations(limit int) *relations {
	return &relations{limit: limit, links: map[semconv.Entity]map[semconv.Entity]time.Time{}}
}

// see notes at a time that two entities belong together. It returns false when there is no room for that.
func (r *relations) see(a, b semconv.Entity, at time.Time) bool {
	known, ok := r.links[a][b]
	switch {
	case !ok && r.count >= r.limit:
		return false
	case !ok:
		r.count++
	case !at.After(known):
		return true
	}
	r.set(a, b, at)
	r.set(b, a, at)
	if a.Type == semconv.EntityNode && b.Type == semconv.EntityPod {
		a, b = b, a
	}
	if a.Type == semconv.EntityPod && b.Type == semconv.EntityNode {
		r.leave(a, b, at)
	}
	return true
}

// leave notes that a pod is on a node, and so on none of those where it was seen before.
func (r *relations) leave(pod, node semconv.Entity, at time.Time) {
	for other, seen := range r.links[pod] {
		if other.Type != semconv.EntityNode || other == node || seen.After(at) {
			continue
		}
		delete(r.links[pod], other)
		if delete(r.links[other], pod); len(r.links[other]) == 0 {
			delete(r.links, other)
		}
		r.count--
	}
}

func (r *relations) set(a, b semconv.Entity, at time.Time) {
	if r.links[a] == nil {
		r.links[a] = map[semconv.Entity]time.Time{}
	}
	r.links[a][b] = at
}

// related reports whether two entities belong together.
func (r *relations) related(a, b semconv.Entity) bool {
	_, ok := r.links[a][b]
	return ok
}

// of returns the entities of a type that an entity belongs to, in order.
func (r *relations) of(entity semconv.Entity, types ...semconv.EntityType) []semconv.Entity {
	var out []semconv.Entity
	for other := range r.links[entity] {
		if slices.Contains(types, other.Type) {
			out = append(out, other)
		}
	}
	slices.SortFunc(out, compareEntities)
	return out
}

func compareEntities(a, b semconv.Entity) int {
	return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Name, b.Name))
}

// since returns how many entities of a type an entity has belonged to since a time.
func (r *relations) since(entity semconv.Entity, entityType semconv.EntityType, since time.Time) (n int) {
	for other, seen := range r.links[entity] {
		if other.Type == entityType && !seen.Before(since) {
			n++
		}
	}
	return n
}

// forget drops what was not seen since a time: pods come and go.
func (r *relations) forget(before time.Time) {
	for entity, others := range r.links {
		for other, seen := range others {
			if !seen.Before(before) {
				continue
			}
			delete(others, other)
			if compareEntities(entity, other) < 0 {
				r.count--
			}
		}
		if len(others) == 0 {
			delete(r.links, entity)
		}
	}
}

// workloadTypes are the entities that make pods.
var workloadTypes = []semconv.EntityType{semconv.EntityDeployment, semconv.EntityStatefulSet, semconv.EntityDaemonSet}

// resourceEntities returns all entities that a resource names, the service first.
func resourceEntities(resource pcommon.Map) (out []semconv.Entity) {
	add := func(entityType semconv.EntityType, namespace, name string) {
		if name != "" {
			out = append(out, semconv.Entity{Type: entityType, Name: serviceName(namespace, name)})
		}
	}
	namespace := str(resource, semconv.AttrK8sNamespaceName)
	add(semconv.EntityService, str(resource, semconv.AttrServiceNamespace), str(resource, semconv.AttrServiceName))
	pod, node := str(resource, semconv.AttrK8sPodName), str(resource, semconv.AttrK8sNodeName)
	add(semconv.EntityPod, namespace, pod)
	add(semconv.EntityDeployment, namespace, str(resource, semconv.AttrK8sDeploymentName))
	add(semconv.EntityStatefulSet, namespace, str(resource, semconv.AttrK8sStatefulSetName))
	add(semconv.EntityDaemonSet, namespace, str(resource, semconv.AttrK8sDaemonSetName))
	add(semconv.EntityNode, "", node)
	if node == "" && pod == "" {
		// Within a pod the host's name is the pod's.
		add(semconv.EntityHost, "", str(resource, semconv.AttrHostName))
	}
	return out
}

// relate notes that the entities of one resource belong together. What a pod is of is on a node only as long as the pod is.
func (e *engine) relate(resource pcommon.Map, at time.Time) {
	entities := resourceEntities(resource)
	hasPod := slices.ContainsFunc(entities, func(entity semconv.Entity) bool { return entity.Type == semconv.EntityPod })
	for i, a := range entities {
		for _, b := range entities[:i] {
			if hasPod && isMachine(a) && b.Type != semconv.EntityPod {
				continue
			}
			if !e.relations.see(a, b, at) {
				e.refusals.limit++
			}
		}
	}
}

// servicesOn returns the services whose pods a pod, a workload, a node or a host is about.
func (e *engine) servicesOn(entity semconv.Entity) []semconv.Entity {
	if services := e.relations.of(entity, semconv.EntityService); len(services) > 0 {
		return services
	}
	var services []semconv.Entity
	for _, via := range e.relations.of(entity, append([]semconv.EntityType{semconv.EntityPod}, workloadTypes...)...) {
		for _, service := range e.relations.of(via, semconv.EntityService) {
			if !slices.Contains(services, service) {
				services = append(services, service)
			}
		}
	}
	slices.SortFunc(services, func(a, b semconv.Entity) int { return cmp.Compare(a.Name, b.Name) })
	return services
}

// subject returns the entity that an observation counts for: that of a pod or of its workload for the one service that runs
// there, that of a database or a queue for its node in the service graph.
func (e *engine) subject(entity semconv.Entity) semconv.Entity {
	switch entity.Type {
	case semconv.EntityPod, semconv.EntityDeployment, semconv.EntityStatefulSet, semconv.EntityDaemonSet:
		services := e.servicesOn(entity)
		if len(services) == 0 {
			services = e.servicesNamed(entity)
		}
		if len(services) == 1 {
			return services[0]
		}
	case semconv.EntityHost:
		if node := (semconv.Entity{Type: semconv.EntityNode, Name: entity.Name}); e.relations.links[node] != nil {
			return node
		}
	case semconv.EntityDatabase, semconv.EntityMessaging, semconv.EntityExternal:
		return e.peerAt(entity)
	}
	return entity
}

// servicesNamed finds the services of a pod that nothing was heard of, or of its workload, by their names: Kubernetes names
// pods "<workload>-<...>", and a service usually has the name of its workload.
func (e *engine) servicesNamed(entity semconv.Entity) []semconv.Entity {
	name := entity.Name
	for cuts := 0; ; cuts++ {
		if cuts > 0 || entity.Type != semconv.EntityPod {
			for _, t := range workloadTypes {
				if services := e.servicesOn(semconv.Entity{Type: t, Name: name}); len(services) > 0 {
					return services
				}
			}
			for _, candidate := range []string{name, bareName(name)} {
				known := e.directory.qualify(candidate)
				resource := e.directory.resources[known]
				namespace, _, _ := strings.Cut(entity.Name, "/")
				if there := resource[semconv.AttrK8sNamespaceName]; resource != nil && (there == "" || there == namespace) {
					return []semconv.Entity{{Type: semconv.EntityService, Name: known}}
				}
			}
		}
		dash := strings.LastIndexByte(name, '-')
		if entity.Type != semconv.EntityPod || dash <= strings.IndexByte(name, '/') || cuts == maxNameCuts {
			return nil
		}
		name = name[:dash]
	}
}

// maxNameCuts is how many parts Kubernetes adds to a workload's name for that of a pod: that of its replica set and its own.
const maxNameCuts = 2

// targetOf returns the attributes by which an action finds a service: of its pods, nodes and hosts only where it has but one, for
// which of several is meant nobody knows. It is empty for other entities.
func (e *engine) targetOf(entity semconv.Entity) map[string]string {
	target := map[string]string{}
	if entity.Type != semconv.EntityService {
		return target
	}
	maps.Copy(target, e.directory.resources[entity.Name])
	forget := func(attributes ...string) {
		for _, attribute := range attributes {
			delete(target, attribute)
		}
	}
	if e.relations.since(entity, semconv.EntityPod, e.clock.watermark.Add(-e.cfg.StaleAfter)) > 1 {
		forget(semconv.AttrK8sPodName, semconv.AttrK8sPodUID, semconv.AttrHostName)
	}
	machines := map[semconv.Entity]bool{}
	e.machinesUnder(entity, func(machine semconv.Entity) { machines[machine] = true })
	if len(machines) > 1 {
		forget(semconv.AttrK8sNodeName, semconv.AttrHostName)
	}
	return target
}

// runsOn reports whether an entity, or a pod of it, is on a node or a host.
func (e *engine) runsOn(entity, machine semconv.Entity) bool {
	if !isMachine(machine) || isMachine(entity) {
		return false
	}
	if e.relations.related(entity, machine) {
		return true
	}
	for other := range e.relations.links[entity] {
		if other.Type == semconv.EntityPod && e.relations.related(other, machine) {
			return true
		}
	}
	return false
}

// machinesUnder visits the nodes and hosts that an entity runs on; one of them perhaps more than once.
func (e *engine) machinesUnder(entity semconv.Entity, visit func(semconv.Entity)) {
	if isMachine(entity) {
		return
	}
	for other := range e.relations.links[entity] {
		if isMachine(other) {
			visit(other)
			continue
		}
		if other.Type != semconv.EntityPod {
			continue
		}
		for under := range e.relations.links[other] {
			if isMachine(under) {
				visit(under)
			}
		}
	}
}

// runsAs reports whether an entity is one that services run as.
func runsAs(entity semconv.Entity) bool {
	return entity.Type == semconv.EntityPod || slices.Contains(workloadTypes, entity.Type)
}

func isMachine(entity semconv.Entity) bool {
	return entity.Type == semconv.EntityNode || entity.Type == semconv.EntityHost
}
