package kubeaction

// Scope is where a playbook may act. Without namespaces it may act nowhere; nodes are in scope only if a node selector
// says so.
type Scope struct {
	// Namespaces are names, not patterns.
	Namespaces []string `mapstructure:"namespaces"`
	// Selector is a label selector that the workload (not its pods) must match; empty for every workload.
	Selector string `mapstructure:"selector"`
	// NodeSelector is a label selector for the nodes that node steps may touch; empty for none.
	NodeSelector string `mapstructure:"node_selector"`
}
