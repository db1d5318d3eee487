package executor

import (
	"time"

	"github.com/paramedic-otel/paramedic/semconv"
)

// Incident is an incident whose events follow each other.
type Incident struct {
	semconv.Incident
}

// NewIncident is one that a Deployment causes, as two independent signals tell, with confidence 0.95.
func NewIncident(id, namespace, deployment string) *Incident {
	now := time.Now()
	cause := semconv.Entity{Type: semconv.EntityService, Name: namespace + "/" + deployment}
	return &Incident{semconv.Incident{
		ID: id, Fingerprint: "8c2d", Status: semconv.StatusOpen, Severity: semconv.SeverityMajor,
		StartedAt: now.Add(-8 * time.Second), DetectedAt: now, Title: "errors of the gateway, caused by " + cause.Name,
		Causes: []semconv.Cause{{
			Entity: cause, Kind: semconv.CauseCrash, Confidence: 0.95, Share: 0.9,
			Resource: map[string]string{semconv.AttrK8sNamespaceName: namespace, semconv.AttrK8sDeploymentName: deployment},
			Evidence: []semconv.Evidence{
				{Signal: semconv.MetricGraphRequestServer, Onset: now.Add(-8 * time.Second), Score: 0.99, Summary: "half of the requests fail"},
				{Signal: "k8s.container.restarts", Onset: now.Add(-9 * time.Second), Score: 0.99, Summary: "its containers restart"},
			},
		}},
		EntryPoints: []string{namespace + "/gateway"},
	}}
}

// Opened is the incident's first event.
func (i *Incident) Opened() semconv.IncidentEvent { return i.event(semconv.EventIncidentOpened) }

// Updated is the incident's next event.
func (i *Incident) Updated() semconv.IncidentEvent { return i.event(semconv.EventIncidentUpdated) }

// Resolved is the incident's last event: it has recovered.
func (i *Incident) Resolved() semconv.IncidentEvent {
	i.Status, i.Resolution, i.ResolvedAt = semconv.StatusResolved, semconv.ResolutionRecovered, time.Now()
	return i.event(semconv.EventIncidentResolved)
}

func (i *Incident) event(name semconv.EventName) semconv.IncidentEvent {
	i.Revision++
	return semconv.IncidentEvent{Name: name, Time: time.Now(), Incident: i.Incident}
}
