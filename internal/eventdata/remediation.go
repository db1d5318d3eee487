package eventdata

import (
	"time"

	"github.com/paramedic-otel/paramedic/internal/playbook"
)

// Action is what a webhook is asked to do.
type Action struct {
	Name       string            `json:"name"`
	Parameters map[string]string `json:"parameters"`
}

// Playbook is what asks for an action.
type Playbook struct {
	Name          string        `json:"name"`
	Mode          playbook.Mode `json:"mode"`
	VerifySeconds float64       `json:"verify_within_seconds"`
}

// Remediation is news of what a playbook decided or achieved.
type Remediation struct {
	// Intent is the identity of the step for this incident; people approve by it.
	Intent   string          `json:"intent"`
	Playbook string          `json:"playbook"`
	Step     int             `json:"step"`
	Action   string          `json:"action_name"`
	Target   string          `json:"target,omitempty"`
	Outcome  string          `json:"outcome"`
	Reason   playbook.Reason `json:"reason,omitempty"`
	Detail   string          `json:"detail,omitempty"`
	Revision int64           `json:"revision"`
	Mode     playbook.Mode   `json:"mode,omitempty"`
	// Plan is what would be, or was, changed.
	Plan *Plan `json:"plan,omitempty"`
	// PlanDigest is what people are asked to approve; an approval that repeats it counts for nothing else.
	PlanDigest string `json:"plan_digest,omitempty"`
	// ApproveUntil is when an approval comes too late.
	ApproveUntil *time.Time `json:"approve_until,omitempty"`
	// Escalated says that automation has nothing more to offer and a person is needed.
	Escalated bool `json:"escalated,omitempty"`
}

// Plan is what the executor found that a step would do.
type Plan struct {
	Summary     string   `json:"summary"`
	Objects     []string `json:"objects,omitempty"`
	Pods        int      `json:"weight"`
	Population  int      `json:"population,omitempty"`
	Destructive bool     `json:"destructive"`
	Undoable    bool     `json:"undoable"`
	Checks      []Check  `json:"checks,omitempty"`
	// Commands are how a person would do it.
	Commands []string `json:"commands,omitempty"`
}

// Check is one thing that was looked at before acting.
type Check struct {
	Name   string `json:"name"`
	Passed bool   `json:"passed"`
	Detail string `json:"detail,omitempty"`
}

// Guard is news of what holds automation back.
type Guard struct {
	Name   string `json:"name"`
	Key    string `json:"key,omitempty"`
	State  string `json:"state"`
	Detail string `json:"detail,omitempty"`
	By     string `json:"by,omitempty"`
}
