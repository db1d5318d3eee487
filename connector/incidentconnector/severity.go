package incidentconnector

import (
	"cmp"
	"slices"

	"github.com/paramedic-otel/paramedic/internal/excess"
	"github.com/paramedic-otel/paramedic/semconv"
)

// impactLevel is how far an incident reaches, before it is asked how much that matters.
type impactLevel int

const (
	impactSlight impactLevel = iota
	impactConsiderable
	impactGrave
)

const (
	// graveFailures is the share of failing requests at an entry point from which on the impact is grave, and
	// manyServices from how many affected services on it is considerable though no entry point is.
	graveFailures = 0.2
	manyServices  = 3
)

// criticality is how much a service matters.
type criticality int

const (
	criticalityLow criticality = iota
	criticalityMedium
	criticalityHigh
	criticalityCritical
)

// criticalityOf reads the value of a service.criticality attribute; of who says nothing, medium is taken.
func criticalityOf(value string) criticality {
	switch value {
	case "critical":
		return criticalityCritical
	case "high":
		return criticalityHigh
	case "low":
		return criticalityLow
	default:
		return criticalityMedium
	}
}

// severities says how grave an incident is by the level of its impact and the highest criticality among the entry points that
// feel it and its first cause. The README has it as a table.
var severities = map[impactLevel][criticalityCritical + 1]semconv.Severity{
	impactSlight:       {semconv.SeverityMinor, semconv.SeverityMinor, semconv.SeverityMajor, semconv.SeverityMajor},
	impactConsiderable: {semconv.SeverityMinor, semconv.SeverityMajor, semconv.SeverityMajor, semconv.SeverityCritical},
	impactGrave:        {semconv.SeverityMajor, semconv.SeverityCritical, semconv.SeverityCritical, semconv.SeverityCritical},
}

// impactOf rates the impact of an incident: grave when a fifth of the requests at an entry point fail, considerable when an
// entry point feels it, a budget burns at the gravest rate, or three services are affected.
func impactOf(impact *semconv.Impact, entries int, fastBurn bool) impactLevel {
	switch {
	case impact.FailureRatio >= graveFailures:
		return impactGrave
	case entries > 0 || fastBurn || len(impact.Services) >= manyServices:
		return impactConsiderable
	default:
		return impactSlight
	}
}

// describeImpact finds out who feels the incident and how grave it is.
func (e *engine) describeImpact(i *incident) {
	services, entries, affected := map[string]bool{}, map[string]bool{}, map[semconv.Entity]bool{}
	impact := semconv.Impact{}
	for _, s := range i.symptoms {
		affected[s.entity] = true
		if s.entity.Type == semconv.EntityService {
			services[s.entity.Name] = true
		}
		if s.class == classEdge && s.edge.Client == entryNode && s.opens {
			entries[entityOf(s.edge.Server).Name] = true
			impact.FailureRatio = max(impact.FailureRatio, e.failuresAt(s))
		}
	}
	cause := i.state.Cause().Entity
	if cause != (semconv.Entity{}) {
		upstream := reach(i.flow.callers, cause)
		impact.Upstream = servicesAmong(upstream, cause)
		impact.Downstream = servicesAmong(reach(i.flow.callees, cause), cause)
		if i.state.SplitFrom != "" || i.whole {
			// What several incidents share is among the symptoms of one of them alone.
			for _, entry := range i.flow.entries {
				if upstream[entry] {
					entries[entry.Name] = true
				}
			}
		}
	}
	impact.Services = sortedNames(services)
	impact.Entities = int64(len(affected))
	if known := len(e.directory.names); known > 0 {
		impact.Ratio = min(1, float64(len(services))/float64(max(known, len(services))))
	}
	var fast bool
	impact.Objectives, fast = e.burning(i)
	for _, o := range impact.Objectives {
		entries[o.Service] = true
	}
	i.state.EntryPoints = sortedNames(entries)
	i.state.Impact = impact

	burnsSlowly := len(impact.Objectives) > 0 && !fast
	felt := len(entries)
	if burnsSlowly && len(i.key()) > 0 && i.key()[0].class == classObjective {
		// A slow burn alone is no reason to wake anybody.
		felt = 0
	}
	severity := severities[impactOf(&impact, felt, fast)][e.criticality(i)]
	if !graver(i.state.Severity, severity) {
		i.state.Severity = severity
	}
}

// failuresAt returns the share of failing requests on the edge of a symptom lately.
func (e *engine) failuresAt(s *symptom) float64 {
	impact := e.edges.Impact(s.edge, excess.MaxWindow/3)
	if impact.Requests <= 0 {
		return 0
	}
	return clamp(impact.Failures / impact.Requests)
}

// criticality returns the highest criticality among the entry points and the first cause of an incident.
func (e *engine) criticality(i *incident) criticality {
	names := slices.Clone(i.state.EntryPoints)
	if cause := i.state.Cause().Entity; cause.Type == semconv.EntityService {
		names = append(names, cause.Name)
	}
	highest, said := criticalityMedium, false
	for _, name := range names {
		if value := e.directory.resources[name][semconv.AttrServiceCriticality]; value != "" {
			if c := criticalityOf(value); !said || c > highest {
				highest, said = c, true
			}
		}
	}
	return highest
}

// graver reports whether a is graver than b.
func graver(a, b semconv.Severity) bool {
	rank := map[semconv.Severity]int{semconv.SeverityMinor: 1, semconv.SeverityMajor: 2, semconv.SeverityCritical: 3}
	return cmp.Compare(rank[a], rank[b]) > 0
}

// servicesAmong returns the names of the services among entities, but for one.
func servicesAmong(set map[semconv.Entity]bool, but semconv.Entity) []string {
	names := map[string]bool{}
	for entity := range set {
		if entity.Type == semconv.EntityService && entity != but {
			names[entity.Name] = true
		}
	}
	return sortedNames(names)
}
