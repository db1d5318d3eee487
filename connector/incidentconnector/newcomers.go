package incidentconnector

import (
	"strings"

	"github.com/paramedic-otel/paramedic/internal/edgehealth"
	"github.com/paramedic-otel/paramedic/semconv"
)

// settleNewcomers ends what is known of the edges to the addresses of services that were met since the last bucket, from
// when nobody knew that a service is behind them: those edges lead to the service from now on. One pass over the edges does
// it for all newcomers, of which there are many when a connector starts.
func (e *engine) settleNewcomers() {
	if len(e.newcomers) == 0 {
		return
	}
	met, bare := make(map[string]bool, len(e.newcomers)), make(map[edgehealth.Node]bool, len(e.newcomers))
	for _, name := range e.newcomers {
		met[name] = true
		if b := bareName(name); b != name {
			bare[serviceNode(b)] = true
		}
		if e.directory.seen[name].IsZero() {
			// It came with the first data, when it was not known yet how late it is.
			e.directory.seen[name] = e.clock.watermark
		}
	}
	e.newcomers = nil
	var stale []edgehealth.Key
	e.edges.Edges(func(k edgehealth.Key) {
		if bare[k.Client] || bare[k.Server] {
			stale = append(stale, k)
			return
		}
		server := entityOf(k.Server)
		if server.Type != semconv.EntityDatabase && server.Type != semconv.EntityExternal {
			return
		}
		namespace, _, named := strings.Cut(entityOf(k.Client).Name, "/")
		if !named {
			namespace = ""
		}
		if behind, ok := e.directory.serviceAt(namespace, server.Name); ok && met[behind] {
			stale = append(stale, k)
		}
	})
	for _, k := range stale {
		e.edges.Forget(k)
	}
}
