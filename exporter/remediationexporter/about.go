package remediationexporter

import (
	"slices"
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/paramedic-otel/paramedic/internal/kubeaction"
	"github.com/paramedic-otel/paramedic/semconv"
)

// about is whom an order concerns, so that signals can be told that speak of it.
type about struct {
	Target who `json:"target"`
	// Services are those that the incident names, at most maxServices.
	Services []string `json:"services,omitempty"`
	// Sources are the sources of evidence on which the incident's cause rests.
	Sources []string `json:"sources,omitempty"`
}

// maxServices bounds the services of an incident whose signals count.
const maxServices = 200

// who names an entity as far as it is known: what a series speaks of, or whom an action concerns. All of it comes from
// telemetry and is only ever compared.
type who struct {
	// Service is namespace/name for a service with a namespace, as incidents have it.
	Service string `json:"service,omitempty"`
	// Namespace is that of Kubernetes, and Kind and Workload are what stands in it.
	Namespace string `json:"namespace,omitempty"`
	Kind      string `json:"kind,omitempty"`
	Workload  string `json:"workload,omitempty"`
	Pod       string `json:"pod,omitempty"`
	Node      string `json:"node,omitempty"`
}

func newAbout(inc *semconv.Incident, c *PlaybookConfig) *about {
	a := &about{Target: c.who(inc), Sources: sources(inc)}
	add := func(name string) {
		if name != "" && len(a.Services) < maxServices && !slices.Contains(a.Services, name) {
			a.Services = append(a.Services, name)
		}
	}
	for _, cause := range inc.Causes {
		if cause.Entity.Type == semconv.EntityService {
			add(cause.Entity.Name)
		}
	}
	for _, names := range [][]string{inc.EntryPoints, inc.Impact.Services} {
		for _, name := range names {
			add(name)
		}
	}
	return a
}

// who is whom the playbook's actions concern.
func (c *PlaybookConfig) who(inc *semconv.Incident) who {
	s := c.subject(inc)
	w := who{Namespace: s.Namespace, Kind: s.Kind, Workload: s.Name}
	switch {
	case c.Target.From == TargetNamed:
	case c.Target.From == TargetEntryPoint:
		if len(inc.EntryPoints) > 0 {
			w.Service = inc.EntryPoints[0]
		}
	case inc.Cause().Entity.Type == semconv.EntityService:
		w.Service = inc.Cause().Entity.Name
	default:
		w.Pod, w.Node = s.Pod, s.Node
		if e := inc.Cause().Entity; e.Type == semconv.EntityNode || e.Type == semconv.EntityHost {
			w.Node = e.Name
		}
	}
	if w.Kind == "" {
		w.Workload = ""
		if w.Service == "" && s.Name != "" {
			w.Service = s.Name
			if s.Namespace != "" {
				w.Service = s.Namespace + "/" + s.Name
			}
		}
		// A service's namespace need not be one of Kubernetes.
		if inc.Cause().Resource[semconv.AttrK8sNamespaceName] == "" && c.Target.From == TargetCause {
			w.Namespace = ""
		}
	}
	return w
}

// resolved fills in the workload that the executor found.
func (w who) resolved(o kubeaction.Object) who {
	if w.Kind == "" && slices.ContainsFunc(workloadKinds, func(k workloadKind) bool { return k.kind == o.Kind }) {
		w.Kind, w.Namespace, w.Workload = o.Kind, o.Namespace, o.Name
	}
	return w
}

// matches reports whether a series speaks of this entity: the first of workload, service, pod and node that both name
// decides, and a Kubernetes namespace that both name must be the same.
func (w who) matches(series *who) bool {
	if w.Namespace != "" && series.Namespace != "" && w.Namespace != series.Namespace {
		return false
	}
	switch {
	case w.Workload != "" && series.Workload != "":
		return w.Kind == series.Kind && w.Workload == series.Workload && w.Namespace == series.Namespace
	case w.Service != "" && series.Service != "":
		return w.Service == series.Service
	case w.Pod != "" && series.Pod != "":
		return w.Pod == series.Pod
	default:
		return w.Node != "" && w.Node == series.Node
	}
}

// concerns reports whether a series stands in the relation to whom the order concerns.
func (a *about) concerns(of Relation, target who, series *who) bool {
	switch of {
	case OfAny:
		return true
	case OfIncident:
		return target.matches(series) || series.Service != "" && slices.Contains(a.Services, series.Service)
	default:
		return target.matches(series)
	}
}

// graphPrefix is that of the metrics of the service graph, whose points name the service that they speak of.
const graphPrefix = "traces_service_graph_"

// whoIs reads whom a point speaks of. What the resource says goes before what the point says, except in the service graph.
func whoIs(metric string, resource, point pcommon.Map) who {
	get := func(name string) string {
		v, ok := resource.Get(name)
		if !ok {
			v, ok = point.Get(name)
		}
		if !ok || v.Type() != pcommon.ValueTypeStr || len(v.Str()) > maxParameterLen {
			return ""
		}
		return strings.Clone(v.Str())
	}
	if strings.HasPrefix(metric, graphPrefix) {
		resource = point
		return who{Service: qualify(get(semconv.AttrGraphServerNamespace), get(semconv.AttrGraphServer))}
	}
	w := who{
		Service:   qualify(get(semconv.AttrServiceNamespace), get(semconv.AttrServiceName)),
		Namespace: get(semconv.AttrK8sNamespaceName), Pod: get(semconv.AttrK8sPodName), Node: get(semconv.AttrK8sNodeName),
	}
	for _, k := range workloadKinds {
		if name := get(k.attribute); name != "" {
			w.Kind, w.Workload = k.kind, name
			break
		}
	}
	if w.Node == "" {
		w.Node = get(semconv.AttrHostName)
	}
	return w
}

// qualify is how incidents name a service.
func qualify(namespace, name string) string {
	if namespace == "" || name == "" {
		return name
	}
	return namespace + "/" + name
}
