package remediationexporter

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/config/configretry"

	"github.com/paramedic-otel/paramedic/internal/timewindow"
	"github.com/paramedic-otel/paramedic/semconv"
)

const (
	minBodySize = 16 << 10
	maxBodySize = 1 << 20
)

// namePattern keeps the names of webhooks and playbooks fit for storage keys and for logs.
var namePattern = regexp.MustCompile(`^[a-z0-9][a-z0-9_.-]{0,62}$`)

// Config is the configuration of the remediation exporter.
type Config struct {
	// Source is the CloudEvents source of every event.
	Source string `mapstructure:"source"`
	// Webhooks are where events go, by name.
	Webhooks map[string]WebhookConfig `mapstructure:"webhooks"`
	// Notifiers are other systems that are told of events, by name.
	Notifiers map[string]NotifierConfig `mapstructure:"notifiers"`
	// Routes choose the destinations of an incident when it opens; without any, and for what none is for, it is told to all.
	Routes []RouteConfig `mapstructure:"routes"`
	// OwnerAttributes are resource attributes of the first cause; the first that is there names the team that it belongs to.
	OwnerAttributes []string `mapstructure:"owner_attributes"`
	// Cluster names where this exporter watches, in messages and in the keys by which notifiers know an incident again.
	Cluster string `mapstructure:"cluster"`
	// Playbooks are asked in order; the first whose guards allow it acts.
	Playbooks []PlaybookConfig `mapstructure:"playbooks"`
	// Budget bounds the actions of all playbooks together.
	Budget BudgetConfig `mapstructure:"budget"`
	// Breakers stop what does not help.
	Breakers BreakersConfig `mapstructure:"breakers"`
	// Storm holds actions back while incidents open faster than one cause at a time can explain.
	Storm StormConfig `mapstructure:"storm"`
	// Learning orders playbooks by what has helped before.
	Learning LearningConfig `mapstructure:"learning"`
	// Windows are times in which nothing acts, or the only ones in which something may.
	Windows []timewindow.Window `mapstructure:"windows"`
	// KillSwitch says how automation is paused from outside.
	KillSwitch KillSwitchConfig `mapstructure:"kill_switch"`
	// API is the HTTP server by which people look at the exporter, approve, and intervene; off until it is written.
	API configoptional.Optional[APIConfig] `mapstructure:"api"`
	// Approvals says how approvals that come as log records are told from forged ones.
	Approvals ApprovalsConfig `mapstructure:"approvals"`
	// Audit is the record of everything that was decided and done.
	Audit AuditConfig `mapstructure:"audit"`
	// DeadLetters bounds the events that webhooks did not take and that are kept to be replayed.
	DeadLetters DeadLettersConfig `mapstructure:"dead_letters"`
	// MaxEventAge is the age, wall time against event time, past which an incident event leads to no action; 0 is no limit.
	MaxEventAge time.Duration `mapstructure:"max_event_age"`
	// MaxEventLead is by how much an incident event may be ahead of the wall clock and still lead to an action; 0 is no limit.
	// How old an event from the future is, nothing tells.
	MaxEventLead time.Duration `mapstructure:"max_event_lead"`
	// Verification bounds what the verification of all playbooks keeps and does.
	Verification VerificationConfig `mapstructure:"verification"`
	// Kubernetes is the cluster on which playbooks act.
	Kubernetes configoptional.Optional[KubernetesConfig] `mapstructure:"kubernetes"`
	// IncidentStore is the extension that keeps incidents and what was done about them, and through which people and replicas talk to
	// this exporter; nil means none.
	IncidentStore *component.ID `mapstructure:"incident_store"`
	// Store says how the exporter works with it.
	Store StoreConfig `mapstructure:"store"`
	// Coordination is where the replicas agree on who acts.
	Coordination Coordination `mapstructure:"coordination"`
	// LeaderElector is the k8s_leader_elector or incidentstore extension that chooses which replica acts; nil means this one does.
	LeaderElector *component.ID `mapstructure:"leader_elector"`
	// Storage is the storage extension that keeps decisions and queued events; nil keeps them in memory only.
	Storage *component.ID `mapstructure:"storage"`
	// QueueSize bounds the events that wait for each webhook.
	QueueSize int `mapstructure:"queue_size"`
	// RetryConfig rules how a failed delivery is repeated.
	RetryConfig configretry.BackOffConfig `mapstructure:"retry_on_failure"`
	// MaxBodySize bounds the size of an event; the incident in a larger one is shortened.
	MaxBodySize int `mapstructure:"max_body_size"`
	// MaxIncidents bounds the incidents that are remembered.
	MaxIncidents int `mapstructure:"max_incidents"`
	// ForgetAfter is how long after its last event an incident is forgotten.
	ForgetAfter time.Duration `mapstructure:"forget_after"`
}

func createDefaultConfig() component.Config {
	return &Config{
		Source:          "/paramedic",
		OwnerAttributes: []string{semconv.AttrServiceOwner, semconv.AttrTeam},
		Budget:          defaultBudget(),
		Breakers:        defaultBreakers(),
		Storm:           defaultStorm(),
		Learning:        defaultLearning(),
		KillSwitch:      KillSwitchConfig{Environment: "PARAMEDIC_KILL_SWITCH"},
		API:             configoptional.Default(defaultAPI()),
		Approvals:       defaultApprovals(),
		Audit:           defaultAudit(),
		DeadLetters:     DeadLettersConfig{MaxEvents: 1000, MaxAge: 7 * 24 * time.Hour},
		MaxEventAge:     5 * time.Minute,
		MaxEventLead:    5 * time.Minute,
		Verification:    defaultVerification(),
		Kubernetes:      configoptional.Default(defaultKubernetes()),
		Store:           defaultStore(),
		Coordination:    CoordinationCluster,
		QueueSize:       1000,
		RetryConfig:     defaultRetry(),
		MaxBodySize:     64 << 10,
		MaxIncidents:    1000,
		ForgetAfter:     24 * time.Hour,
	}
}

