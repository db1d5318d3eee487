package incidentconnector

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/paramedic-otel/paramedic/semconv"
)

// Attributes of the semantic conventions for CI/CD, of records that tell of a deployment.
const (
	attrDeploymentName   = "deployment.name"
	attrDeploymentStatus = "deployment.status"
	attrPipelineName     = "cicd.pipeline.name"
	attrPipelineRunID    = "cicd.pipeline.run.id"
	attrPipelineState    = "cicd.pipeline.run.state"
	attrPipelineResult   = "cicd.pipeline.result"
	attrPipelineTaskType = "cicd.pipeline.task.type"
	attrPipelineAction   = "cicd.pipeline.action.name"
	attrRepositoryName   = "vcs.repository.name"
	attrRevision         = "vcs.ref.head.revision"
	attrRefName          = "vcs.ref.head.name"
)

// cdEvents is what the types of CDEvents begin with, and maxCDEvent how long the text of one may be.
const (
	cdEvents   = "dev.cdevents."
	maxCDEvent = 16 << 10
)

// cdEventKinds are the types of CDEvents, without their version, that are changes of a service.
var cdEventKinds = map[string]string{
	"dev.cdevents.service.deployed":   semconv.ChangeVersion,
	"dev.cdevents.service.upgraded":   semconv.ChangeVersion,
	"dev.cdevents.service.rolledback": semconv.ChangeRollback,
	"dev.cdevents.service.removed":    semconv.ChangeRemoval,
}

// ingestDeployment takes a record that tells of a deployment: an event deployment.changed, one with the attributes of the
// conventions for CI/CD, or a CDEvent. It returns false for other records.
func (e *engine) ingestDeployment(at time.Time, note resourceNote, resource pcommon.Map, lr plog.LogRecord) bool {
	attrs := lr.Attributes()
	switch {
	case semconv.EventName(lr.EventName()) == semconv.EventDeploymentChanged:
		if note.named {
			e.noteChange(at, note.entity, bounded(str(attrs, semconv.AttrDeploymentChangeKind)), changeSummary(resource, lr), false)
		}
		return true
	case isDeployment(attrs):
		entity, ok := e.deployed(note, attrs)
		if note.met && entity == note.entity && !reportsDeployment(attrs) {
			// An ordinary record of a service that says which deployment it is of, as its resource could.
			if id := str(attrs, semconv.AttrDeploymentID); id != "" {
				e.noteVersion(entity.Name, versionKey{attribute: semconv.AttrDeploymentID}, semconv.ChangeVersion, bounded(id), at)
			}
			return false
		}
		if ok && !unfinished(attrs) {
			kind := bounded(str(attrs, semconv.AttrDeploymentChangeKind))
			if kind == "" {
				kind = semconv.ChangeVersion
			}
			e.noteChange(at, entity, kind, deploymentSummary(attrs), false)
		}
		return true
	}
	event, ok := cdEventOf(note, lr)
	if !ok {
		return false
	}
	if kind := cdEventKinds[event.kind]; kind != "" && event.subject != "" {
		summary := strings.TrimPrefix(event.kind, cdEvents)
		if event.artifact != "" {
			summary += " " + event.artifact
		}
		entity := semconv.Entity{Type: semconv.EntityService, Name: e.directory.qualify(event.subject)}
		e.noteChange(at, entity, kind, summary, false)
	}
	return true
}

// isDeployment reports whether attributes of a record say that it is about a deployment, and not only about a build or a test.
func isDeployment(attrs pcommon.Map) bool {
	cicd := false
	for key := range attrs.All() {
		switch key {
		case attrDeploymentName, attrDeploymentStatus, semconv.AttrDeploymentID:
			return true
		case attrPipelineTaskType, attrPipelineAction:
			cicd = true
		}
	}
	return cicd && (str(attrs, attrPipelineTaskType) == "deploy" || str(attrs, attrPipelineAction) == "SYNC")
}

// reportsDeployment reports whether attributes of a record say how a deployment went, or which run of a pipeline it was.
func reportsDeployment(attrs pcommon.Map) bool {
	for _, key := range []string{attrDeploymentStatus, attrPipelineName, attrPipelineRunID, attrPipelineTaskType, attrPipelineAction} {
		if str(attrs, key) != "" {
			return true
		}
	}
	return false
}

// unfinished reports whether a deployment has not happened: it is still to come, or was left out.
func unfinished(attrs pcommon.Map) bool {
	switch str(attrs, attrPipelineState) {
	case "pending", "executing":
		return true
	}
	switch str(attrs, attrPipelineResult) {
	case "skip", "cancellation":
		return true
	}
	return false
}

