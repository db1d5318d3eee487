package remediationaccess

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/paramedic-otel/paramedic/exporter/remediationexporter"
)

// labelOf is on everything that is printed, with the name of the roles, so that kubectl apply --prune finds what is no longer
// needed.
const labelOf = "paramedic.io/access"

// rule is a policy rule with who needs it.
type rule struct {
	rbacv1.PolicyRule
	users    []string
	optional bool
}

// YAML renders the access as manifests that kubectl applies: the service account, and a role with its binding for each place.
func (a *Access) YAML() ([]byte, error) {
	var out bytes.Buffer
	fmt.Fprintf(&out, "# What the playbooks of %s may do on Kubernetes, and nothing else.\n", strings.Join(a.Executors, ", "))
	fmt.Fprintf(&out, "# Made by remediation-rbac: run it again when the playbooks change.\n")
	account := &corev1.ServiceAccount{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ServiceAccount"}, ObjectMeta: a.meta(a.Namespace, a.ServiceAccount),
	}
	if err := document(&out, "", account, nil); err != nil {
		return nil, err
	}
	for _, namespace := range a.places() {
		required, optional := a.rules(namespace)
		if namespace != "" {
			if err := a.role(&out, namespace, a.Name, "", append(required, optional...)); err != nil {
				return nil, err
			}
			continue
		}
		if err := a.role(&out, "", a.Name, "", required); err != nil {
			return nil, err
		}
		why := "# Optional, to learn whether Argo CD and Flux take a change back; without it they are believed to.\n"
		if err := a.role(&out, "", a.Name+"-optional", why, optional); err != nil {
			return nil, err
		}
	}
	return out.Bytes(), nil
}

// places are the namespaces, the whole cluster (an empty name) first if something is needed there.
func (a *Access) places() []string {
	places := map[string]bool{}
	for _, g := range a.grants {
		places[g.namespace] = true
	}
	return slices.Sorted(maps.Keys(places))
}

// rules puts what the same steps need into one rule.
func (a *Access) rules(namespace string) (required, optional []rule) {
	type resource struct {
		users, group, name, resource string
		optional                     bool
	}
	verbs := map[resource][]string{}
	for _, g := range a.grants {
		if g.namespace == namespace {
			r := resource{strings.Join(g.users, "\n"), g.Group, g.Name, g.Resource, g.Optional}
			verbs[r] = append(verbs[r], g.Verb)
		}
	}
	type alike struct {
		users, group, name, verbs string
		optional                  bool
	}
	resources := map[alike][]string{}
	for r, v := range verbs {
		slices.Sort(v)
		k := alike{r.users, r.group, r.name, strings.Join(v, ","), r.optional}
		resources[k] = append(resources[k], r.resource)
	}
	for _, r := range resources {
		slices.Sort(r)
	}
	for _, k := range slices.SortedFunc(maps.Keys(resources), func(a, b alike) int {
		return cmp.Or(cmp.Compare(a.group, b.group), slices.Compare(resources[a], resources[b]), cmp.Compare(a.name, b.name),
			cmp.Compare(a.verbs, b.verbs), cmp.Compare(a.users, b.users))
	}) {
		r := rule{PolicyRule: rbacv1.PolicyRule{APIGroups: []string{k.group}, Resources: resources[k], Verbs: strings.Split(k.verbs, ",")}}
		r.users, r.optional = strings.Split(k.users, "\n"), k.optional
		if k.name != "" {
			r.ResourceNames = []string{k.name}
		}
		if k.optional {
			optional = append(optional, r)
		} else {
			required = append(required, r)
		}
	}
	return required, optional
}

// role writes a role with these rules and its binding; for the whole cluster where the namespace is empty.
func (a *Access) role(out *bytes.Buffer, namespace, name, why string, rules []rule) error {
	if len(rules) == 0 {
		return nil
	}
	kind := "Role"
	if namespace == "" {
		kind = "ClusterRole"
	}
	group := rbacv1.GroupName + "/v1"
	meta := a.meta(namespace, name)
	role := map[string]any{"apiVersion": group, "kind": kind, "metadata": meta}
	if err := document(out, why, role, rules); err != nil {
		return err
	}
	binding := &rbacv1.RoleBinding{
		TypeMeta: metav1.TypeMeta{APIVersion: group, Kind: kind + "Binding"}, ObjectMeta: meta,
		RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: kind, Name: name},
		Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: a.Namespace, Name: a.ServiceAccount}},
	}
	return document(out, "", binding, nil)
}

func (a *Access) meta(namespace, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{labelOf: a.Name}}
}

// document writes an object, and its rules one by one, so that each can have a comment.
func document(out *bytes.Buffer, comment string, object any, rules []rule) error {
	text, err := yaml.Marshal(object)
	if err != nil {
		return fmt.Errorf("write a manifest: %w", err)
	}
	out.WriteString("---\n" + comment)
	out.Write(text)
	if len(rules) > 0 {
		out.WriteString("rules:\n")
	}
	for _, r := range rules {
		text, err := yaml.Marshal([]rbacv1.PolicyRule{r.PolicyRule})
		if err != nil {
			return fmt.Errorf("write a rule: %w", err)
		}
		for _, user := range r.users {
			out.WriteString("# " + user)
			if r.optional {
				out.WriteString(", optional")
			}
			out.WriteString("\n")
		}
		out.Write(text)
	}
	return nil
}

func onKubernetes(p remediationexporter.PlaybookConfig) bool {
	return slices.ContainsFunc(p.Steps, func(s remediationexporter.StepConfig) bool { return s.Kubernetes != nil })
}
