package kubeaction

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/flowcontrol"
)

// Client acts on one cluster. It is safe for concurrent use.
type Client struct {
	settings Settings
	typed    kubernetes.Interface
	dynamic  dynamic.Interface
	now      func() time.Time
	reviews  reviews
	http     *http.Client
}

// New connects as the settings say. It asks the API server nothing yet.
func New(settings Settings, transport TransportSettings) (*Client, error) {
	config, err := restConfig(settings)
	if err != nil {
		return nil, fmt.Errorf("read how to reach the Kubernetes API: %w", err)
	}
	return NewForConfig(config, settings, transport)
}

// NewForConfig connects as the configuration says, which is copied; the settings' authentication is not used.
func NewForConfig(config *rest.Config, settings Settings, transport TransportSettings) (*Client, error) {
	if err := settings.Validate(); err != nil {
		return nil, err
	}
	settings.locate()
	config, err := Guarded(config, transport)
	if err != nil {
		return nil, err
	}
	config.Timeout = settings.Timeout
	config.RateLimiter = flowcontrol.NewTokenBucketRateLimiter(settings.QPS, settings.Burst) // one for both clients
	config.UserAgent = settings.FieldManager
	shared, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("make a Kubernetes client: %w", err)
	}
	typed, err := kubernetes.NewForConfigAndClient(config, shared)
	if err != nil {
		return nil, fmt.Errorf("make a Kubernetes client: %w", err)
	}
	untyped, err := dynamic.NewForConfigAndClient(config, shared)
	if err != nil {
		return nil, fmt.Errorf("make a Kubernetes client: %w", err)
	}
	return &Client{settings: settings, typed: typed, dynamic: untyped, now: time.Now, http: shared}, nil
}

// Close closes the connections to the API server that nothing uses. The client can be used again after it.
func (c *Client) Close() { utilnet.CloseIdleConnectionsFor(c.http.Transport) }

func restConfig(settings Settings) (*rest.Config, error) {
	if settings.AuthType == AuthServiceAccount {
		return rest.InClusterConfig()
	}
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = settings.KubeConfig
	overrides := &clientcmd.ConfigOverrides{CurrentContext: settings.Context}
	return clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, overrides).ClientConfig()
}

const namespaceFile = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

// locate fills in where we run.
func (s *Settings) locate() {
	for _, place := range []struct {
		value    *string
		variable string
	}{{&s.Namespace, "POD_NAMESPACE"}, {&s.Pod, "POD_NAME"}, {&s.Node, "NODE_NAME"}} {
		if *place.value == "" {
			*place.value = os.Getenv(place.variable)
		}
	}
	if s.Namespace == "" && s.AuthType == AuthServiceAccount {
		if text, err := os.ReadFile(namespaceFile); err == nil {
			s.Namespace = strings.TrimSpace(string(text))
		}
	}
}
