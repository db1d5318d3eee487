package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/client-go/util/connrotation"
)

// EnvKubeconfig names the file that tells where the API of the lab is: `kubelab run` sets it for its command.
const EnvKubeconfig = "KUBECONFIG"

// Cluster is a Kubernetes API as its administrator sees it. It is safe for concurrent use.
type Cluster struct {
	kubeconfig string
	dialer     *connrotation.Dialer
	client     kubernetes.Interface
	dynamic    dynamic.Interface
	mapper     meta.RESTMapper
}

// Open connects to the API that a kubeconfig file describes. It must be that of a lab: whole namespaces are made and deleted.
func Open(ctx context.Context, kubeconfig string) (_ *Cluster, err error) {
	config, client, dialer, err := configOf(kubeconfig)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			dialer.CloseAll()
		}
	}()
	c := &Cluster{kubeconfig: kubeconfig, dialer: dialer}
	if c.client, err = kubernetes.NewForConfigAndClient(config, client); err != nil {
		return nil, fmt.Errorf("make a client: %w", err)
	}
	if c.dynamic, err = dynamic.NewForConfigAndClient(config, client); err != nil {
		return nil, fmt.Errorf("make a client: %w", err)
	}
	nodes, err := c.client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("list the nodes: %w", err)
	}
	for i := range nodes.Items {
		if !strings.HasPrefix(nodes.Items[i].Name, "lab-node-") {
			return nil, fmt.Errorf("the nodes must be those of test/kubernetes, got %q: this is not a lab", nodes.Items[i].Name)
		}
	}
	resources, err := restmapper.GetAPIGroupResources(c.client.Discovery())
	if err != nil {
		return nil, fmt.Errorf("list the resources of the API: %w", err)
	}
	c.mapper = restmapper.NewDiscoveryRESTMapper(resources)
	return c, nil
}

// configOf returns a client with the dialer of its connections, which closes them also while a watch ends.
func configOf(kubeconfig string) (*rest.Config, *http.Client, *connrotation.Dialer, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("read the kubeconfig: %w", err)
	}
	config.QPS, config.Burst = 200, 400
	// Read at once, so that nothing watches the files.
	if err := rest.LoadTLSFiles(config); err != nil {
		return nil, nil, nil, fmt.Errorf("read the kubeconfig: %w", err)
	}
	config.CAFile, config.CertFile, config.KeyFile = "", "", ""
	dialer := connrotation.NewDialer((&net.Dialer{Timeout: 30 * time.Second}).DialContext)
	config.Dial = dialer.DialContext
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("make a client: %w", err)
	}
	return config, client, dialer, nil
}

// WithClient calls do with a client of whoever a kubeconfig file is of.
func WithClient(kubeconfig string, do func(kubernetes.Interface) error) error {
	config, http, dialer, err := configOf(kubeconfig)
	if err != nil {
		return err
	}
	defer dialer.CloseAll()
	client, err := kubernetes.NewForConfigAndClient(config, http)
	if err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	return do(client)
}

// Close closes the connections.
func (c *Cluster) Close() { c.dialer.CloseAll() }

// Client is the administrator's client.
func (c *Cluster) Client() kubernetes.Interface { return c.client }

// Namespace makes a namespace whose name begins so, and waits until pods can be made in it.
func (c *Cluster) Namespace(ctx context.Context, prefix string) (string, error) {
	ns, err := c.client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: prefix + "-"}}, metav1.CreateOptions{})
	if err != nil {
		return "", fmt.Errorf("make a namespace: %w", err)
	}
	return ns.Name, Await(ctx, "the default service account of "+ns.Name, func(ctx context.Context) error {
		_, err := c.client.CoreV1().ServiceAccounts(ns.Name).Get(ctx, "default", metav1.GetOptions{})
		return err
	})
}

// Delete deletes a namespace with all that is in it, and does not wait until it is gone.
func (c *Cluster) Delete(ctx context.Context, namespace string) error {
	return c.client.CoreV1().Namespaces().Delete(ctx, namespace, metav1.DeleteOptions{})
}

// Apply makes what the manifests say, as kubectl apply --server-side would. What names no namespace goes into the given one.
func (c *Cluster) Apply(ctx context.Context, namespace string, manifests io.Reader) error {
	decoder := yaml.NewYAMLOrJSONDecoder(manifests, 4096)
	for {
		object := &unstructured.Unstructured{}
		switch err := decoder.Decode(object); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("read a manifest: %w", err)
		case len(object.Object) == 0: // an empty document
			continue
		}
		kind := object.GroupVersionKind()
		mapping, err := c.mapper.RESTMapping(kind.GroupKind(), kind.Version)
		if err != nil {
			return fmt.Errorf("apply %s %s: %w", kind.Kind, object.GetName(), err)
		}
		to := dynamic.ResourceInterface(c.dynamic.Resource(mapping.Resource))
		if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
			if object.GetNamespace() == "" {
				object.SetNamespace(namespace)
			}
			to = c.dynamic.Resource(mapping.Resource).Namespace(object.GetNamespace())
		}
		if _, err := to.Apply(ctx, object.GetName(), object, metav1.ApplyOptions{FieldManager: "experiments"}); err != nil {
			return fmt.Errorf("apply %s %s: %w", kind.Kind, object.GetName(), err)
		}
	}
}

// AccountFile writes a kubeconfig file with which a service account, and nobody else, reaches the API for some hours.
func (c *Cluster) AccountFile(ctx context.Context, namespace, account, path string) error {
	lifetime := int64((6 * time.Hour).Seconds())
	token, err := c.client.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, account,
		&authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &lifetime}}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("ask for a token of %s/%s: %w", namespace, account, err)
	}
	admin, err := clientcmd.LoadFromFile(c.kubeconfig)
	if err != nil {
		return fmt.Errorf("read the kubeconfig: %w", err)
	}
	authority := admin.Clusters[admin.Contexts[admin.CurrentContext].Cluster]
	err = clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters: map[string]*clientcmdapi.Cluster{"lab": {
			Server: authority.Server, CertificateAuthority: authority.CertificateAuthority, CertificateAuthorityData: authority.CertificateAuthorityData,
		}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{"account": {Token: token.Status.Token}},
		Contexts:       map[string]*clientcmdapi.Context{"lab": {Cluster: "lab", AuthInfo: "account"}},
		CurrentContext: "lab",
	}, path)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return os.Chmod(path, 0o600)
}

const (
	patience = time.Minute
	pause    = 50 * time.Millisecond
)

// Await waits until check returns nil, for a minute at most.
func Await(ctx context.Context, what string, check func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", what, errors.Join(ctx.Err(), err))
		case <-tick.C:
		}
	}
}
