package kubetest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Grant is what a service account may do in a namespace (a Role), or in the whole cluster where the namespace is empty (a
// ClusterRole).
type Grant struct {
	Namespace string
	Rules     []rbacv1.PolicyRule
}

// Rule makes a policy rule: verbs on resources of one API group ("" for the core group).
func Rule(group string, resources, verbs []string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{APIGroups: []string{group}, Resources: resources, Verbs: verbs}
}

// ServiceAccount makes a service account in a namespace that may do what the grants say and nothing else, and returns a
// configuration with its token, good for an hour. It returns when the API server knows of the grants.
func (l *Lab) ServiceAccount(t testing.TB, namespace string, grants ...Grant) *rest.Config {
	t.Helper()
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, GenerateName: "account-"}}
	l.Create(t, account)
	l.cleanUp(t, account)
	subjects := []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: namespace, Name: account.Name}}
	for i, grant := range grants {
		name := metav1.ObjectMeta{Namespace: grant.Namespace, Name: fmt.Sprintf("%s-%s-%d", namespace, account.Name, i)}
		role, binding := Object(&rbacv1.Role{ObjectMeta: name, Rules: grant.Rules}), Object(&rbacv1.RoleBinding{
			ObjectMeta: name, Subjects: subjects,
			RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name.Name},
		})
		if grant.Namespace == "" {
			role, binding = &rbacv1.ClusterRole{ObjectMeta: name, Rules: grant.Rules}, &rbacv1.ClusterRoleBinding{
				ObjectMeta: name, Subjects: subjects,
				RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name.Name},
			}
		}
		l.Create(t, role, binding)
		l.cleanUp(t, role)
		l.cleanUp(t, binding)
	}
	config := l.Token(t, namespace, account.Name)
	l.waitGranted(t, config, grants)
	return config
}

// Token returns a configuration with a token of a service account that exists, good for an hour. Its transport is closed
// when the test ends.
func (l *Lab) Token(t testing.TB, namespace, account string) *rest.Config {
	t.Helper()
	hour := int64(3600)
	token, err := l.client.CoreV1().ServiceAccounts(namespace).CreateToken(t.Context(), account,
		&authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &hour}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("ask for a token of %s/%s: %v", namespace, account, err)
	}
	admin, err := clientcmd.BuildConfigFromFlags("", l.Kubeconfig)
	if err != nil {
		t.Fatalf("read the kubeconfig of the lab: %v", err)
	}
	config, transport, err := ownTransport(rest.AnonymousClientConfig(admin))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(transport.close)
	config.BearerToken = token.Status.Token
	return config
}

// waitGranted waits until the API server, which learns of roles by watching, grants the first rule of each grant.
func (l *Lab) waitGranted(t testing.TB, config *rest.Config, grants []Grant) {
	t.Helper()
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	for _, grant := range grants {
		if len(grant.Rules) == 0 || len(grant.Rules[0].Resources) == 0 || len(grant.Rules[0].APIGroups) == 0 {
			continue
		}
		rule := grant.Rules[0]
		review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
			ResourceAttributes: &authorizationv1.ResourceAttributes{
				Namespace: grant.Namespace, Verb: rule.Verbs[0], Group: rule.APIGroups[0],
			},
		}}
		attributes := review.Spec.ResourceAttributes
		attributes.Resource, attributes.Subresource, _ = strings.Cut(rule.Resources[0], "/")
		if len(rule.ResourceNames) > 0 {
			attributes.Name = rule.ResourceNames[0]
		}
		Eventually(t, "the API server knows of the grants", func() error {
			got, err := client.AuthorizationV1().SelfSubjectAccessReviews().Create(t.Context(), review, metav1.CreateOptions{})
			if err == nil && !got.Status.Allowed {
				err = fmt.Errorf("%s %s in %q is not allowed: %s", rule.Verbs[0], rule.Resources[0], grant.Namespace, got.Status.Reason)
			}
			return err
		})
	}
}

// KubeconfigFile writes a kubeconfig file of a configuration with a token (see [Lab.ServiceAccount]), for what is configured
// with a path, and returns its path.
func (l *Lab) KubeconfigFile(t testing.TB, config *rest.Config) string {
	t.Helper()
	admin, err := clientcmd.LoadFromFile(l.Kubeconfig)
	if err != nil {
		t.Fatalf("read the kubeconfig of the lab: %v", err)
	}
	authority := admin.Clusters[admin.Contexts[admin.CurrentContext].Cluster].CertificateAuthority
	return kubeconfigFile(t, &clientcmdapi.Cluster{Server: l.Server, CertificateAuthority: authority}, config)
}

func kubeconfigFile(t testing.TB, cluster *clientcmdapi.Cluster, config *rest.Config) string {
	t.Helper()
	file := clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{"lab": cluster},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{"account": {Token: config.BearerToken}},
		Contexts:       map[string]*clientcmdapi.Context{"lab": {Cluster: "lab", AuthInfo: "account"}},
		CurrentContext: "lab",
	}
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(file, path); err != nil {
		t.Fatalf("write %s: %v", path, err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatalf("protect %s: %v", path, err)
	}
	return path
}
