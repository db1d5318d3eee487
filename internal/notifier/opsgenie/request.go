package opsgenie

import (
	"net/http"
	"strings"

	"github.com/paramedic-otel/paramedic/internal/notifier"
	"github.com/paramedic-otel/paramedic/internal/notifier/wording"
	"github.com/paramedic-otel/paramedic/semconv"
)

// request is one of those that a message takes.
type request struct {
	method string
	// path is what follows the identifier of an alert, which is the alias while the id is not known; empty for a new alert.
	path, alias string
	body        any
	// state and severity are those of the alert once it is carried out, if it changes them.
	state, severity string
	// harmless are parts of the reasons for which it may fail: what it wants is so already.
	harmless []string
}

// tolerates reports whether a failure leaves things as they are wanted.
func (r *request) tolerates(status string) bool {
	status = strings.ToLower(status)
	for _, h := range r.harmless {
		if strings.Contains(status, h) {
			return true
		}
	}
	return false
}

// requests returns what a message takes. It depends on nothing that changes between two attempts at the message but its progress.
func (d *destination) requests(m *notifier.Message, memory notifier.Memory) []request {
	if about, ok := wording.About(m); ok {
		if about.Ends {
			return []request{d.close(m, about.Key)}
		}
		priority := d.cfg.Priorities.Of(about.Severity)
		if !about.Pages {
			priority = "P5"
		}
		r := d.create(m, about.Key, priority)
		r.state, r.severity = "", ""
		return []request{r}
	}
	state := memory[memoryState]
	open := m.Incident.Status != semconv.StatusResolved
	switch m.Type {
	case semconv.EventTypeIncidentResolved:
		return []request{d.close(m, m.Key)}
	case semconv.EventTypeIncidentOpened:
		return []request{d.create(m, m.Key, d.cfg.Priorities.Of(m.Incident.Severity))}
	case semconv.EventTypeIncidentUpdated:
		if !open {
			return nil
		}
		if state != stateOpen {
			return []request{d.create(m, m.Key, d.cfg.Priorities.Of(m.Incident.Severity))}
		}
		return d.update(m, memory)
	case semconv.EventTypeIncidentAcknowledged:
		if !open {
			return nil
		}
		return []request{d.acknowledge(m)}
	}
	// News of a remediation. By its alias only an alert that is open can be found.
	if !open || state == stateClosed && memory[memoryID] == "" {
		return nil
	}
	out := []request{d.note(m)}
	if tag := mark(m); tag != "" && d.cfg.TagsAndPriority && state != stateClosed {
		out = append(out, request{
			method: http.MethodPost, path: "/tags", alias: m.Key, body: &action{Tags: []string{tag}, Source: sourceName, User: userName},
		})
	}
	return out
}

// mark is the tag of an alert that people have to look at once more.
func mark(m *notifier.Message) string {
	switch {
	case m.Type == semconv.EventTypeRemediationApprovalRequested:
		return "approval-wanted"
	case wording.Escalated(m):
		return "escalated"
	default:
		return ""
	}
}

func (d *destination) create(m *notifier.Message, alias, priority string) request {
	r := request{method: http.MethodPost, body: d.alert(m, alias, priority), state: stateOpen}
	if m.Incident != nil {
		r.severity = string(m.Incident.Severity)
	}
	return r
}

// update is a note; a new alert with the same alias would only be counted. The priority goes with the severity.
func (d *destination) update(m *notifier.Message, memory notifier.Memory) []request {
	out := []request{d.note(m)}
	if d.cfg.TagsAndPriority && memory[memorySeverity] != string(m.Incident.Severity) {
		out = append(out, request{
			method: http.MethodPut, path: "/priority", alias: m.Key, body: &action{Priority: d.cfg.Priorities.Of(m.Incident.Severity)},
			severity: string(m.Incident.Severity),
		})
	}
	return out
}

func (d *destination) note(m *notifier.Message) request {
	return request{method: http.MethodPost, path: "/notes", alias: m.Key, body: &action{Note: text(wording.News(m), maxNote), Source: sourceName, User: userName}}
}

func (d *destination) acknowledge(m *notifier.Message) request {
	user := text(notifier.Line(m.Acknowledged, maxUser), maxUser)
	if user == "" {
		user = userName
	}
	return request{
		method: http.MethodPost, path: "/acknowledge", alias: m.Key, body: &action{Note: text(wording.Acknowledgment(m), maxNote), Source: sourceName, User: user},
		harmless: []string{"does not exist", "already acknowledged", "already closed"},
	}
}

func (d *destination) close(m *notifier.Message, alias string) request {
	return request{
		method: http.MethodPost, path: "/close", alias: alias, body: &action{Note: text(wording.News(m), maxNote), Source: sourceName, User: userName},
		state: stateClosed, harmless: []string{"does not exist", "already closed"},
	}
}
