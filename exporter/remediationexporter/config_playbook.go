package remediationexporter

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/ottl"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.uber.org/zap"

	"github.com/paramedic-otel/paramedic/internal/kubeaction"
	"github.com/paramedic-otel/paramedic/internal/playbook"
	"github.com/paramedic-otel/paramedic/semconv"
)

const (
	maxParameters   = 32
	maxParameterLen = 253
	maxSteps        = 10
)

var parameterNamePattern = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.-]{0,62}$`)

// Mode is what a playbook may do: observe, suggest, approve or auto.
type Mode playbook.Mode

// UnmarshalText reads a mode.
func (m *Mode) UnmarshalText(text []byte) error {
	return choose((*playbook.Mode)(m), text, "mode", playbook.Modes...)
}

// Criticality is the tier of a service: critical, high, medium or low; in modes also unknown.
type Criticality string

// UnmarshalText reads a criticality.
func (c *Criticality) UnmarshalText(text []byte) error {
	if !slices.Contains(criticalities, Criticality(text)) && string(text) != playbook.UnknownTier {
		return fmt.Errorf("criticality must be critical, high, medium or low, or unknown in modes, got %.80q", text)
	}
	*c = Criticality(text)
	return nil
}

var criticalities = []Criticality{"critical", "high", "medium", "low"}

// OnFailure is what follows a step that did not help: next, rollback or escalate.
type OnFailure playbook.OnFailure

// UnmarshalText reads what follows a failure.
func (o *OnFailure) UnmarshalText(text []byte) error {
	return choose((*playbook.OnFailure)(o), text, "on_failure", playbook.Next, playbook.RollBack, playbook.Escalate)
}

// TargetSource is whom a playbook acts on: cause, entry_point or named.
type TargetSource string

// The sources of targets.
const (
	TargetCause      TargetSource = "cause"
	TargetEntryPoint TargetSource = "entry_point"
	TargetNamed      TargetSource = "named"
)

// UnmarshalText reads a source of targets.
func (t *TargetSource) UnmarshalText(text []byte) error {
	return choose(t, text, "from", TargetCause, TargetEntryPoint, TargetNamed)
}

// PlaybookConfig says which steps an incident calls for, and under which conditions they may be taken.
type PlaybookConfig struct {
	Name string `mapstructure:"name"`
	// When holds OTTL conditions on the incident event's log record, all of which must hold.
	When []string `mapstructure:"when"`
	// ErrorMode says what happens when a condition cannot be evaluated; it never holds then.
	ErrorMode ottl.ErrorMode `mapstructure:"error_mode"`
	Mode      Mode           `mapstructure:"mode"`
	// Modes overrules Mode for targets of a criticality.
	Modes map[Criticality]Mode `mapstructure:"modes"`
	// CauseKinds are those that the playbook is for; empty means any.
	CauseKinds []semconv.CauseKind `mapstructure:"cause_kinds"`
	// Criticality lists the tiers of targets on which the playbook may act; empty means any.
	Criticality []Criticality `mapstructure:"criticality"`
	// MinConfidence is the least confidence in the cause with which the playbook acts.
	MinConfidence float64 `mapstructure:"min_confidence"`
	// MinWitnesses is how many independent sources of evidence must speak for the cause before a destructive step.
	MinWitnesses int `mapstructure:"min_witnesses"`
	// MaxRevision is the last revision of an incident on which the playbook may act; 0 means any.
	MaxRevision int64 `mapstructure:"max_revision"`
	// Cooldown is how long the playbook leaves a target alone after it acted on it, in wall time.
	Cooldown time.Duration    `mapstructure:"cooldown"`
	Target   TargetConfig     `mapstructure:"target"`
	Scope    kubeaction.Scope `mapstructure:"scope"`
	Approval ApprovalConfig   `mapstructure:"approval"`
	// Steps are taken one after the other, until one has helped.
	Steps []StepConfig `mapstructure:"steps"`
	// Verify says when a step has helped, for steps that do not say it themselves.
	Verify VerifyConfig `mapstructure:"verify"`
}

// TargetConfig says whom the Kubernetes steps of a playbook act on.
type TargetConfig struct {
	From TargetSource `mapstructure:"from"`
	// Kind, Namespace and Name are those of a named target.
	Kind      string `mapstructure:"kind"`
	Namespace string `mapstructure:"namespace"`
	Name      string `mapstructure:"name"`
}

// ApprovalConfig says how people approve in mode approve.
type ApprovalConfig struct {
	// Approvers is how many different people must approve.
	Approvers int `mapstructure:"approvers"`
	// Within is how long they have.
	Within time.Duration `mapstructure:"within"`
	// Allowed names the people who may approve, deny and undo; empty means whoever is authenticated.
	Allowed []string `mapstructure:"allowed"`
	// RequesterMayApprove lets a person who asked for an undo or a replay in an incident approve in that incident too.
	RequesterMayApprove bool `mapstructure:"requester_may_approve"`
}

// StepConfig is one action: asked of a webhook, or carried out on Kubernetes.
type StepConfig struct {
	Name string `mapstructure:"name"`
	// Webhook names the webhook that takes the action.
	Webhook string       `mapstructure:"webhook"`
	Action  ActionConfig `mapstructure:"action"`
	// Kubernetes is an action on the API server.
	Kubernetes *kubeaction.Step `mapstructure:"kubernetes"`
	// Destructive says of a webhook's action that it destroys something; Kubernetes actions know it themselves.
	Destructive bool `mapstructure:"destructive"`
	// Continue goes on to the next step as soon as this one is carried out, without verifying.
	Continue  bool      `mapstructure:"continue"`
	OnFailure OnFailure `mapstructure:"on_failure"`
	// Verify overrules the playbook's for this step.
	Verify *VerifyConfig `mapstructure:"verify"`
}

// ActionConfig is what the webhook is asked to do.
type ActionConfig struct {
	Name       string                     `mapstructure:"name"`
	Parameters map[string]ParameterConfig `mapstructure:"parameters"`
}

// ParameterConfig is the value of a parameter: fixed, or a typed field of the incident.
type ParameterConfig struct {
	Value string    `mapstructure:"value"`
	From  Reference `mapstructure:"from"`
}

func defaultPlaybook() PlaybookConfig {
	return PlaybookConfig{
		ErrorMode:     ottl.IgnoreError,
		Mode:          Mode(playbook.Observe),
		MinConfidence: 0.75,
		MinWitnesses:  2,
		Cooldown:      10 * time.Minute,
		Target:        TargetConfig{From: TargetCause},
		Approval:      ApprovalConfig{Approvers: 1, Within: 15 * time.Minute},
		Verify:        defaultVerify(),
	}
}

// Unmarshal puts the user's settings over the defaults.
func (c *PlaybookConfig) Unmarshal(conf *confmap.Conf) error {
	*c = defaultPlaybook()
	return conf.Unmarshal(c)
}

// Unmarshal puts the user's settings over the defaults.
func (c *StepConfig) Unmarshal(conf *confmap.Conf) error {
	*c = StepConfig{OnFailure: OnFailure(playbook.Next)}
	if conf.IsSet("verify") {
		v := defaultVerify()
		c.Verify = &v
	}
	return conf.Unmarshal(c)
}

// Validate checks the playbook and parses its conditions.
func (c *PlaybookConfig) Validate() error {
	var errs []error
	if !namePattern.MatchString(c.Name) {
		errs = append(errs, fmt.Errorf("name must match %s, got %.80q", namePattern, c.Name))
	}
	if len(c.When) == 0 {
		errs = append(errs, errors.New("when must not be empty; write 'true' for every incident"))
	}
	if _, err := parseConditions(c.When, component.TelemetrySettings{Logger: zap.NewNop()}); err != nil {
		errs = append(errs, fmt.Errorf("when: %w", err))
	}
	for _, tier := range slices.Sorted(maps.Keys(c.Modes)) {
		if !slices.Contains(criticalities, tier) && tier != playbook.UnknownTier {
			errs = append(errs, fmt.Errorf("modes: criticality must be critical, high, medium, low or unknown, got %.80q", tier))
		}
	}
	if slices.Contains(c.Criticality, playbook.UnknownTier) {
		errs = append(errs, errors.New("criticality must not have unknown; leave criticality empty to act on any target, and say in modes::unknown how far"))
	}
	for i, kind := range c.CauseKinds {
		if !slices.Contains(semconv.CauseKinds, kind) {
			errs = append(errs, fmt.Errorf("cause_kinds::%d must be one of %v, got %.80q", i, semconv.CauseKinds, kind))
		}
	}
	if c.MinConfidence < 0 || c.MinConfidence > 1 || math.IsNaN(c.MinConfidence) {
		errs = append(errs, fmt.Errorf("min_confidence must be between 0 and 1, got %v", c.MinConfidence))
	}
	if c.MinWitnesses < 0 || c.MinWitnesses > 4 {
		errs = append(errs, fmt.Errorf("min_witnesses must be between 0 and 4, got %d; there are four independent sources: traces, metrics, logs and Kubernetes", c.MinWitnesses))
	}
	if c.MaxRevision < 0 {
		errs = append(errs, fmt.Errorf("max_revision must not be negative, got %d; 0 means any", c.MaxRevision))
	}
	if c.Cooldown < 0 {
		errs = append(errs, fmt.Errorf("cooldown must not be negative, got %s", c.Cooldown))
	}
	if len(c.Steps) == 0 || len(c.Steps) > maxSteps {
		errs = append(errs, fmt.Errorf("steps must hold 1 to %d steps, got %d", maxSteps, len(c.Steps)))
	}
	kubernetes := slices.ContainsFunc(c.Steps, func(s StepConfig) bool { return s.Kubernetes != nil })
	if kubernetes && len(c.Scope.Namespaces) == 0 && c.Scope.NodeSelector == "" {
		errs = append(errs, errors.New("scope must name namespaces, or a node_selector for nodes; without it Kubernetes steps may act nowhere"))
	}
	return errors.Join(errs...)
}

// Validate checks that a named target is named, and no other.
func (c *TargetConfig) Validate() error {
	named := c.Kind != "" || c.Namespace != "" || c.Name != ""
	switch {
	case c.From == TargetNamed && c.Name == "":
		return errors.New("name must be set with from: named")
	case c.From != TargetNamed && named:
		return fmt.Errorf("kind, namespace and name must be unset with from: %s; they are for from: named", c.From)
	default:
		return nil
	}
}

// Validate checks the bounds of approval.
func (c *ApprovalConfig) Validate() error {
	var errs []error
	if c.Approvers < 1 || c.Approvers > 10 {
		errs = append(errs, fmt.Errorf("approvers must be between 1 and 10, got %d", c.Approvers))
	}
	if c.Within < time.Second || c.Within > 24*time.Hour {
		errs = append(errs, fmt.Errorf("within must be between 1s and 24h, got %s; an approval must not come for another world", c.Within))
	}
	if n := len(c.Allowed); n > 0 && n < c.Approvers {
		errs = append(errs, fmt.Errorf("allowed must name at least as many people as approvers (%d), got %d; nothing could ever be approved", c.Approvers, n))
	}
	errs = append(errs, validateNames("allowed", c.Allowed))
	return errors.Join(errs...)
}

// Validate checks that the step is one action.
func (c *StepConfig) Validate() error {
	var errs []error
	if c.Name != "" && !namePattern.MatchString(c.Name) {
		errs = append(errs, fmt.Errorf("name must match %s, got %.80q", namePattern, c.Name))
	}
	if (c.Webhook == "") == (c.Kubernetes == nil) {
		errs = append(errs, errors.New("webhook or kubernetes must be set, and not both: they say who takes the action"))
	}
	switch {
	case c.Kubernetes != nil && (c.Action.Name != "" || len(c.Action.Parameters) > 0):
		errs = append(errs, errors.New("action must be unset with kubernetes; it is what a webhook is asked to do"))
	case c.Kubernetes != nil && c.Destructive:
		errs = append(errs, errors.New("destructive must be unset with kubernetes; each action knows it itself"))
	case c.Kubernetes == nil:
		errs = append(errs, c.Action.validate())
	}
	return errors.Join(errs...)
}

// name is what the action is called in audit, events and metrics.
func (c *StepConfig) action() string {
	if c.Kubernetes != nil {
		return c.Kubernetes.Name()
	}
	return c.Action.Name
}

// validate checks the action and its parameters.
func (c *ActionConfig) validate() error {
	var errs []error
	if !namePattern.MatchString(c.Name) {
		errs = append(errs, fmt.Errorf("action::name must match %s, got %.80q", namePattern, c.Name))
	}
	if len(c.Parameters) > maxParameters {
		errs = append(errs, fmt.Errorf("action::parameters must be at most %d, got %d", maxParameters, len(c.Parameters)))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Parameters)) {
		if !parameterNamePattern.MatchString(name) {
			errs = append(errs, fmt.Errorf("action::parameters: name must match %s, got %.80q", parameterNamePattern, name))
		}
	}
	return errors.Join(errs...)
}

// Validate checks that the parameter has exactly one source.
func (c *ParameterConfig) Validate() error {
	switch {
	case (c.Value == "") == (c.From == ""):
		return errors.New("value or from must be set, and not both")
	case len(c.Value) > maxParameterLen:
		return fmt.Errorf("value must have at most %d bytes, got %d", maxParameterLen, len(c.Value))
	default:
		return nil
	}
}

// UnmarshalText reads a reference and refuses those that are not on the list.
func (r *Reference) UnmarshalText(text []byte) error {
	if _, ok := references[Reference(text)]; !ok {
		return fmt.Errorf("from must be one of %s, got %.80q", strings.Join(referenceNames(), ", "), text)
	}
	*r = Reference(text)
	return nil
}
