package remediationexporter

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"

	"github.com/paramedic-otel/paramedic/internal/incidentstore"
	"github.com/paramedic-otel/paramedic/semconv"
)

var errAway = errors.New("database is away")

// fakeMemory stands in for the database. What a test does not need panics.
type fakeMemory struct {
	incidentstore.Memory
	mu sync.Mutex
	// fail is the error of all calls, refuse that of records for which it returns one.
	fail   error
	refuse func(*incidentstore.Record) error
	// slow is how long each lookup takes.
	slow     time.Duration
	records  []incidentstore.Record
	twice    int
	known    map[string]bool
	pause    *incidentstore.Pause
	silences []incidentstore.Silence
	commands []*incidentstore.Command
	leases   map[string]time.Time
	claims   map[string]*fakeClaim
	finished []string
	released []string
	reports  []incidentstore.ExecutorStatus
	found    map[string]*incidentstore.Incident
	past     []incidentstore.Incident
	similar  []incidentstore.Similar
	changes  []incidentstore.Change
	wake     chan struct{}
}

type fakeClaim struct {
	incidentstore.Claim
	done bool
}

func newFakeMemory() *fakeMemory {
	return &fakeMemory{
		known: map[string]bool{}, leases: map[string]time.Time{}, claims: map[string]*fakeClaim{}, found: map[string]*incidentstore.Incident{},
		wake: make(chan struct{}),
	}
}

// fakeStore is the extension.
type fakeStore struct {
	component.StartFunc
	component.ShutdownFunc
	memory incidentstore.Memory
}

func (s fakeStore) Memory() incidentstore.Memory { return s.memory }
func (s fakeStore) Links() incidentstore.Links   { return noLinks{} }

type noLinks struct{}

func (noLinks) Incident(string) string                                    { return "" }
func (noLinks) Decide(string, string, string, time.Time) (string, string) { return "", "" }

// withStore gives the exporter an incident store.
func (r *rig) withStore(m *fakeMemory) *fakeMemory {
	id := component.MustNewID("incidentstore")
	r.host.extensions[id] = fakeStore{memory: m}
	r.cfg.IncidentStore = &id
	r.cfg.Store.Name = cmp.Or(r.cfg.Store.Name, "one")
	return m
}

func (m *fakeMemory) set(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f()
}

// changed tells those who wait. m.mu is held.
func (m *fakeMemory) changed(kind, id string) {
	m.changes = append(m.changes, incidentstore.Change{Number: int64(len(m.changes) + 1), Kind: kind, ID: id})
	close(m.wake)
	m.wake = make(chan struct{})
}

func (m *fakeMemory) Changes(ctx context.Context, after int64, _ int) ([]incidentstore.Change, error) {
	for {
		m.mu.Lock()
		if m.fail != nil {
			defer m.mu.Unlock()
			return nil, m.fail
		}
		n, wake := int64(len(m.changes)), m.wake
		if after < 0 {
			m.mu.Unlock()
			return []incidentstore.Change{{Number: n}}, nil
		}
		if after < n {
			defer m.mu.Unlock()
			return slices.Clone(m.changes[after:]), nil
		}
		m.mu.Unlock()
		select {
		case <-wake:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (m *fakeMemory) Record(_ context.Context, records []incidentstore.Record) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return m.fail
	}
	for i := range records {
		if m.refuse != nil {
			if err := m.refuse(&records[i]); err != nil {
				return err
			}
		}
	}
	for _, r := range records {
		if m.known[r.ID] {
			m.twice++
			continue
		}
		m.known[r.ID] = true
		m.records = append(m.records, r)
		if r.Intent != nil {
			m.changed("intent", r.Intent.Remediation.Intent)
		}
	}
	return nil
}

func (m *fakeMemory) Paused(context.Context, time.Time) (*incidentstore.Pause, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.pause, m.fail
}

func (m *fakeMemory) Silences(context.Context, bool, time.Time) ([]incidentstore.Silence, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.silences), m.fail
}

// submit puts a command into the mailbox.
func (m *fakeMemory) submit(kind incidentstore.CommandKind, by string, arguments any) *incidentstore.Command {
	b, err := json.Marshal(arguments)
	if err != nil {
		panic(err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	c := &incidentstore.Command{
		ID: fmt.Sprintf("c-%d", len(m.commands)+1), Kind: kind, Arguments: b, By: by, State: incidentstore.CommandPending,
		CreatedAt: time.Now(), ExpiresAt: time.Now().Add(time.Minute),
	}
	m.commands = append(m.commands, c)
	m.changed("command", c.ID)
	return c
}

func (m *fakeMemory) Take(_ context.Context, executor string, limit int, lease time.Duration, now time.Time) ([]incidentstore.Command, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return nil, m.fail
	}
	var out []incidentstore.Command
	for _, c := range m.commands {
		if len(out) == limit {
			break
		}
		if c.State == incidentstore.CommandPending || c.State == incidentstore.CommandTaken && !now.Before(m.leases[c.ID]) {
			c.State, c.TakenBy, m.leases[c.ID] = incidentstore.CommandTaken, executor, now.Add(lease)
			out = append(out, *c)
		}
	}
	return out, nil
}

func (m *fakeMemory) Answer(_ context.Context, executor string, answer incidentstore.Command) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return m.fail
	}
	for _, c := range m.commands {
		if c.ID == answer.ID {
			if c.State != incidentstore.CommandTaken || c.TakenBy != executor {
				return incidentstore.ErrConflict
			}
			*c = answer
			m.changed("command", c.ID)
			return nil
		}
	}
	return incidentstore.ErrNotFound
}

