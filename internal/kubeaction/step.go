package kubeaction

// Step is one Kubernetes action with its parameters: exactly one field is set.
type Step struct {
	RolloutRestart *RolloutRestart `mapstructure:"rollout_restart"`
}

// RolloutRestart replaces a workload's pods step by step, as kubectl rollout restart does.
type RolloutRestart struct{}
