package incidentstoreextension

import (
	"net/url"
	"strings"
	"time"

	"github.com/paramedic-otel/paramedic/extension/incidentstoreextension/internal/approvallink"
	"github.com/paramedic-otel/paramedic/semconv"
)

// links makes URLs; see [incidentstore.Links].
type links struct {
	cfg    LinksConfig
	signer *approvallink.Signer
}

func (l links) base() string { return strings.TrimSuffix(l.cfg.PublicURL, "/") }

// Incident returns the URL of an incident, empty without a public URL.
func (l links) Incident(id string) string {
	if l.cfg.PublicURL == "" || id == "" {
		return ""
	}
	return l.base() + "/v1/incidents/" + url.PathEscape(id)
}

// Decide returns the URLs by which an intent is approved or denied. Both are empty when it cannot be decided by links.
func (l links) Decide(intent, planDigest, destination string, expires time.Time) (approve, deny string) {
	now := time.Now()
	if l.signer == nil || !expires.After(now) {
		return "", ""
	}
	if latest := now.Add(l.cfg.MaxAge); expires.After(latest) {
		expires = latest
	}
	w := approvallink.Word{Intent: intent, PlanDigest: planDigest, Destination: destination, Expires: expires}
	sign := func(verdict semconv.ApprovalVerdict) string {
		w.Verdict = verdict
		token, err := l.signer.Sign(w)
		if err != nil {
			return "" // what has no such form cannot be decided by a link
		}
		return l.base() + "/decide/" + token
	}
	return sign(semconv.ApprovalGranted), sign(semconv.ApprovalDenied)
}
