package incidentconnector

import (
	"cmp"
	"slices"
	"time"

	"github.com/paramedic-otel/paramedic/internal/edgehealth"
	"github.com/paramedic-otel/paramedic/semconv"
)

// neighbourhoods maps each entity of the graph to its neighbours and itself. Two entities are near each other when some
// entity is in both of their neighbourhoods: then at most two edges lie between them. That this one number is built in
// is what keeps grouping nearly linear.
type neighbourhoods map[semconv.Entity][]semconv.Entity

func (e *engine) neighbourhoods() neighbourhoods {
	n := neighbourhoods{}
	add := func(a, b semconv.Entity) {
		if len(n[a]) == 0 {
			n[a] = append(n[a], a)
		}
		if a != b {
			n[a] = append(n[a], b)
		}
	}
	e.edges.Edges(func(k edgehealth.Key) {
		if k.Client == entryNode {
			// Everything has users; that relates nothing to anything.
			return
		}
		client, server := entityOf(k.Client), entityOf(k.Server)
		add(client, server)
		add(server, client)
	})
	running := map[semconv.Entity]bool{}
	for _, s := range e.symptoms {
		if runsAs(s.entity) {
			running[s.entity] = true
		}
	}
	for _, entity := range sortedEntities(running) {
		// What runs as one service counts for that; what runs as several is near each of them.
		for _, service := range e.relations.of(entity, semconv.EntityService) {
			add(entity, service)
			add(service, entity)
		}
	}
	return n
}

// of returns an entity and its neighbours.
func (n neighbourhoods) of(entity semconv.Entity) []semconv.Entity {
	if around := n[entity]; len(around) > 0 {
		return around
	}
	return []semconv.Entity{entity}
}

// machine is where symptoms of one kind belong together whatever the graph says.
type machine struct {
	node string
	kind semconv.CauseKind
}

func (s *symptom) machine() (machine, bool) {
	node := s.resource[semconv.AttrK8sNodeName]
	return machine{node, s.kind}, node != ""
}

// surroundings are the onsets of an incident's symptoms by the entities around them, to find out who is near.
type surroundings struct {
	near     map[semconv.Entity][]time.Time
	machines map[machine][]time.Time
	// saturated are the onsets by the nodes and hosts that are in trouble themselves, and tenants the nodes and hosts that
	// something in trouble runs on.
	saturated map[semconv.Entity][]time.Time
	tenants   map[semconv.Entity]bool
	// scope is what the cause can have done.
	scope scope
}

func (e *engine) surroundings(symptoms []*symptom, near neighbourhoods) surroundings {
	s := surroundings{
		near: map[semconv.Entity][]time.Time{}, machines: map[machine][]time.Time{},
		saturated: map[semconv.Entity][]time.Time{}, tenants: map[semconv.Entity]bool{},
	}
	for _, member := range symptoms {
		if member.condemns() {
			s.saturated[member.entity] = append(s.saturated[member.entity], member.onset)
		}
		e.machinesUnder(member.entity, func(under semconv.Entity) { s.tenants[under] = true })
		for _, around := range near.of(member.entity) {
			s.near[around] = append(s.near[around], member.onset)
		}
		if m, ok := member.machine(); ok {
			s.machines[m] = append(s.machines[m], member.onset)
		}
	}
	for _, list := range s.near {
		slices.SortFunc(list, time.Time.Compare)
	}
	for _, list := range s.machines {
		slices.SortFunc(list, time.Time.Compare)
	}
	for _, list := range s.saturated {
		slices.SortFunc(list, time.Time.Compare)
	}
	return s
}

// relation says how a symptom belongs to an incident, or why it does not. A saturated machine has to do with what goes wrong
// on it, and with that alone; one that is merely busy ties nothing together.
func (e *engine) relation(s *surroundings, of *symptom, near neighbourhoods) (reason, bool) {
	window := e.cfg.GroupWindow
	isNear := false
	for _, around := range near.of(of.entity) {
		onsets := s.near[around]
		isNear = isNear || len(onsets) > 0
		if anyWithin(onsets, of.onset, window) {
			return reasonNear, true
		}
	}
	onMachine := isMachine(of.entity) && s.tenants[of.entity]
	if m, ok := of.machine(); ok && anyWithin(s.machines[m], of.onset, window) {
		onMachine = true
	}
	e.machinesUnder(of.entity, func(under semconv.Entity) {
		onMachine = onMachine || anyWithin(s.saturated[under], of.onset, window)
	})
	if onMachine {
		return reasonMachine, true
	}
	if isNear {
		return reasonTime, false
	}
	return reasonFar, false
}

// anyWithin reports whether any of the sorted times is at most window apart from t.
func anyWithin(sorted []time.Time, t time.Time, window time.Duration) bool {
	i, _ := slices.BinarySearchFunc(sorted, t.Add(-window), time.Time.Compare)
	return i < len(sorted) && sorted[i].Sub(t) <= window
}

