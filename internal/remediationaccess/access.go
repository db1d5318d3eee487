package remediationaccess

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/validation"

	"github.com/paramedic-otel/paramedic/internal/kubeaction"
)

// The defaults of [Options].
const (
	DefaultNamespace      = "paramedic"
	DefaultServiceAccount = "paramedic"
	DefaultName           = "paramedic-remediation"
)

// Options say what the access is for.
type Options struct {
	// Namespace is where the collector runs: kubernetes::namespace of the configuration, or else [DefaultNamespace], when empty.
	Namespace string
	// ServiceAccount is that of the collector's pods.
	ServiceAccount string
	// Name is what the roles and bindings are called.
	Name string
	// Optional includes what the actions can do without.
	Optional bool
}

// Access is what a service account must be allowed to do, and why. It is the same for the same configuration.
type Access struct {
	Options
	// Executors are the IDs of the exporters that it is for.
	Executors []string
	// Warnings are for people: what a playbook names in vain.
	Warnings []string
	grants   []grant
}

// grant is one permission in one place.
type grant struct {
	// namespace is empty for the whole cluster.
	namespace string
	kubeaction.Permission
	// users are who needs it, in the order of the configuration.
	users []string
}

// place tells where a permission is needed, and which.
type place struct {
	namespace, group, resource, verb, name string
}

// New collects what the executors need.
func New(executors []Executor, options Options) (*Access, error) {
	for i := range executors {
		if k := executors[i].Kubernetes; options.Namespace == "" && k.HasValue() {
			options.Namespace = k.Get().Namespace
		}
	}
	options.Namespace = cmp.Or(options.Namespace, DefaultNamespace)
	options.ServiceAccount = cmp.Or(options.ServiceAccount, DefaultServiceAccount)
	options.Name = cmp.Or(options.Name, DefaultName)
	a := &Access{Options: options}
	errs := []error{named("namespace", options.Namespace, validation.ValidateNamespaceName)}
	errs = append(errs, named("service account", options.ServiceAccount, validation.ValidateServiceAccountName))
	errs = append(errs, named("name", options.Name, validation.NameIsDNSLabel))
	found := map[place]*grant{}
	var order []place
	need := func(namespace string, p kubeaction.Permission, user string) {
		at := place{namespace, p.Group, p.Resource, p.Verb, p.Name}
		g := found[at]
		if g == nil {
			g = &grant{namespace: namespace, Permission: p}
			found[at], order = g, append(order, at)
		}
		g.Optional = g.Optional && p.Optional
		if !slices.Contains(g.users, user) {
			g.users = append(g.users, user)
		}
	}
	for i := range executors {
		x := &executors[i]
		a.Executors = append(a.Executors, x.ID.String())
		prefix := ""
		if len(executors) > 1 {
			prefix = x.ID.String() + ": "
		}
		errs = append(errs, a.playbooks(x, prefix, need), a.home(x, prefix, need))
	}
	for _, at := range order {
		g := found[at]
		wide := found[place{"", at.group, at.resource, at.verb, at.name}]
		switch {
		case g.Optional && !options.Optional:
		case g.namespace != "" && wide != nil && (!wide.Optional || g.Optional && options.Optional):
			for _, user := range g.users { // the whole cluster has it anyway
				if !slices.Contains(wide.users, user) {
					wide.users = append(wide.users, user)
				}
			}
		default:
			a.grants = append(a.grants, *g)
		}
	}
	for i := range a.grants { // users may have come after the grant was copied
		g := &a.grants[i]
		g.users = found[place{g.namespace, g.Group, g.Resource, g.Verb, g.Name}].users
	}
	slices.SortStableFunc(a.grants, compareGrants)
	return a, errors.Join(errs...)
}

func compareGrants(a, b grant) int {
	return cmp.Or(cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.Group, b.Group), cmp.Compare(a.Resource, b.Resource),
		cmp.Compare(a.Name, b.Name), cmp.Compare(a.Verb, b.Verb))
}

// playbooks collects what the steps need in their scopes.
func (a *Access) playbooks(x *Executor, prefix string, need func(string, kubeaction.Permission, string)) error {
	if !x.Kubernetes.HasValue() {
		return nil
	}
	k := x.Kubernetes.Get()
	var errs []error
	for i := range x.Playbooks {
		p := &x.Playbooks[i]
		var namespaces []string
		for j, namespace := range p.Scope.Namespaces {
			if err := named(fmt.Sprintf("playbook %s: scope::namespaces::%d", p.Name, j), namespace, validation.ValidateNamespaceName); err != nil {
				errs = append(errs, err)
				continue
			}
			if namespace == a.Namespace || namespace == k.Namespace || slices.Contains(k.ProtectedNamespaces, namespace) {
				a.Warnings = append(a.Warnings, fmt.Sprintf("%splaybook %s: namespace %s is protected and never touched, so nothing is granted there", prefix, p.Name, namespace))
				continue
			}
			namespaces = append(namespaces, namespace)
		}
		for j := range p.Steps {
			step := p.Steps[j].Kubernetes
			user := fmt.Sprintf("%s%s, step %d (%s)", prefix, p.Name, j+1, step.Name())
			for _, permission := range step.Permissions() {
				if permission.Cluster {
					need("", permission, user)
					continue
				}
				for _, namespace := range namespaces {
					need(namespace, permission, user)
				}
			}
		}
	}
	return errors.Join(errs...)
}

// home collects what is needed where the collector runs: for agreeing with other replicas on who acts.
func (a *Access) home(x *Executor, prefix string, need func(string, kubeaction.Permission, string)) error {
	var errs []error
	if lease := x.Lease; lease != nil {
		namespace := cmp.Or(lease.Namespace, a.Namespace)
		errs = append(errs, named("lease_namespace", namespace, validation.ValidateNamespaceName))
		user := prefix + "leader_elector"
		// Creating cannot be restricted to a name.
		need(namespace, kubeaction.Permission{Group: "coordination.k8s.io", Resource: "leases", Verb: "create"}, user)
		for _, verb := range []string{"get", "update"} {
			need(namespace, kubeaction.Permission{Group: "coordination.k8s.io", Resource: "leases", Name: lease.Name, Verb: verb}, user)
		}
	}
	if !x.Kubernetes.HasValue() || !x.Kubernetes.Get().Coordination.Enabled || !slices.ContainsFunc(x.Playbooks, onKubernetes) {
		return errors.Join(errs...)
	}
	k := x.Kubernetes.Get()
	namespace := cmp.Or(k.Coordination.Namespace, k.Namespace, a.Namespace)
	for _, rule := range kubeaction.ReservationRules(kubeaction.ReservationSettings{Name: k.Coordination.Name}) {
		for _, verb := range rule.Verbs {
			need(namespace, kubeaction.Permission{
				Group: rule.APIGroups[0], Resource: rule.Resources[0], Name: strings.Join(rule.ResourceNames, ""), Verb: verb,
			}, prefix+"kubernetes::coordination")
		}
	}
	return errors.Join(errs...)
}

func named(what, name string, valid validation.ValidateNameFunc) error {
	if msgs := valid(name, false); len(msgs) > 0 {
		return fmt.Errorf("%s must be a name that Kubernetes accepts, got %.80q: %s", what, name, strings.Join(msgs, "; "))
	}
	return nil
}
