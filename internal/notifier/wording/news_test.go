package wording_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/paramedic-otel/paramedic/internal/eventdata"
	"github.com/paramedic-otel/paramedic/internal/notifier/notifiertest"
	"github.com/paramedic-otel/paramedic/internal/notifier/wording"
	"github.com/paramedic-otel/paramedic/semconv"
)

// TestRemediation says what happened for every type of event.
func TestRemediation(t *testing.T) {
	seen := map[string]bool{}
	for _, typ := range notifiertest.Types {
		m := notifiertest.Message(typ)
		if m.Remediation == nil {
			continue
		}
		s := wording.Remediation(m)
		assert.NotContains(t, s, "reported", "%s must have words of its own", typ)
		assert.False(t, seen[s], s)
		seen[s] = true
		assert.Contains(t, wording.News(m), s)
	}
	m := notifiertest.Message(semconv.EventTypeRemediationFailed)
	m.Type, m.Remediation.Action, m.Remediation.Step = "io.paramedic.remediation.other.v1", "", 2
	assert.Equal(t, "Playbook restart reported failed: step 3 on Deployment shop/payment: the errors have ended", wording.Remediation(m))
	m.Test, m.Remediation.Detail, m.Remediation.Reason = true, "", "limit"
	assert.Equal(t, "TEST, nothing is wrong · Playbook restart reported failed: step 3 on Deployment shop/payment, reason limit", wording.Remediation(m))
}

func TestResolution(t *testing.T) {
	for resolution, want := range map[semconv.Resolution]string{
		semconv.ResolutionRecovered: "Resolved: the symptoms are gone.",
		semconv.ResolutionNoData:    "Resolved: the telemetry that showed the symptoms stopped; nobody knows whether they are gone.",
		semconv.ResolutionMerged:    "Resolved: it goes on as a part of another incident.",
		"":                          "Resolved.",
	} {
		assert.Equal(t, want, wording.Resolution(&eventdata.Incident{Resolution: resolution}))
	}
	assert.Equal(t, "Resolved: it goes on as a part of incident i-2.", wording.Resolution(&eventdata.Incident{Resolution: semconv.ResolutionMerged, MergedInto: "i-2"}))
}

func TestAcknowledgment(t *testing.T) {
	m := notifiertest.Message(semconv.EventTypeIncidentAcknowledged)
	assert.Equal(t, "Acknowledged by ann@example.com: on it", wording.Acknowledgment(m))
	m.Acknowledged, m.Acknowledgment = "", nil
	assert.Equal(t, "Acknowledged by a person", wording.Acknowledgment(m))
}

// TestNews says what is new, and nothing that is as it was told.
func TestNews(t *testing.T) {
	const link = "\nOpen incident: https://paramedic.example.com/incidents/i-1"
	standing := "Status: open, major\nCause: latency of service shop/payment (93 % sure)\n" +
		"Changed before: deployment of service shop/payment: version 1.4 to 1.5 (2026-03-01 10:14:03 UTC)\n" +
		"Users feel it at: shop/frontend-0\nImpact: 1 service (20 % of all): shop/checkout-0"
	for typ, want := range map[semconv.EventType]string{
		semconv.EventTypeIncidentOpened:       "Opened, revision 1: latency of shop/gateway, caused by shop/payment\n" + standing + link,
		semconv.EventTypeIncidentUpdated:      "Updated, revision 2: latency of shop/gateway, caused by shop/payment\n" + standing + link,
		semconv.EventTypeIncidentAcknowledged: "Acknowledged by ann@example.com: on it\n" + standing + link,
		semconv.EventTypeIncidentResolved:     "Resolved: the symptoms are gone." + link,
		semconv.EventTypeRemediationApprovalRequested: "Playbook restart asks for consent to carry out rollout_restart on Deployment shop/payment: the errors have ended\n" +
			"Decide until: 2026-03-01 10:45:03 UTC\nPlan: restart the pods of payment\nTouches: 3 pods\nObjects:\n- Deployment shop/payment\n" +
			"Checks:\n- passed: owner (Deployment)\nBy hand:\n- kubectl -n shop rollout restart deployment/payment" + link +
			"\nApprove: https://paramedic.example.com/approve?token=" + notifiertest.Secret + "\nDeny: https://paramedic.example.com/deny?token=" + notifiertest.Secret,
		semconv.EventTypeRemediationStarted: "Playbook restart started rollout_restart on Deployment shop/payment: the errors have ended\nPlan: restart the pods of payment" + link,
		semconv.EventTypeRemediationResumed: "Automation goes on · kill_switch service:shop/payment\nState: paused\nWhy: night\nBy: ann\nCluster: prod-eu",
	} {
		assert.Equal(t, want, wording.News(notifiertest.Message(typ)))
	}
}
