package remediationexporter

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/paramedic-otel/paramedic/internal/kubeaction"
	"github.com/paramedic-otel/paramedic/internal/playbook"
	"github.com/paramedic-otel/paramedic/semconv"
)

// order is what one step asks for, with everything that the incident says filled in. It is kept with the play, so that a
// later step, or another process, asks for the same.
type order struct {
	// Action and Parameters are asked of a webhook.
	Action     string            `json:"action,omitempty"`
	Parameters map[string]string `json:"parameters,omitempty"`
	// Subject is whom a Kubernetes action concerns.
	Subject *kubeaction.Subject `json:"subject,omitempty"`
	Reason  string              `json:"reason,omitempty"`
	// About is kept with the first step's order, for the signals of a playbook that rests on metrics.
	About *about `json:"about,omitempty"`
}

// orders returns what the steps of a playbook ask for, or why the incident does not tell.
func (c *PlaybookConfig) orders(inc *semconv.Incident) (orders []json.RawMessage, obstacle playbook.Reason, detail string) {
	for i := range c.Steps {
		step := &c.Steps[i]
		o := order{Reason: clip(inc.Title, 200)}
		if i == 0 && c.hasMetrics() {
			o.About = newAbout(inc, c)
		}
		if step.Kubernetes != nil {
			o.Subject = c.subject(inc)
		} else {
			params, missing := step.Action.resolve(inc)
			if missing != "" {
				return nil, playbook.ReasonParameter, fmt.Sprintf("parameter %s of step %d has no value that could name anything", missing, i)
			}
			o.Action, o.Parameters = step.Action.Name, params
		}
		b, err := json.Marshal(o)
		if err != nil {
			return nil, playbook.ReasonParameter, "the order cannot be encoded: " + err.Error()
		}
		orders = append(orders, b)
	}
	return orders, "", ""
}

// subject returns whom the Kubernetes steps of the playbook concern. What telemetry says is only names to look up; the
// executor checks them against the scope and the API server.
func (c *PlaybookConfig) subject(inc *semconv.Incident) *kubeaction.Subject {
	switch c.Target.From {
	case TargetNamed:
		return &kubeaction.Subject{Namespace: c.Target.Namespace, Kind: c.Target.Kind, Name: c.Target.Name}
	case TargetEntryPoint:
		if len(inc.EntryPoints) == 0 {
			return &kubeaction.Subject{}
		}
		return serviceSubject(inc.EntryPoints[0])
	default:
		return causeSubject(inc.Cause())
	}
}

type workloadKind struct{ attribute, kind string }

// workloadKinds are the resource attributes that name a workload, and of which kind.
var workloadKinds = []workloadKind{
	{semconv.AttrK8sDeploymentName, "Deployment"},
	{semconv.AttrK8sStatefulSetName, "StatefulSet"},
	{semconv.AttrK8sDaemonSetName, "DaemonSet"},
}

func causeSubject(cause semconv.Cause) *kubeaction.Subject {
	r := cause.Resource
	s := &kubeaction.Subject{}
	if cause.Entity.Type == semconv.EntityService {
		s = serviceSubject(cause.Entity.Name)
	}
	if ns := r[semconv.AttrK8sNamespaceName]; ns != "" {
		s.Namespace = ns
	}
	s.Cluster, s.Node = r[semconv.AttrK8sClusterName], r[semconv.AttrK8sNodeName]
	s.Pod, s.PodUID, s.Container = r[semconv.AttrK8sPodName], r[semconv.AttrK8sPodUID], r[semconv.AttrK8sContainerName]
	for _, w := range workloadKinds {
		if name := r[w.attribute]; name != "" {
			s.Kind, s.Name = w.kind, name
			break
		}
	}
	return s
}

// serviceSubject takes a service's name for that of its workload, and its namespace for that of Kubernetes.
func serviceSubject(name string) *kubeaction.Subject {
	if namespace, service, ok := strings.Cut(name, "/"); ok {
		return &kubeaction.Subject{Namespace: namespace, Name: service}
	}
	return &kubeaction.Subject{Name: name}
}

// target names whom the playbook would act on, as far as the incident tells: what cooldowns and locks are held by until the
// executor knows better.
func (c *PlaybookConfig) target(inc *semconv.Incident) string {
	switch c.Target.From {
	case TargetNamed:
		return clip(strings.Join([]string{c.Target.Kind, c.Target.Namespace, c.Target.Name}, "/"), maxParameterLen)
	case TargetEntryPoint:
		if len(inc.EntryPoints) == 0 {
			return ""
		}
		return clip(semconv.Entity{Type: semconv.EntityService, Name: inc.EntryPoints[0]}.String(), maxParameterLen)
	}
	entity := inc.Cause().Entity
	if entity.Name == "" {
		return ""
	}
	return clip(entity.String(), maxParameterLen)
}

// sources are the independent sources of evidence for the first cause: traces, metrics, logs, and what Kubernetes itself or
// a change reports.
func sources(inc *semconv.Incident) []string {
	var out []string
	for _, e := range inc.Cause().Evidence {
		source := sourceOf(e.Signal)
		if e.Kind == semconv.CauseChange && source == "metrics" {
			source = "kubernetes"
		}
		if !slices.Contains(out, source) {
			out = append(out, source)
		}
	}
	if inc.Cause().Change != nil && !slices.Contains(out, "kubernetes") {
		out = append(out, "kubernetes")
	}
	return out
}

// sourceOf is the source of evidence that a signal is of, by its name.
func sourceOf(signal string) string {
	switch {
	case strings.HasPrefix(signal, "traces_"):
		return "traces"
	case strings.HasPrefix(signal, "log"):
		return "logs"
	case strings.HasPrefix(signal, "k8s."):
		return "kubernetes"
	default:
		return "metrics"
	}
}
