package kubeaction

import (
	"time"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
)

// Client acts on one cluster. It is safe for concurrent use.
type Client struct {
	settings Settings
	typed    kubernetes.Interface
	dynamic  dynamic.Interface
	now      func() time.Time
}
