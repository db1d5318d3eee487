// Package notifier is what tells other systems of incidents: one sub-package for each of them, which translates an event into
// what that system understands, within the limits that it documents.
//
// The remediation exporter owns everything around it: the durable outbox, the order of an incident's events, retries, dead
// letters, routing and summaries. A [Destination] only makes one attempt, and says what became of it:
//
//   - nil: taken. What must be remembered for later events of the incident stands in the memory that it returns.
//   - [*Refused]: it will never be taken as it is; Gone says that nothing will be.
//   - any other error: to be tried again, for a [*Busy] not before its After.
//
// A repeated attempt at the same event must do no harm: the system drops it by a key of its own, or the destination looks
// first whether the one before arrived.
package notifier

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"time"

	"github.com/paramedic-otel/paramedic/internal/eventdata"
)

// Destination tells one system, with one account. It is used by one goroutine at a time.
type Destination interface {
	// Deliver makes one attempt at a message. It returns what is to be remembered of the incident from now on, also with an
	// error, where some of it was done already; nil leaves it as it was. It must not change what it is given.
	Deliver(ctx context.Context, m *Message) (Memory, error)
}

// Repeater is a destination that must be told again and again of an incident that goes on, and for some time of its end.
type Repeater interface {
	Destination
	// Repeat is how long after the last delivery the newest event of an incident is delivered once more; 0 when it needs no
	// more of that.
	Repeat(m *Message) time.Duration
}

// Message is an event with what a destination needs to know besides.
type Message struct {
	*eventdata.Event
	// Body is the event as it is stored, in the structured JSON mode of CloudEvents.
	Body []byte
	// Key identifies the incident, and no other, to every system; see [Key]. It is empty when the event is not about one.
	Key string
	// Occurrence counts from 1 how often the same trouble (the same fingerprint) has come back after its end.
	Occurrence int
	// Acknowledged is the person who has taken the incident on; empty while nobody has.
	Acknowledged string
	// Links lead people to where they can see more, and decide.
	Links Links
	// Owner is the team that the first cause belongs to; empty when that is not known.
	Owner string
	// Cluster is where it happens; empty when that is not known.
	Cluster string
	// Memory is what earlier deliveries of the incident to this destination left.
	Memory Memory
	// Now is the time of the attempt.
	Now time.Time
	// Test marks a message that only tries the destination.
	Test bool
}

// IsIncident reports whether it tells how an incident stands, and not what is done about it.
func (m *Message) IsIncident() bool { return m.Key != "" && m.Incident != nil && m.Remediation == nil }

// Links are URLs; those that are empty do not exist.
type Links struct {
	Incident string
	// Approve and Deny hold a secret: they may be sent, and never logged.
	Approve, Deny string
}

// Memory is small: a few identifiers that a system gave, by names of the destination's own.
type Memory map[string]string

// With returns a copy that also holds what is given: a name and a value in turns.
func (m Memory) With(entries ...string) Memory {
	out := make(Memory, len(m)+len(entries)/2)
	maps.Copy(out, m)
	for i := 0; i+1 < len(entries); i += 2 {
		out[entries[i]] = entries[i+1]
	}
	return out
}

// Refused is the error of a message that will never be taken.
type Refused struct {
	// Status is that of HTTP; 0 without an answer.
	Status int
	// Reason is the system's own, shortened, without secrets.
	Reason string
	// Gone says that the destination takes nothing any more.
	Gone bool
}

func (e *Refused) Error() string {
	if e.Status == 0 {
		return "refused: " + e.Reason
	}
	return fmt.Sprintf("answered %d: %s", e.Status, e.Reason)
}

// Busy is the error of a message that may be taken later.
type Busy struct {
	Status int
	Reason string
	// After is how long to wait at least; 0 leaves it to the caller.
	After time.Duration
}

func (e *Busy) Error() string { return fmt.Sprintf("answered %d: %s", e.Status, e.Reason) }

// keyBytes is how much of the digest a key shows: well under the limit of every system.
const keyBytes = 16

// Key identifies an incident within a cluster to every system: "paramedic-" and 32 hexadecimal digits.
func Key(cluster, incident string) string {
	h := sha256.New()
	fmt.Fprintf(h, "%d:%s|%s", len(cluster), cluster, incident)
	return "paramedic-" + hex.EncodeToString(h.Sum(nil)[:keyBytes])
}
