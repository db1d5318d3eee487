package remediationexporter

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"slices"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/ottl"
	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/ottl/contexts/ottllog"
	"go.opentelemetry.io/collector/component"
	"go.uber.org/zap"

	"github.com/paramedic-otel/paramedic/internal/eventdata"
	"github.com/paramedic-otel/paramedic/internal/playbook"
	"github.com/paramedic-otel/paramedic/internal/timewindow"
	"github.com/paramedic-otel/paramedic/semconv"
)

// route is a route ready to be asked.
type route struct {
	cfg        *RouteConfig
	conditions []*condition
	hours      *timewindow.Set
}

func newRoutes(cfg *Config, set component.TelemetrySettings) ([]route, error) {
	var out []route
	for i := range cfg.Routes {
		r := route{cfg: &cfg.Routes[i]}
		var err error
		if r.conditions, err = parseConditions(r.cfg.When, set); err != nil {
			return nil, fmt.Errorf("routes::%d: when: %w", i, err)
		}
		if r.hours, err = timewindow.New(r.cfg.Hours); err != nil {
			return nil, fmt.Errorf("routes::%d: hours: %w", i, err)
		}
		out = append(out, r)
	}
	return out, nil
}

// routesHold tells of each route whether its conditions hold for a record.
func (e *remediationExporter) routesHold(ctx context.Context, tctx *ottllog.TransformContext) ([]bool, error) {
	out := make([]bool, len(e.routes))
	for i, r := range e.routes {
		ok, err := hold(ctx, r.conditions, tctx)
		if err != nil {
			e.telemetry.ExporterRemediationConditionErrors.Add(ctx, 1)
			switch r.cfg.ErrorMode {
			case ottl.PropagateError:
				return nil, fmt.Errorf("evaluate conditions of route %d: %w", i, err)
			case ottl.IgnoreError:
				e.logger.Warn("condition of a route could not be evaluated", zap.Int("route", i), zap.Error(err))
			}
		}
		out[i] = ok && err == nil
	}
	return out, nil
}

// matches reports whether the route is for an incident, but for its conditions and hours.
func (r *route) matches(inc *semconv.Incident, owner string) bool {
	cause := inc.Cause()
	tier := Criticality(cmp.Or(cause.Resource[semconv.AttrServiceCriticality], playbook.UnknownTier))
	namespace := cmp.Or(cause.Resource[semconv.AttrK8sNamespaceName], cause.Resource[semconv.AttrServiceNamespace])
	return among(r.cfg.Severities, inc.Severity) && among(r.cfg.Criticality, tier) && among(r.cfg.CauseKinds, cause.Kind) &&
		globbed(r.cfg.Owners, owner) && globbed(r.cfg.Namespaces, namespace)
}

// among reports whether v is one of those that are wanted; none is any.
func among[T comparable](wanted []T, v T) bool { return len(wanted) == 0 || slices.Contains(wanted, v) }

func globbed(globs []string, v string) bool {
	return len(globs) == 0 || slices.ContainsFunc(globs, func(glob string) bool {
		ok, err := path.Match(glob, v)
		return ok && err == nil
	})
}

// owner returns the team that the first cause belongs to; empty when its resource does not tell.
func (c *Config) owner(inc *semconv.Incident) string {
	for _, a := range c.OwnerAttributes {
		if v := inc.Cause().Resource[a]; v != "" {
			return clip(v, 200)
		}
	}
	return ""
}

// route fixes who is told of an incident that is heard of first. What no route is for, everybody is told of. The other replicas come
// to the same choice, unless an hour ends in between. e.mu is held.
func (e *remediationExporter) route(ctx context.Context, ev *incoming, m *memo, now time.Time) {
	inc := &ev.Incident
	m.Owner, m.Cluster = e.cfg.owner(inc), clip(inc.Cause().Resource[semconv.AttrK8sClusterName], 200)
	if len(e.routes) == 0 {
		return
	}
	for i := range e.routes {
		r := &e.routes[i]
		if !ev.held[i] || !r.matches(inc, m.Owner) {
			continue
		}
		notify := r.cfg.Notify
		if !r.hours.Check(ev.Time).OK {
			if notify = r.cfg.NotifyOutside; len(notify) == 0 {
				continue
			}
		}
		m.Routed = true
		m.Notify = append(m.Notify, notify...)
		for _, name := range r.cfg.EscalateTo {
			if _, ok := m.Escalate[name]; !ok || r.cfg.EscalateAfter < m.Escalate[name] {
				if m.Escalate == nil {
					m.Escalate = map[string]time.Duration{}
				}
				m.Escalate[name] = r.cfg.EscalateAfter
			}
		}
		if !r.cfg.Continue {
			break
		}
	}
	slices.Sort(m.Notify)
	m.Notify = slices.Compact(m.Notify)
	for _, name := range m.Notify {
		delete(m.Escalate, name)
	}
	if !m.Routed {
		e.after(func() {
			e.telemetry.ExporterRemediationUnroutedIncidents.Add(ctx, 1)
			e.logger.Info("no route is for the incident, so every destination is told of it", zap.String("incident_id", inc.ID))
		})
	}
}

// escalate queues an incident that has opened for those who are told of it later, unless somebody takes it on before. e.mu is held.
func (e *remediationExporter) escalate(ctx context.Context, ev *incoming, m *memo, now time.Time) error {
	typ := semconv.EventTypeIncidentOpened
	for _, h := range e.destinations {
		after, ok := m.Escalate[h.name]
		if !ok || !h.wants(typ) {
			continue
		}
		inc := &ev.Incident
		d := delivery{
			ID: deliveryID(typ, h.name, inc.ID, inc.Revision, "escalation"), Type: typ, Incident: inc.ID, Revision: inc.Revision, NotBefore: now.Add(after),
		}
		if _, err := e.send(ctx, h, d, e.envelope(d, ev.Time, inc), &eventdata.Data{Similar: similarFor(typ, m)}, inc); err != nil {
			return err
		}
	}
	return nil
}

// renewEscalations has the escalations of an incident whose time has not come tell its newest state. e.mu is held.
func (e *remediationExporter) renewEscalations(ctx context.Context, ev *incoming, m *memo, now time.Time) error {
	inc := &ev.Incident
	for _, h := range e.destinations {
		for _, q := range h.box.items {
			if q.Incident != inc.ID || !q.NotBefore.After(now) || !q.began.IsZero() || q.Revision >= inc.Revision {
				continue
			}
			d := q.delivery
			d.Revision = inc.Revision
			body, truncated, err := shorten(e.envelope(d, ev.Time, inc), &eventdata.Data{Similar: similarFor(d.Type, m)}, inc, e.cfg.MaxBodySize)
			if err != nil {
				return err
			}
			if truncated {
				e.after(func() { e.telemetry.ExporterRemediationTruncatedEvents.Add(ctx, 1) })
			}
			d.Body = body
			e.store(h.box.replace(q, d))
		}
	}
	return nil
}

// reached notes that an escalation has arrived: from now on the destination is told like the others. e.mu is held.
func (e *remediationExporter) reached(h *destination, d *delivery) {
	if d.NotBefore.IsZero() {
		return
	}
	e.editMemo(d.Incident, func(m *memo) bool {
		if !slices.Contains(m.Notify, h.name) {
			m.Notify = append(m.Notify, h.name)
		}
		if delete(m.Escalate, h.name); m.Opened[h.name] == "" {
			m.Opened[h.name] = d.ID
		}
		return true
	})
}
