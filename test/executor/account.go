package executor

import (
	"maps"
	"slices"

	"github.com/paramedic-otel/paramedic/exporter/remediationexporter"
	"github.com/paramedic-otel/paramedic/internal/kubeaction"
	"github.com/paramedic-otel/paramedic/internal/kubetest"
)

// grants are the least that the steps of a configuration need, and the agreement of replicas in the namespace home.
func grants(home string, cfg *remediationexporter.Config) []kubetest.Grant {
	out := []kubetest.Grant{{Namespace: home, Rules: kubeaction.ReservationRules(reservations(home))}}
	for i := range cfg.Playbooks {
		p := &cfg.Playbooks[i]
		var steps []*kubeaction.Step
		for j := range p.Steps {
			if step := p.Steps[j].Kubernetes; step != nil {
				steps = append(steps, step)
			}
		}
		rules := kubeaction.RulesFor(steps, p.Scope)
		if len(rules.Cluster) > 0 {
			out = append(out, kubetest.Grant{Rules: rules.Cluster})
		}
		for _, namespace := range slices.Sorted(maps.Keys(rules.Namespaced)) {
			out = append(out, kubetest.Grant{Namespace: namespace, Rules: rules.Namespaced[namespace]})
		}
	}
	return out
}