// adopt finds the open incident that a free symptom belongs to: that of whose cause it is, or else the one it is related to
// and began soon after; of several the one whose cause explains it best, or else that which is nearest in time. An incident that subsides takes in nothing new but symptoms of its cause.
func (e *engine) adopt(s *symptom, around []surroundings, near neighbourhoods) (*incident, reason) {
	for _, i := range e.incidents {
		if cause := i.state.Cause().Entity; s.entity == cause && cause != (semconv.Entity{}) {
			return i, reasonCause
		}
	}
	var best *incident
	explained := 0
	var how, why reason
	for at, i := range e.incidents {
		related, ok := e.relation(&around[at], s, near)
		switch {
		case s.class == classObjective && i.feltAt(s.entity):
			// However slowly it shows in the objective, it is the same trouble.
			return i, reasonEntryPoint
		case !ok:
			why = closest(why, related)
		case s.onset.Sub(i.since) > e.cfg.GroupWindow:
			why = closest(why, reasonTime)
		case s.lastActive.Sub(i.lastActive()) > subsidedBuckets*e.cfg.Bucket:
			why = closest(why, reasonSubsiding)
		default:
			by := around[at].scope.explains(s.entity)
			if best == nil || by > explained || by == explained && s.onset.Sub(i.since).Abs() < s.onset.Sub(best.since).Abs() {
				best, explained, how = i, by, related
			}
		}
	}
	if best == nil {
		return nil, why
	}
	return best, how
}

// closest returns which of two reasons for not belonging came nearer to it.
func closest(a, b reason) reason {
	order := []reason{"", reasonFar, reasonTime, reasonSubsiding}
	if slices.Index(order, b) > slices.Index(order, a) {
		return b
	}
	return a
}

// feltAt reports whether any active symptom of the incident is at an entity.
func (i *incident) feltAt(entity semconv.Entity) bool {
	return slices.ContainsFunc(i.symptoms, func(s *symptom) bool { return s.entity == entity && s.active() })
}

// union is a forest of disjoint sets.
type union []int

func newUnion(n int) union {
	u := make(union, n)
	for i := range u {
		u[i] = i
	}
	return u
}

func (u union) root(i int) int {
	for u[i] != i {
		u[i] = u[u[i]]
		i = u[i]
	}
	return i
}

func (u union) join(i, j int) {
	if a, b := u.root(i), u.root(j); a != b {
		u[max(a, b)] = min(a, b)
	}
}

// group parts symptoms into groups that belong together, directly or by way of others, in the order of their first
// symptom. Two belong together when their onsets lie within the group window and they are near each other, are of one kind
// on one machine, or one is of a saturated machine and the other of what runs on it. Around each entity the symptoms are put in
// the order of their onsets, where only neighbours need to be compared, so the cost is that of sorting as many entries as the
// symptoms' entities have edges.
func (e *engine) group(symptoms []*symptom, near neighbourhoods) [][]*symptom {
	sets := newUnion(len(symptoms))
	// The symptoms come in the order of their onsets, and so do the entries of each list.
	saturated := map[semconv.Entity][]int{}
	for i, s := range symptoms {
		if s.condemns() {
			saturated[s.entity] = append(saturated[s.entity], i)
		}
	}
	newest := map[semconv.Entity]int{}
	newestOn := map[machine]int{}
	for i, s := range symptoms {
		for _, around := range near.of(s.entity) {
			if j, ok := newest[around]; ok && s.onset.Sub(symptoms[j].onset) <= e.cfg.GroupWindow {
				sets.join(i, j)
			}
			newest[around] = i
		}
		if m, ok := s.machine(); ok {
			if j, ok := newestOn[m]; ok && s.onset.Sub(symptoms[j].onset) <= e.cfg.GroupWindow {
				sets.join(i, j)
			}
			newestOn[m] = i
		}
		if len(saturated) == 0 {
			continue
		}
		e.machinesUnder(s.entity, func(under semconv.Entity) {
			for _, j := range saturated[under] {
				if s.onset.Sub(symptoms[j].onset).Abs() <= e.cfg.GroupWindow {
					sets.join(i, j)
				}
			}
		})
	}
	index := map[int]int{}
	var groups [][]*symptom
	for i, s := range symptoms {
		r := sets.root(i)
		at, ok := index[r]
		if !ok {
			at = len(groups)
			index[r] = at
			groups = append(groups, nil)
		}
		groups[at] = append(groups[at], s)
	}
	return groups
}

// sort of evidence: what is logged as an error and what is missing from a log are two.
type evidenceSort struct {
	class      symptomClass
	logsErrors bool
}

// evidenceOf returns the strongest evidence against any one entity of a group: its strongest symptom that can open an
// incident, and half of the strongest one of another sort.
func (e *engine) evidenceOf(group []*symptom) float64 {
	strongest := map[semconv.Entity]map[evidenceSort]float64{}
	for _, s := range group {
		if !s.active() {
			continue
		}
		sorts := strongest[s.entity]
		if sorts == nil {
			sorts = map[evidenceSort]float64{}
			strongest[s.entity] = sorts
		}
		sort := evidenceSort{s.class, s.logsErrors}
		sorts[sort] = max(sorts[sort], s.weight())
	}
	best := 0.0
	for _, s := range group {
		if !s.opens || !s.active() {
			continue
		}
		other := 0.0
		for sort, weight := range strongest[s.entity] {
			if sort != (evidenceSort{s.class, s.logsErrors}) {
				other = max(other, weight)
			}
		}
		best = max(best, s.weight()+other/2)
	}
	return best
}

// leading returns the symptom by which a group is known: the one that counts most.
func leading(group []*symptom) *symptom {
	return slices.MinFunc(group, func(a, b *symptom) int {
		return cmp.Or(cmp.Compare(b.weight(), a.weight()), compareSymptoms(a, b))
	})
}
