// Package kubeaction carries out the Kubernetes steps of playbooks: it resolves whom an order concerns, says what carrying
// it out would change, carries it out, and takes it back.
//
// An order goes three ways. [Client.Prepare] only reads: it resolves the target, respects its owners, checks permissions
// and disruption budgets, lets the API server try every write (dryRun=All), and returns a [Plan]. The policy decides on
// the plan. [Client.Apply] carries an admitted plan out; every write it makes has a precondition on the UID and the
// resourceVersion that the plan names and carries the order's idempotency key, so that a second executor, or the same one
// after a crash, repeats it harmlessly. [Client.Undo] takes back what a receipt says was done.
//
// There is one way to the API server: a transport that refuses every request that could change anything, unless the
// context holds a [Permit] that allows exactly this request now.
package kubeaction

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"time"
)

// Order asks for one step on one subject.
type Order struct {
	// Intent is the ID of the intent that the order carries out: letters, digits and dashes, at most 63 characters. It is
	// the same for every attempt and after a restart; with the target's UID it makes the idempotency key.
	Intent string
	// Incident, Playbook and Reason are for people: they go into annotations and summaries, cleaned.
	Incident, Playbook, Reason string
	Step                       *Step
	Subject                    Subject
	Scope                      Scope
}

// Subject names whom an order concerns, as the incident's cause or the playbook names it. What is not known is empty.
type Subject struct {
	Cluster, Namespace string
	// Kind and Name are a workload's: Deployment, StatefulSet, DaemonSet, CronJob, Rollout (Argo).
	Kind, Name string
	Pod        string
	// PodUID, when known, must be the UID of the pod that is found.
	PodUID    string
	Node      string
	Container string
}

// Object is an object of the API server as it was when a plan was made.
type Object struct {
	APIVersion      string `json:"api_version"`
	Kind            string `json:"kind"`
	Namespace       string `json:"namespace,omitempty"`
	Name            string `json:"name"`
	UID             string `json:"uid,omitempty"`
	ResourceVersion string `json:"resource_version,omitempty"`
}

// Class is what budgets count together.
type Class string

// The classes of actions.
const (
	ClassRestart Class = "restart"
	ClassScale   Class = "scale"
	ClassRevert  Class = "rollback"
	ClassPod     Class = "pod"
	ClassNode    Class = "node"
	ClassNetwork Class = "network"
	ClassShed    Class = "shed"
	ClassJob     Class = "job"
	ClassConfig  Class = "config"
)

// Check is one thing that was looked at before acting.
type Check struct {
	Name   string `json:"name"`
	Passed bool   `json:"passed"`
	Detail string `json:"detail,omitempty"`
}

// Plan is what carrying out an order would do. It survives a restart as JSON.
type Plan struct {
	Order Order `json:"-"`
	// Key is the idempotency key: a digest of the intent's ID, the action and the target's UID.
	Key    string `json:"key"`
	Action string `json:"action"`
	Class  Class  `json:"class"`
	// Target is the object that is changed, or the first of Objects, which are all that are.
	Target  Object   `json:"target"`
	Objects []Object `json:"objects"`
	// Locks name what nobody else may act on meanwhile: the target, its owners, and the node where nodes are concerned.
	Locks []string `json:"locks"`
	// Weight is how many pods (for nodes: nodes) are disturbed, Population how many the rule could disturb in its scope
	// and Healthy how many of these are ready now.
	Weight     int `json:"weight"`
	Population int `json:"population"`
	Healthy    int `json:"healthy"`
	// Destructive is set where something is lost that does not come back by itself: pods, capacity of a node, traffic.
	Destructive bool `json:"destructive"`
	// Undoable is set where Undo can take it back.
	Undoable bool `json:"undoable"`
	// Criticality is the tier (label or annotation service.criticality) of the gravest of the objects; empty if none says.
	Criticality string  `json:"criticality,omitempty"`
	Checks      []Check `json:"checks"`
	// Troubled is set when the API server itself shows the target in trouble: pods that are not ready, wait to start or crash.
	Troubled bool `json:"troubled,omitempty"`
	// NoOp is set when the world already is as the order wants it.
	NoOp bool `json:"no_op,omitempty"`
	// Summary says it in a sentence, Commands how a person would do it with kubectl.
	Summary  string   `json:"summary"`
	Commands []string `json:"commands,omitempty"`
	// Evidence is what was captured of the target before acting: conditions, container states, the objects' YAML without
	// secrets. It is bounded.
	Evidence json.RawMessage `json:"evidence,omitempty"`
	// Data is the action's own.
	Data json.RawMessage `json:"data,omitempty"`
}

// Effect is a digest of what exactly the plan does to whom, of 32 hexadecimal digits: plans with the same target differ in it
// where they lead to another revision, number or value. How many pods are disturbed on the way is no part of it.
func (p *Plan) Effect() string {
	h := sha256.New()
	for _, s := range append([]string{p.Action, p.Target.UID}, p.Commands...) {
		_ = binary.Write(h, binary.BigEndian, uint32(len(s)))
		h.Write([]byte(s))
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// Receipt is what was done. It survives a restart as JSON, and is what Undo needs.
type Receipt struct {
	Key     string    `json:"key"`
	Action  string    `json:"action"`
	Objects []Object  `json:"objects"`
	At      time.Time `json:"at"`
	// NoOp is set when nothing had to be done, or this very intent had done it before.
	NoOp    bool            `json:"no_op,omitempty"`
	Summary string          `json:"summary"`
	Undo    json.RawMessage `json:"undo,omitempty"`
}

// Reason says why an order is refused. It is what the audit and the metrics call it.
type Reason string

// The reasons for refusing an order before anything was changed.
const (
	ReasonTargetMissing Reason = "target_missing"
	ReasonTargetChanged Reason = "target_changed"
	ReasonOutOfScope    Reason = "out_of_scope"
	ReasonOwner         Reason = "owner"
	ReasonProtected     Reason = "protected"
	ReasonDisruption    Reason = "disruption_budget"
	ReasonPermission    Reason = "permission"
	ReasonDryRun        Reason = "dry_run"
	ReasonBounds        Reason = "bounds"
	ReasonCapacity      Reason = "capacity"
	ReasonUnsupported   Reason = "unsupported"
)

// Refusal is the error of an order that must not be carried out, and need not be tried again as it is.
type Refusal struct {
	Reason Reason
	// Detail tells a person which object it is about, what is wrong with it and what to do.
	Detail string
}

// Error implements error.
func (r *Refusal) Error() string { return string(r.Reason) + ": " + r.Detail }

// Permit is asked right before each request that could change something.
type Permit interface {
	// Allow returns an error when the request must not be made now: the kill switch is on, the intent is no longer wanted,
	// its deadline has passed, or the rate limit's wait would pass it.
	Allow(ctx context.Context, request Request) error
}

// Request is one request to the API server that could change something.
type Request struct {
	// Verb is create, update, patch, delete or deletecollection; Group is empty for the core group; Resource is the path's
	// resource with its subresource, such as pods/eviction.
	Verb, Group, Resource, Namespace, Name string
	// Restoring is set where the request takes back what was done: nothing but the kill switch should stand in its way, no
	// deadline, breaker or budget.
	Restoring bool
}

// Health is how a workload that was acted on does, as the API server sees it.
type Health struct {
	// Ready is set when it has settled: the newest generation is observed, all replicas are updated and available.
	Ready bool
	// Failed is set when it will not settle by itself: the progress deadline passed, a container cannot start.
	Failed bool
	Detail string
}
