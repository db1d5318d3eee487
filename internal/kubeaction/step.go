package kubeaction

import (
	"errors"
	"fmt"
	"strings"
)

// Step is one Kubernetes action with its parameters: exactly one field is set.
type Step struct {
	RolloutRestart *RolloutRestart `mapstructure:"rollout_restart"`
	Scale          *Scale          `mapstructure:"scale"`
	Rollback       *Rollback       `mapstructure:"rollback"`
	Shed           *Shed           `mapstructure:"shed"`
	Restore        *Restore        `mapstructure:"restore"`
	PatchConfigMap *PatchConfigMap `mapstructure:"patch_config_map"`
	SuspendCronJob *SuspendCronJob `mapstructure:"suspend_cron_job"`
	ResumeCronJob  *ResumeCronJob  `mapstructure:"resume_cron_job"`

	DeletePod *DeletePod `mapstructure:"delete_pod"`
	EvictPod  *EvictPod  `mapstructure:"evict_pod"`
	Cordon    *Cordon    `mapstructure:"cordon"`
	Uncordon  *Uncordon  `mapstructure:"uncordon"`
	Drain     *Drain     `mapstructure:"drain"`
	Isolate   *Isolate   `mapstructure:"isolate"`
	Release   *Release   `mapstructure:"release"`
	RunJob    *RunJob    `mapstructure:"run_job"`
}

// actions are the zero values of all actions, by which plans and receipts are carried out after a restart. An action has
// one line here and one in [Step.set].
var actions = []action{
	&RolloutRestart{},
	&Scale{},
	&Rollback{},
	&Shed{},
	&Restore{},
	&PatchConfigMap{},
	&SuspendCronJob{},
	&ResumeCronJob{},
	&DeletePod{},
	&EvictPod{},
	&Cordon{},
	&Uncordon{},
	&Drain{},
	&Isolate{},
	&Release{},
	&RunJob{},
}

func (s *Step) set() []action {
	var set []action
	set = appendSet(set, s.RolloutRestart)
	set = appendSet(set, s.Scale)
	set = appendSet(set, s.Rollback)
	set = appendSet(set, s.Shed)
	set = appendSet(set, s.Restore)
	set = appendSet(set, s.PatchConfigMap)
	set = appendSet(set, s.SuspendCronJob)
	set = appendSet(set, s.ResumeCronJob)
	set = appendSet(set, s.DeletePod)
	set = appendSet(set, s.EvictPod)
	set = appendSet(set, s.Cordon)
	set = appendSet(set, s.Uncordon)
	set = appendSet(set, s.Drain)
	set = appendSet(set, s.Isolate)
	set = appendSet(set, s.Release)
	set = appendSet(set, s.RunJob)
	return set
}

// Validate says everything that is wrong with the step.
func (s *Step) Validate() error {
	set := s.set()
	if len(set) != 1 {
		return fmt.Errorf("step must set exactly one of %s, got %s; one step is one action", names(actions), names(set))
	}
	return set[0].validate()
}

// Name is what configuration, audit and metrics call the action; empty for an invalid step.
func (s *Step) Name() string {
	act, err := s.action()
	if err != nil {
		return ""
	}
	return act.name()
}

// Class is what budgets count the action as; empty for an invalid step.
func (s *Step) Class() Class {
	act, err := s.action()
	if err != nil {
		return ""
	}
	return act.class()
}

func (s *Step) action() (action, error) {
	if s == nil {
		return nil, errors.New("the order has no step")
	}
	if err := s.Validate(); err != nil {
		return nil, err
	}
	return s.set()[0], nil
}

func actionNamed(name string) (action, error) {
	for _, act := range actions {
		if act.name() == name {
			return act, nil
		}
	}
	return nil, fmt.Errorf("action must be one of %s, got %q; another version may have written it", names(actions), name)
}

func appendSet[T any, P interface {
	*T
	action
}](set []action, act P) []action {
	if act == nil {
		return set
	}
	return append(set, act)
}

func names(list []action) string {
	if len(list) == 0 {
		return "none"
	}
	var names []string
	for _, act := range list {
		names = append(names, act.name())
	}
	return strings.Join(names, ", ")
}
