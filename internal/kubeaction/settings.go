package kubeaction

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/validation"
)

// Settings say which cluster to act on and what never to touch there.
type Settings struct {
	// AuthType is serviceAccount (the default: that of our own pod) or kubeConfig.
	AuthType AuthType `mapstructure:"auth_type"`
	// KubeConfig is the path of a kubeconfig file and Context a context in it; both only with auth_type kubeConfig. Empty
	// means KUBECONFIG or ~/.kube/config, and the current context.
	KubeConfig string `mapstructure:"kubeconfig"`
	Context    string `mapstructure:"context"`
	// Cluster is the name of the cluster, as telemetry has it in k8s.cluster.name. An order for another cluster is refused,
	// and so is one that names a cluster while this is empty.
	Cluster string `mapstructure:"cluster"`
	// Namespace, Pod and Node are where we run ourselves. Empty values are taken from the environment variables
	// POD_NAMESPACE, POD_NAME and NODE_NAME, the namespace also from the service account. Nothing in our namespace and no node that holds us is touched.
	Namespace string `mapstructure:"namespace"`
	Pod       string `mapstructure:"pod"`
	Node      string `mapstructure:"node"`
	// ProtectedNamespaces are not touched, whatever a playbook's scope says. Our own is always protected.
	ProtectedNamespaces []string `mapstructure:"protected_namespaces"`
	// OnGitOps says what to do where Argo CD, Flux or the like would take the change back: refuse (the default) or allow.
	OnGitOps OwnerPolicy `mapstructure:"on_gitops"`
	// OnOperator says what to do with a workload that is owned by an object of a kind we do not know: refuse (the default) or allow.
	OnOperator OwnerPolicy `mapstructure:"on_operator"`
	// ArgoCDNamespaces are where Application objects are looked for, to learn whether they heal themselves.
	ArgoCDNamespaces []string `mapstructure:"argocd_namespaces"`
	// MinReady is the share of a workload's desired pods, 0 to 1, that must be ready before it is disturbed; with none ready
	// there is nothing to lose, and it may be. Actions that add capacity do not ask.
	MinReady float64 `mapstructure:"min_ready"`
	// ConfigMaps are the config maps that patch_config_map may change; without any it may change none.
	ConfigMaps []ConfigMapRule `mapstructure:"config_maps"`
	// FieldManager is the name under which our changes stand in managedFields.
	FieldManager string `mapstructure:"field_manager"`
	// Timeout is for one request, 100 ms to 5 min.
	Timeout time.Duration `mapstructure:"timeout"`
	// QPS and Burst bound the requests to the API server.
	QPS   float32 `mapstructure:"qps"`
	Burst int     `mapstructure:"burst"`
}

// AuthType is how we prove to the API server who we are.
type AuthType string

// The ways to authenticate.
const (
	AuthServiceAccount AuthType = "serviceAccount"
	AuthKubeConfig     AuthType = "kubeConfig"
)

// OwnerPolicy is what to do with an object that somebody else looks after.
type OwnerPolicy string

// The policies.
const (
	OwnerRefuse OwnerPolicy = "refuse"
	OwnerAllow  OwnerPolicy = "allow"
)

// DefaultSettings are careful.
func DefaultSettings() Settings {
	return Settings{
		AuthType:            AuthServiceAccount,
		ProtectedNamespaces: []string{"kube-system", "kube-public", "kube-node-lease"},
		OnGitOps:            OwnerRefuse,
		OnOperator:          OwnerRefuse,
		ArgoCDNamespaces:    []string{"argocd"},
		MinReady:            0.5,
		FieldManager:        "otelcol-paramedic",
		Timeout:             10 * time.Second,
		QPS:                 100,
		Burst:               300,
	}
}

// Validate says everything that is wrong with the settings.
func (s *Settings) Validate() error {
	var errs []error
	if s.AuthType != AuthServiceAccount && s.AuthType != AuthKubeConfig {
		errs = append(errs, fmt.Errorf("auth_type must be serviceAccount or kubeConfig, got %q", s.AuthType))
	}
	if s.AuthType == AuthServiceAccount && (s.KubeConfig != "" || s.Context != "") {
		errs = append(errs, errors.New("kubeconfig and context must be empty with auth_type serviceAccount; set auth_type to kubeConfig"))
	}
	for _, ns := range slices.Concat(s.ProtectedNamespaces, s.ArgoCDNamespaces) {
		if msgs := validation.ValidateNamespaceName(ns, false); len(msgs) > 0 {
			errs = append(errs, fmt.Errorf("protected_namespaces and argocd_namespaces must be names of namespaces, got %q: %s", ns, strings.Join(msgs, "; ")))
		}
	}
	for _, policy := range []struct {
		setting string
		value   OwnerPolicy
	}{{"on_gitops", s.OnGitOps}, {"on_operator", s.OnOperator}} {
		if policy.value != OwnerRefuse && policy.value != OwnerAllow {
			errs = append(errs, fmt.Errorf("%s must be refuse or allow, got %q", policy.setting, policy.value))
		}
	}
	if !(s.MinReady >= 0 && s.MinReady <= 1) {
		errs = append(errs, fmt.Errorf("min_ready must be between 0 and 1, got %v", s.MinReady))
	}
	if s.FieldManager == "" || len(s.FieldManager) > 128 {
		errs = append(errs, fmt.Errorf("field_manager must be 1 to 128 characters, got %q", s.FieldManager))
	}
	if s.Timeout < 100*time.Millisecond || s.Timeout > 5*time.Minute {
		errs = append(errs, fmt.Errorf("timeout must be between 100ms and 5m, got %s", s.Timeout))
	}
	if !(s.QPS >= 1 && s.QPS <= 10000) {
		errs = append(errs, fmt.Errorf("qps must be between 1 and 10000, got %v", s.QPS))
	}
	if s.Burst < 1 || s.Burst > 10000 {
		errs = append(errs, fmt.Errorf("burst must be between 1 and 10000, got %d", s.Burst))
	}
	for i, rule := range s.ConfigMaps {
		if err := rule.Validate(); err != nil {
			errs = append(errs, fmt.Errorf("config_maps::%d: %w", i, err))
		}
	}
	return errors.Join(errs...)
}
