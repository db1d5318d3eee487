package kubeaction

import "context"

// RolloutRestart replaces a workload's pods step by step, as kubectl rollout restart does.
type RolloutRestart struct{}

func (*RolloutRestart) name() string    { return "rollout_restart" }
func (*RolloutRestart) class() Class    { return ClassRestart }
func (*RolloutRestart) validate() error { return nil }

func (*RolloutRestart) needs() []permission { return nil }

func (*RolloutRestart) plan(context.Context, *Client, *Plan) error {
	return refuse(ReasonUnsupported, "rollout_restart cannot be carried out yet")
}

func (*RolloutRestart) apply(context.Context, *Client, *Plan) (Receipt, error) {
	return Receipt{}, refuse(ReasonUnsupported, "rollout_restart cannot be carried out yet")
}

func (*RolloutRestart) undo(context.Context, *Client, *Receipt) (Receipt, error) {
	return Receipt{}, refuse(ReasonUnsupported, "a restart cannot be undone")
}

func (*RolloutRestart) health(context.Context, *Client, *Receipt) (Health, error) {
	return Health{}, refuse(ReasonUnsupported, "rollout_restart cannot be carried out yet")
}