// deployed returns what was deployed: what the record names, if that is known, or else what its resource is.
func (e *engine) deployed(note resourceNote, attrs pcommon.Map) (semconv.Entity, bool) {
	if name := str(attrs, semconv.AttrServiceName); name != "" {
		return semconv.Entity{Type: semconv.EntityService, Name: e.directory.qualify(serviceName(str(attrs, semconv.AttrServiceNamespace), name))}, true
	}
	if name := str(attrs, semconv.AttrK8sDeploymentName); name != "" {
		return kubeEntity("Deployment", bounded(str(attrs, semconv.AttrK8sNamespaceName)), bounded(name))
	}
	for _, key := range []string{attrDeploymentName, attrRepositoryName, attrPipelineName} {
		name := bounded(str(attrs, key))
		if name == "" {
			continue
		}
		if known := e.directory.qualify(name); e.directory.resources[known] != nil {
			return semconv.Entity{Type: semconv.EntityService, Name: known}, true
		}
		for _, workload := range e.workloadsNamed(name) {
			return workload, true
		}
	}
	return note.entity, note.named
}

// workloadsNamed returns the workloads of a name in all namespaces, if there is but one.
func (e *engine) workloadsNamed(name string) []semconv.Entity {
	found := map[semconv.Entity]bool{}
	for entity := range e.relations.links {
		if slices.Contains(workloadTypes, entity.Type) && bareName(entity.Name) == name {
			found[entity] = true
		}
	}
	if len(found) != 1 {
		return nil
	}
	return sortedEntities(found)
}

func deploymentSummary(attrs pcommon.Map) string {
	parts := []string{"deployed"}
	for _, said := range []struct{ prefix, key string }{
		{"", attrDeploymentName},
		{"", semconv.AttrDeploymentID},
		{"version ", semconv.AttrServiceVersion},
		{"status ", attrDeploymentStatus},
		{"by pipeline ", attrPipelineName},
		{"run ", attrPipelineRunID},
		{"result ", attrPipelineResult},
		{"of ", attrRepositoryName},
		{"ref ", attrRefName},
		{"revision ", attrRevision},
		{"in ", semconv.AttrDeploymentEnvName},
	} {
		if value := str(attrs, said.key); value != "" {
			const most = 40
			if len(value) > most {
				value = value[:most]
			}
			parts = append(parts, said.prefix+strings.ToValidUTF8(value, ""))
		}
	}
	return strings.Join(parts, " ")
}

// cdEvent is what matters of a CDEvent.
type cdEvent struct {
	// kind is the type without its version.
	kind, subject, artifact string
}

// cdEventOf reads a CDEvent from a body that is a map or, where no service wrote it, text.
func cdEventOf(note resourceNote, lr plog.LogRecord) (cdEvent, bool) {
	body := lr.Body()
	switch body.Type() {
	case pcommon.ValueTypeMap:
		context, ok := childOf(body.Map(), "context")
		if !ok {
			return cdEvent{}, false
		}
		subject, _ := childOf(body.Map(), "subject")
		content, _ := childOf(subject, "content")
		return newCDEvent(str(context, "type"), str(subject, "id"), str(content, "artifactId"))
	case pcommon.ValueTypeStr:
		text := body.Str()
		if note.entity.Type == semconv.EntityService || len(text) > maxCDEvent || !strings.Contains(text, cdEvents) {
			return cdEvent{}, false
		}
		var event struct {
			Context struct{ Type string }
			Subject struct {
				ID      string
				Content struct{ ArtifactID string }
			}
		}
		if json.Unmarshal([]byte(text), &event) != nil {
			return cdEvent{}, false
		}
		return newCDEvent(event.Context.Type, event.Subject.ID, event.Subject.Content.ArtifactID)
	default:
		return cdEvent{}, false
	}
}

// newCDEvent cuts the version off the type, and what comes before the service's name off the subject.
func newCDEvent(kind, subject, artifact string) (cdEvent, bool) {
	if !strings.HasPrefix(kind, cdEvents) {
		return cdEvent{}, false
	}
	if parts := strings.SplitN(kind, ".", 5); len(parts) == 5 {
		kind = strings.Join(parts[:4], ".")
	}
	return cdEvent{kind: bounded(kind), subject: bounded(bareName(subject)), artifact: bounded(artifact)}, true
}
