package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/paramedic-otel/paramedic/internal/auditchain"
	"github.com/paramedic-otel/paramedic/internal/eventdata"
	"github.com/paramedic-otel/paramedic/internal/incidentstore"
	"github.com/paramedic-otel/paramedic/internal/playbook"
	"github.com/paramedic-otel/paramedic/semconv"
)

const (
	// serviceCount is how many services have incidents; some have many more than others.
	serviceCount = 300
	batchSize    = 250
)

var (
	start   = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	kinds   = []semconv.CauseKind{semconv.CauseLatency, semconv.CauseErrors, semconv.CauseTraffic, semconv.CauseCPU, semconv.CauseMemory, semconv.CauseDisk, semconv.CauseNetwork, semconv.CauseCrash, semconv.CauseChange}
	signals = []string{
		"traces_service_graph_request_server", "traces_service_graph_request_failed_total", "log.record.template", "k8s.pod.cpu.usage",
		"k8s.container.cpu_limit_utilization", "k8s.pod.memory.working_set", "http.server.request.duration", "k8s.container.restarts", "system.disk.operation_time",
	}
	severities = []semconv.Severity{semconv.SeverityCritical, semconv.SeverityMajor, semconv.SeverityMinor}
)

// filler makes incidents that look like those of a system of a few hundred services.
type filler struct {
	rng  *rand.Rand
	zipf *rand.Zipf
}

func newFiller() *filler {
	rng := rand.New(rand.NewPCG(6, 1)) //nolint:gosec // repeatable on purpose
	return &filler{rng: rng, zipf: rand.NewZipf(rng, 1.1, 10, serviceCount-1)}
}

func id(n int) string { return fmt.Sprintf("00000000-0000-4000-8000-%012d", n) }

func (f *filler) service() string {
	return fmt.Sprintf("shop/service-%c%d", 'a'+rune(f.zipf.Uint64()%26), f.zipf.Uint64())
}

func (f *filler) incident(n, evidence int) eventdata.Incident {
	at := start.Add(time.Duration(n) * 10 * time.Minute)
	detected, ended := at.Add(8*time.Second), at.Add(5*time.Minute)
	service, kind := f.service(), kinds[f.rng.IntN(len(kinds))]
	inc := eventdata.Incident{
		ID: id(n), Revision: 3, Fingerprint: fmt.Sprintf("%x", service+string(kind)), Status: semconv.StatusResolved, Severity: severities[f.rng.IntN(3)],
		Resolution: semconv.ResolutionRecovered, StartedAt: &at, DetectedAt: &detected, ResolvedAt: &ended,
		Title: fmt.Sprintf("%s of %s, felt at shop/gateway", kind, service), EntryPoints: []string{"shop/gateway"},
	}
	if n%200 == 0 {
		inc.Status, inc.Resolution, inc.ResolvedAt = semconv.StatusOpen, "", nil
	}
	inc.Impact = eventdata.Impact{Services: []string{service, "shop/gateway"}, Ratio: 0.1, Entities: 4}
	for range f.rng.IntN(6) {
		inc.Impact.Services = append(inc.Impact.Services, f.service())
	}
	for c := range 3 {
		cause := eventdata.Cause{
			Entity: eventdata.Entity{Type: semconv.EntityService, Name: service}, Kind: kind, Confidence: 0.9 / float64(1+10*c), Share: 0.8 / float64(1+4*c),
			Resource: map[string]string{"k8s.namespace.name": "shop", "k8s.deployment.name": service, "service.name": service, "k8s.cluster.name": "prod"},
		}
		count := evidence - 2*(evidence/3)
		if c > 0 {
			cause.Entity.Name, cause.Kind, count = f.service(), kinds[f.rng.IntN(len(kinds))], evidence/3
		}
		for range count {
			// What is said differs in numbers, and sometimes in words.
			cause.Evidence = append(cause.Evidence, eventdata.Evidence{
				Signal: signals[f.rng.IntN(len(signals))], Onset: &at, Deviation: f.rng.Float64() * 50, Score: f.rng.Float64(), Kind: cause.Kind,
				Summary:  fmt.Sprintf("%d %% of the calls from %s fail instead of 0.1 %% (error.type=Error%c)", f.rng.IntN(100), f.service(), 'A'+rune(f.rng.IntN(26))),
				TraceIDs: []string{fmt.Sprintf("%032x", f.rng.Uint64())},
			})
		}
		inc.Causes = append(inc.Causes, cause)
	}
	for m := range 8 {
		t := at.Add(time.Duration(m) * 10 * time.Second)
		inc.Timeline = append(inc.Timeline, eventdata.TimelineEntry{Time: &t, Text: fmt.Sprintf("shop/service-%d began to fail, of which %d calls", m, f.rng.IntN(1000))})
	}
	return inc
}

// fill stores everything.
func (b *bench) fill(ctx context.Context, s *incidentstore.Store) error {
	f := newFiller()
	audits := 0
	for n := 0; n < b.incidents; {
		var records []incidentstore.Record
		for ; n < b.incidents && len(records) < batchSize; n++ {
			inc := f.incident(n, b.evidence)
			records = append(records, incidentstore.Record{ID: inc.ID + "/3", At: inc.StartedAt.Add(time.Minute), Incident: &incidentstore.IncidentRecord{
				Event: semconv.EventIncidentUpdated, Incident: inc,
			}}, incidentstore.Record{ID: inc.ID + "/intent", At: inc.StartedAt.Add(time.Minute), Intent: &incidentstore.IntentRecord{
				Incident: inc.ID, Ended: true, Remediation: eventdata.Remediation{
					Intent: inc.ID + "/intent", Playbook: "restart", Action: "rollout_restart", Target: inc.Causes[0].Entity.Name, Outcome: string(playbook.Succeeded), Revision: 3,
				},
			}})
			for ; audits < b.audit*(n+1)/b.incidents; audits++ {
				records = append(records, incidentstore.Record{ID: fmt.Sprint("audit-", audits), At: *inc.StartedAt, Audit: &auditchain.Entry{
					Kind: "remediation.decision", Incident: inc.ID, Intent: inc.ID + "/intent", Playbook: "restart", Actor: "executor",
					Text: "skipped: the playbook only observes", Fields: map[string]string{"outcome": "skipped", "reason": "mode"},
				}})
			}
		}
		if err := s.Record(ctx, records); err != nil {
			return err
		}
	}
	return nil
}
