package pagerduty

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"time"

	pd "github.com/PagerDuty/go-pagerduty"

	"github.com/paramedic-otel/paramedic/internal/eventdata"
	"github.com/paramedic-otel/paramedic/internal/notifier"
	"github.com/paramedic-otel/paramedic/internal/notifier/wording"
	"github.com/paramedic-otel/paramedic/semconv"
)

const (
	// maxChanges bounds the changes that one incident tells of.
	maxChanges = 5
	// maxRecent bounds the changes that are known to be told of for any incident.
	maxRecent = 1024
)

// change is a change event; those that are shared can be named by several messages.
type change struct {
	event  *pd.ChangeEvent
	digest string
	shared bool
}

// changes returns the change events that a message is, or names.
func (d *destination) changes(m *notifier.Message) []change {
	about, standalone := wording.About(m)
	switch {
	case standalone && about.Pages:
		return nil
	case standalone || m.Remediation != nil:
		if !d.cfg.ChangeEvents.Remediations || m.Type == semconv.EventTypeRemediationApprovalRequested || m.Type == semconv.EventTypeRemediationEscalated {
			return nil
		}
		text := wording.Title(m)
		if m.Remediation != nil {
			text = wording.Remediation(m)
		}
		return []change{{event: d.change(m, text, m.Time, m.Links.Incident)}}
	case !d.cfg.ChangeEvents.Deployments || m.Type != semconv.EventTypeIncidentOpened && m.Type != semconv.EventTypeIncidentUpdated:
		return nil
	}
	var named []*eventdata.Change
	for i := range m.Incident.Causes {
		if c := m.Incident.Causes[i].Change; c != nil {
			named = append(named, c)
		}
	}
	for i := range m.Incident.Changes {
		named = append(named, &m.Incident.Changes[i])
	}
	var out []change
	for _, c := range named {
		if len(out) == maxChanges {
			break
		}
		at := m.Time
		if c.Time != nil {
			at = *c.Time
		}
		digest := digestOf(m.Cluster, c, at)
		if slices.ContainsFunc(out, func(o change) bool { return o.digest == digest }) {
			continue
		}
		out = append(out, change{event: d.change(m, wording.Change(m, c), at, m.Links.Incident), digest: digest, shared: true})
	}
	return out
}

// change makes a change event. Nothing of it can be long but its text and its details, which are bounded.
func (d *destination) change(m *notifier.Message, text string, at time.Time, url string) *pd.ChangeEvent {
	e := &pd.ChangeEvent{RoutingKey: string(d.cfg.RoutingKey), Payload: pd.ChangeEventPayload{
		Summary: notifier.Line(text, maxSummary), Source: notifier.Line(wording.Place(m), maxField), Timestamp: stamp(at),
	}}
	for _, l := range wording.Links(m) {
		if l.URL == url {
			e.Links = append(e.Links, pd.ChangeEventLink{Href: l.URL, Text: l.Text})
		}
	}
	for _, size := range wording.Sizes {
		e.Payload.CustomDetails = fields(wording.NewDetails(m, size))
		if fits(e) {
			break
		}
	}
	return e
}

// fields is a struct as a map, which the type of the library wants.
func fields(d wording.Details) map[string]any {
	var out map[string]any
	if b, err := json.Marshal(d); err == nil {
		_ = json.Unmarshal(b, &out) // it was just marshalled
	}
	return out
}

const digestBytes = 6

func digestOf(cluster string, c *eventdata.Change, at time.Time) string {
	h := sha256.New()
	for _, part := range []string{cluster, string(c.Entity.Type), c.Entity.Name, c.Kind, c.Summary, at.UTC().Format(time.RFC3339)} {
		_, _ = h.Write([]byte(part))
		_, _ = h.Write([]byte{0})
	}
	return hex.EncodeToString(h.Sum(nil)[:digestBytes])
}

// digests are the newest changes that were told of for an incident, as they are remembered.
type digests []string

// maxDigests is more than one message tells of, so that none is told of twice soon.
const maxDigests = 4 * maxChanges

func newDigests(s string) digests {
	if s == "" {
		return nil
	}
	return strings.Split(s, ",")
}

func (d digests) has(s string) bool { return slices.Contains(d, s) }

func (d *digests) add(s string) {
	*d = append(*d, s)
	*d = (*d)[max(0, len(*d)-maxDigests):]
}

func (d digests) String() string { return strings.Join(d, ",") }

// recent is a bounded set that forgets the oldest.
type recent struct {
	known map[string]bool
	order []string
}

func newRecent() *recent { return &recent{known: map[string]bool{}} }

func (r *recent) has(s string) bool { return r.known[s] }

func (r *recent) add(s string) {
	if r.known[s] {
		return
	}
	if len(r.order) == maxRecent {
		delete(r.known, r.order[0])
		r.order = r.order[1:]
	}
	r.known[s] = true
	r.order = append(r.order, s)
}