// Validate reports what is wrong with the settings as a whole; webhooks and playbooks check themselves.
func (c *Config) Validate() error {
	var errs []error
	if c.Source == "" || len(c.Source) > 200 {
		errs = append(errs, fmt.Errorf("source must have 1 to 200 characters, got %d; it names this exporter to receivers", len(c.Source)))
	}
	if len(c.Cluster) > 200 {
		errs = append(errs, fmt.Errorf("cluster must have at most 200 characters, got %d", len(c.Cluster)))
	}
	if len(c.Webhooks) == 0 && len(c.Notifiers) == 0 && !c.Kubernetes.HasValue() && c.IncidentStore == nil {
		errs = append(errs, errors.New("webhooks must not be empty; name at least one receiver, or one under notifiers, or a cluster under kubernetes, or an incident_store"))
	}
	if c.Coordination == CoordinationStore && c.IncidentStore == nil {
		errs = append(errs, errors.New("coordination must be cluster without incident_store, got store; name the incidentstore extension under incident_store"))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Webhooks)) {
		if !namePattern.MatchString(name) {
			errs = append(errs, fmt.Errorf("webhooks: name must match %s, got %.80q", namePattern, name))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Notifiers)) {
		if !namePattern.MatchString(name) {
			errs = append(errs, fmt.Errorf("notifiers: name must match %s, got %.80q", namePattern, name))
		}
		if _, ok := c.Webhooks[name]; ok {
			errs = append(errs, fmt.Errorf("notifiers: name must not be that of a webhook, got %.80q; both are destinations", name))
		}
	}
	seen := map[string]bool{}
	for i, p := range c.Playbooks {
		if seen[p.Name] {
			errs = append(errs, fmt.Errorf("playbooks::%d: name must be unique, got %q twice", i, p.Name))
		}
		seen[p.Name] = true
		errs = append(errs, c.validateSteps(i)...)
	}
	if c.QueueSize < 1 || c.QueueSize > 100_000 {
		errs = append(errs, fmt.Errorf("queue_size must be between 1 and 100000, got %d; it bounds memory", c.QueueSize))
	}
	if c.MaxBodySize < minBodySize || c.MaxBodySize > maxBodySize {
		errs = append(errs, fmt.Errorf("max_body_size must be between %d and %d, got %d", minBodySize, maxBodySize, c.MaxBodySize))
	}
	if c.MaxIncidents < 1 || c.MaxIncidents > 100_000 {
		errs = append(errs, fmt.Errorf("max_incidents must be between 1 and 100000, got %d; it bounds memory", c.MaxIncidents))
	}
	errs = append(errs, c.validateRoutes()...)
	if err := c.validateWindows(); err != nil {
		errs = append(errs, err)
	}
	if c.MaxEventAge < 0 {
		errs = append(errs, fmt.Errorf("max_event_age must not be negative, got %s; 0 is no limit", c.MaxEventAge))
	}
	if c.MaxEventLead < 0 {
		errs = append(errs, fmt.Errorf("max_event_lead must not be negative, got %s; 0 is no limit", c.MaxEventLead))
	}
	if c.ForgetAfter < time.Minute {
		errs = append(errs, fmt.Errorf("forget_after must be at least 1m, got %s", c.ForgetAfter))
	}
	return errors.Join(errs...)
}

// validateSteps checks what the steps of a playbook refer to.
func (c *Config) validateSteps(i int) []error {
	var errs []error
	p := &c.Playbooks[i]
	for j := range p.Steps {
		step := &p.Steps[j]
		if _, ok := c.Webhooks[step.Webhook]; !ok && step.Webhook != "" {
			errs = append(errs, fmt.Errorf("playbooks::%d::steps::%d: webhook must be one of webhooks, got %.80q", i, j, step.Webhook))
		}
		if step.Kubernetes != nil && !c.Kubernetes.HasValue() {
			errs = append(errs, fmt.Errorf("playbooks::%d::steps::%d: kubernetes must not be set without a cluster; add the kubernetes block of the exporter", i, j))
		}
		v := p.verify(j)
		if v.Within > c.ForgetAfter {
			errs = append(errs, fmt.Errorf("playbooks::%d::steps::%d: verify::within must be at most forget_after (%s), got %s", i, j, c.ForgetAfter, v.Within))
		}
		if p.assessed(j) {
			if err := v.validateAssessed(); err != nil {
				errs = append(errs, fmt.Errorf("playbooks::%d::steps::%d: verify: %w", i, j, err))
			}
		}
	}
	return errs
}

// maxWindows bounds the windows, which are looked at before each decision.
const maxWindows = 100

// validateWindows checks the windows as a whole; each checks itself.
func (c *Config) validateWindows() error {
	if len(c.Windows) > maxWindows {
		return fmt.Errorf("windows must be at most %d, got %d", maxWindows, len(c.Windows))
	}
	for i, w := range c.Windows {
		if slices.ContainsFunc(c.Windows[:i], func(o timewindow.Window) bool { return o.Name == w.Name }) {
			return fmt.Errorf("windows::%d: name must be unique, got %.80q twice", i, w.Name)
		}
	}
	return nil
}

// verify returns when a step of the playbook has helped.
func (c *PlaybookConfig) verify(step int) *VerifyConfig {
	if v := c.Steps[step].Verify; v != nil {
		return v
	}
	return &c.Verify
}