// command returns a copy of how a command stands.
func (m *fakeMemory) command(c *incidentstore.Command) incidentstore.Command {
	m.mu.Lock()
	defer m.mu.Unlock()
	return *c
}

func (m *fakeMemory) Report(_ context.Context, s incidentstore.ExecutorStatus) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reports = append(m.reports, s)
	return m.fail
}

func (m *fakeMemory) Incidents(ctx context.Context, f incidentstore.IncidentFilter, _ incidentstore.Page) ([]incidentstore.Incident, string, error) {
	if err := m.take(ctx); err != nil {
		return nil, "", err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if f.Fingerprint != "" {
		return slices.Clone(m.past), "", m.fail
	}
	var out []incidentstore.Incident
	for _, inc := range m.found {
		if inc.Acknowledgment != nil {
			out = append(out, *inc)
		}
	}
	return out, "", m.fail
}

// take is how long a lookup lasts.
func (m *fakeMemory) take(ctx context.Context) error {
	m.mu.Lock()
	slow := m.slow
	m.mu.Unlock()
	if slow == 0 {
		return nil
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(slow):
		return nil
	}
}

func (m *fakeMemory) Incident(_ context.Context, id string) (*incidentstore.Incident, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return nil, m.fail
	}
	if inc := m.found[id]; inc != nil {
		c := *inc
		return &c, nil
	}
	return nil, incidentstore.ErrNotFound
}

func (m *fakeMemory) Similar(ctx context.Context, _ string, _ int) ([]incidentstore.Similar, error) {
	if err := m.take(ctx); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.similar, m.fail
}

func (m *fakeMemory) Intent(_ context.Context, id string) (*incidentstore.Intent, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return nil, m.fail
	}
	var out *incidentstore.Intent
	for _, r := range m.records {
		if r.Intent != nil && r.Intent.Remediation.Intent == id {
			out = &incidentstore.Intent{IntentRecord: *r.Intent}
		}
	}
	if out == nil {
		return nil, incidentstore.ErrNotFound
	}
	return out, nil
}

func (m *fakeMemory) Claim(_ context.Context, c incidentstore.Claim) (incidentstore.ClaimOutcome, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return incidentstore.ClaimOutcome{}, m.fail
	}
	switch held := m.claims[c.Key]; {
	case held == nil && len(m.claims) >= c.Total:
		return incidentstore.ClaimOutcome{Reason: incidentstore.ClaimBudget, Detail: "enough was done"}, nil
	case held == nil:
		m.claims[c.Key] = &fakeClaim{Claim: c}
		return incidentstore.ClaimOutcome{Granted: true}, nil
	case held.done:
		return incidentstore.ClaimOutcome{Reason: incidentstore.ClaimDone, Detail: held.Owner + " did it"}, nil
	case held.Owner == c.Owner:
		return incidentstore.ClaimOutcome{Granted: true, Again: true}, nil
	default:
		return incidentstore.ClaimOutcome{Reason: incidentstore.ClaimHeld, Detail: held.Owner + " is at it"}, nil
	}
}

func (m *fakeMemory) Finish(_ context.Context, key, _ string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail == nil {
		m.finished = append(m.finished, key)
		if c := m.claims[key]; c != nil {
			c.done = true
		}
	}
	return m.fail
}

func (m *fakeMemory) Release(_ context.Context, key, _ string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail == nil {
		m.released = append(m.released, key)
		delete(m.claims, key)
	}
	return m.fail
}

// stored says what was recorded, in order.
func (m *fakeMemory) stored() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []string
	for _, r := range m.records {
		switch {
		case r.Incident != nil:
			out = append(out, fmt.Sprintf("%s %s/%d", r.Incident.Event, r.Incident.Incident.ID, r.Incident.Incident.Revision))
		case r.Intent != nil:
			out = append(out, "intent "+r.Intent.Remediation.Outcome)
		case r.Delivery != nil:
			out = append(out, fmt.Sprintf("delivery %s to %s", r.Delivery.State, r.Delivery.Destination))
		case r.Audit != nil:
			out = append(out, "audit "+r.Audit.Kind)
		}
	}
	return out
}

// intents are the records of intents, in order.
func (m *fakeMemory) intents() []incidentstore.IntentRecord {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []incidentstore.IntentRecord
	for _, r := range m.records {
		if r.Intent != nil {
			out = append(out, *r.Intent)
		}
	}
	return out
}

func acknowledgedBy(id, by string, at time.Time) *incidentstore.Incident {
	inc := &incidentstore.Incident{Acknowledgment: &incidentstore.Acknowledgment{By: by, At: at, Comment: "looking"}}
	inc.ID, inc.Status = id, semconv.StatusOpen
	return inc
}

// all returns what was recorded, in its order.
func (m *fakeMemory) all() []incidentstore.Record {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.records)
}
