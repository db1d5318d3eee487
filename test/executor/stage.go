package executor

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"

	"github.com/paramedic-otel/paramedic/internal/kubeaction"
	"github.com/paramedic-otel/paramedic/internal/kubetest"
)

// Stage is a part of a cluster on which executors act: namespaces with workloads, one of the executors' own, and a proxy
// that records what reaches the API server and injects faults.
type Stage struct {
	Lab        *kubetest.Lab
	Home       string
	Namespaces []string
	Proxy      *kubetest.FaultProxy
	Hook       *Receiver
	// News is max_events_per_minute; 0 tells everything one by one.
	News int
	// Direct leads configurations past the proxy.
	Direct bool
}

// NewStage makes a stage with so many namespaces to act in.
func NewStage(t testing.TB, namespaces int, seed uint64) *Stage {
	t.Helper()
	lab := kubetest.Shared(t)
	s := &Stage{Lab: lab, Home: lab.Namespace(t), Proxy: lab.FaultProxy(t, seed), Hook: NewReceiver(t)}
	for range namespaces {
		s.Namespaces = append(s.Namespaces, lab.Namespace(t))
	}
	return s
}

// Deployments makes Deployments with these names in each of the namespaces, and waits until they have rolled out.
func (s *Stage) Deployments(t testing.TB, replicas int32, names ...string) []*appsv1.Deployment {
	t.Helper()
	var made []*appsv1.Deployment
	for _, namespace := range s.Namespaces {
		for _, name := range names {
			d := kubetest.Deployment(namespace, name, replicas)
			s.Lab.Create(t, d)
			made = append(made, d)
		}
	}
	for _, d := range made {
		s.Lab.WaitRolledOut(t, d)
	}
	return made
}

// common is what every configuration of an executor on a stage has. A name stands for what only the stage knows.
const common = `
webhooks:
  hook:
    endpoint: HOOK
    secrets: [SECRET]
    allow_private_ranges: true
    timeout: 1s
    max_events_per_minute: NEWS
    events:
      - incident.opened
      - incident.updated
      - incident.resolved
      - remediation.proposed
      - remediation.suggested
      - remediation.skipped
      - remediation.approval_requested
      - remediation.denied
      - remediation.expired
      - remediation.started
      - remediation.succeeded
      - remediation.failed
      - remediation.inconclusive
      - remediation.rolled_back
      - remediation.escalated
kubernetes:
  auth_type: kubeConfig
  kubeconfig: KUBECONFIG
  namespace: HOME
`

// Config completes a configuration: it adds the webhook of the stage and the cluster, where the executor has a service
// account that may do what the playbooks' steps need and nothing else. HOME and SCOPE in the text stand for the namespace
// of the executor and the list of those to act in; lines indented by two spaces after "kubernetes:" at the end of the text
// belong to the cluster.
func (s *Stage) Config(t testing.TB, text string) string {
	t.Helper()
	playbooks, cluster, _ := strings.Cut(text, "\nkubernetes:\n")
	text = playbooks + common + cluster
	fill := func(kubeconfig string) string {
		return strings.NewReplacer("HOOK", s.Hook.URL, "SECRET", Secret, "NEWS", strconv.Itoa(s.News), "HOME", s.Home, "KUBECONFIG", kubeconfig,
			"SCOPE", "["+strings.Join(s.Namespaces, ", ")+"]").Replace(text)
	}
	cfg, err := ParseConfig(fill("/nowhere"))
	if err != nil {
		t.Fatalf("configuration of the executor: %v", err)
	}
	account := s.Lab.ServiceAccount(t, s.Home, grants(s.Home, cfg)...)
	if s.Direct {
		return fill(s.Lab.KubeconfigFile(t, account))
	}
	return fill(s.Proxy.KubeconfigFile(t, account))
}

// Writes are the requests that could have changed something and reached the API server, but those for reservations, as
// verb, resource and name.
func (s *Stage) Writes() []string {
	out := []string{}
	for _, w := range s.Acts() {
		out = append(out, fmt.Sprintf("%s %s %s", w.Verb, w.Resource, w.Name))
	}
	return out
}

// Acts are the requests that could have changed something and reached the API server, but those for reservations.
func (s *Stage) Acts() []kubetest.Request {
	var out []kubetest.Request
	for _, w := range s.Proxy.Reached.Writes() {
		if w.Resource != "configmaps" || w.Namespace != s.Home {
			out = append(out, w)
		}
	}
	return out
}

// reservations are the settings that a configuration leads to.
func reservations(home string) kubeaction.ReservationSettings {
	settings := kubeaction.DefaultReservationSettings()
	settings.Namespace = home
	return settings
}
