package kubeaction

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// owner is somebody else who looks after an object and may take a change back.
type owner struct {
	name string
	// reverts is set where it puts its own state back by itself, within seconds or minutes.
	reverts bool
	// why says from what reverts was concluded.
	why string
	// cure is what a person should do instead.
	cure string
	// ignored are JSON pointers that it leaves alone.
	ignored []string
}

// Markers of who looks after an object.
const (
	argoTracking       = "argocd.argoproj.io/tracking-id"
	argoInstance       = "argocd.argoproj.io/instance"
	commonInstance     = "app.kubernetes.io/instance"
	commonManagedBy    = "app.kubernetes.io/managed-by"
	fluxKustomizeName  = "kustomize.toolkit.fluxcd.io/name"
	fluxKustomizeSpace = "kustomize.toolkit.fluxcd.io/namespace"
	fluxReconcile      = "kustomize.toolkit.fluxcd.io/reconcile"
	fluxApply          = "kustomize.toolkit.fluxcd.io/ssa"
	fluxHelmName       = "helm.toolkit.fluxcd.io/name"
	fluxHelmSpace      = "helm.toolkit.fluxcd.io/namespace"
	lastApplied        = "kubectl.kubernetes.io/last-applied-configuration"
)

// argoManagers are the field managers of Argo CD's controller.
var argoManagers = []string{"argocd-controller", "argocd-application-controller"}

// occasional are field managers that apply when somebody runs them, not by themselves.
var occasional = []string{"kubectl", "kubectl-client-side-apply", "before-first-apply", "helm", "Helm", "Terraform", "pulumi-kubernetes"}

// ownerNeeds are read to learn whether an owner puts its state back by itself. They lie where Argo CD and Flux are
// installed, so that they are needed in the whole cluster.
var ownerNeeds = []permission{everywhere(kindApplication), everywhere(kindKustomization), everywhere(kindHelmRelease)}

func everywhere(k kind) permission {
	p := k.optional("get")
	p.Cluster = true
	return p
}

// respect refuses a change that somebody else would take back, and one to an object that an operator makes. written are
// the paths of the fields that would be written. What does not speak against it is recorded among the plan's checks.
//
// What decides is the field, not the object: Argo CD, Flux and server-side appliers put back what they declare and leave
// alone what they do not. So the annotation of a restart passes, while a template's image does not.
func (c *Client) respect(ctx context.Context, u *unstructured.Unstructured, p *Plan, written ...[]string) error {
	object := objectOf(u)
	if err := c.respectOperator(u, p); err != nil {
		return err
	}
	owners, err := c.gitOps(ctx, u)
	if err != nil {
		return err
	}
	for _, o := range owners {
		field := declaredField(u, o, written)
		switch {
		case field == "":
			p.passed("owner", "%s looks after %s, but does not declare what would be written", o.name, object)
		case !o.reverts:
			p.noted("owner", "%s declares %s of %s, but does not put it back by itself: %s", o.name, field, object, o.why)
		case c.settings.OnGitOps == OwnerAllow:
			p.noted("owner", "%s declares %s of %s and will put it back (%s); on_gitops allows to act all the same", o.name, field, object, o.why)
		default:
			return refuse(ReasonOwner, "%s declares %s of %s and would put it back (%s); %s", o.name, field, object, o.why, o.cure)
		}
	}
	if len(owners) > 0 {
		return nil
	}
	for _, path := range written {
		manager := applier(u, path)
		if manager == "" || manager == c.settings.FieldManager {
			continue
		}
		field := strings.Join(path, ".")
		if slices.Contains(occasional, manager) || c.settings.OnGitOps == OwnerAllow {
			p.noted("owner", "%s applies %s of %s and will put it back when it is run again", manager, field, object)
			continue
		}
		return refuse(ReasonOwner, "field manager %q applies %s of %s and would put it back; change it there", manager, field, object)
	}
	if release := u.GetAnnotations()["meta.helm.sh/release-name"]; release != "" || u.GetLabels()[commonManagedBy] == "Helm" {
		p.noted("owner", "Helm installed %s (release %q); its next upgrade may set other values", object, clean(release, 64))
	}
	return nil
}

func (c *Client) respectOperator(u *unstructured.Unstructured, p *Plan) error {
	ref := metav1.GetControllerOfNoCopy(u)
	if ref == nil {
		return nil
	}
	parent := Object{APIVersion: ref.APIVersion, Kind: ref.Kind, Namespace: u.GetNamespace(), Name: ref.Name}
	p.Locks = append(p.Locks, parent.lock())
	if _, known := findKind(ref.Kind, ref.APIVersion); known {
		return nil
	}
	if c.settings.OnOperator == OwnerAllow {
		p.noted("owner", "%s is made by an operator from %s, which may put it back; on_operator allows to act all the same", objectOf(u), parent)
		return nil
	}
	return refuse(ReasonOwner, "%s is made by an operator from %s, which would put it back; change that, or set on_operator to allow", objectOf(u), parent)
}

// gitOps finds who keeps the object as a repository has it. Where its settings cannot be read the worst is assumed.
func (c *Client) gitOps(ctx context.Context, u *unstructured.Unstructured) ([]owner, error) {
	var owners []owner
	for _, look := range []func(context.Context, *unstructured.Unstructured) (*owner, error){c.argo, c.fluxKustomize, c.fluxHelm} {
		o, err := look(ctx, u)
		if err != nil {
			return nil, err
		}
		if o != nil {
			owners = append(owners, *o)
		}
	}
	return owners, nil
}

func (c *Client) argo(ctx context.Context, u *unstructured.Unstructured) (*owner, error) {
	app, _, tracked := strings.Cut(u.GetAnnotations()[argoTracking], ":")
	certain := tracked
	if !tracked {
		if app = u.GetLabels()[argoInstance]; app != "" {
			certain = true
		} else if app = u.GetLabels()[commonInstance]; app == "" {
			return nil, nil
		} else {
			// Helm charts set this label too.
			certain = slices.ContainsFunc(u.GetManagedFields(), func(m metav1.ManagedFieldsEntry) bool { return slices.Contains(argoManagers, m.Manager) })
		}
	}
	spaces := c.settings.ArgoCDNamespaces
	if space, name, ok := strings.Cut(app, "_"); ok {
		spaces, app = []string{space}, name
	}
	o := &owner{name: fmt.Sprintf("Argo CD application %q", clean(app, 128)), cure: "change it in the application's repository, or stop its self-heal"}
	for _, space := range spaces {
		application, err := c.optional(ctx, kindApplication, space, app)
		if err != nil {
			return nil, err
		}
		if application == nil {
			continue
		}
		automated, has, _ := unstructured.NestedMap(application.Object, "spec", "syncPolicy", "automated")
		enabled, set := automated["enabled"].(bool)
		heals, _ := automated["selfHeal"].(bool)
		o.reverts = has && heals && (enabled || !set)
		o.why = "its self-heal is off"
		if o.reverts {
			o.why = "its self-heal is on"
		}
		o.ignored = ignoredByArgo(application, u)
		return o, nil
	}
	if !certain {
		return nil, nil
	}
	o.reverts, o.why = true, "whether its self-heal is on cannot be read, so it is taken to be"
	return o, nil
}

// ignoredByArgo lists the JSON pointers that the application leaves alone on the object.
func ignoredByArgo(application, u *unstructured.Unstructured) []string {
	var pointers []string
	list, _, _ := unstructured.NestedSlice(application.Object, "spec", "ignoreDifferences")
	for _, item := range list {
		rule, ok := item.(map[string]any)
		if !ok {
			continue
		}
		matches := func(field, value string) bool {
			want, given := rule[field].(string)
			return !given || want == "" || want == "*" || want == value
		}
		if !matches("group", u.GroupVersionKind().Group) || !matches("kind", u.GetKind()) || !matches("name", u.GetName()) || !matches("namespace", u.GetNamespace()) {
			continue
		}
		some, _, _ := unstructured.NestedStringSlice(rule, "jsonPointers")
		pointers = append(pointers, some...)
	}
	return pointers
}

func (c *Client) fluxKustomize(ctx context.Context, u *unstructured.Unstructured) (*owner, error) {
	name, space := u.GetLabels()[fluxKustomizeName], u.GetLabels()[fluxKustomizeSpace]
	if name == "" {
		return nil, nil
	}
	o := &owner{
		name: fmt.Sprintf("Flux Kustomization %s/%s", space, name), reverts: true, why: "it reconciles at an interval",
		cure: "change it in its repository, or suspend it (flux suspend kustomization)",
	}
	if u.GetAnnotations()[fluxReconcile] == "disabled" || slices.Contains([]string{"IfNotPresent", "Ignore"}, u.GetAnnotations()[fluxApply]) {
		o.reverts, o.why = false, "the object's annotations tell it to leave the object alone"
		return o, nil
	}
	kustomization, err := c.optional(ctx, kindKustomization, space, name)
	if err != nil {
		return nil, err
	}
	if kustomization != nil && boolAt(kustomization, "spec", "suspend") {
		o.reverts, o.why = false, "it is suspended"
	}
	return o, nil
}

func (c *Client) fluxHelm(ctx context.Context, u *unstructured.Unstructured) (*owner, error) {
	name, space := u.GetLabels()[fluxHelmName], u.GetLabels()[fluxHelmSpace]
	if name == "" {
		return nil, nil
	}
	o := &owner{
		name: fmt.Sprintf("Flux HelmRelease %s/%s", space, name), reverts: true, why: "whether its drift detection is on cannot be read, so it is taken to be",
		cure: "change its values, or suspend it (flux suspend helmrelease)",
	}
	release, err := c.optional(ctx, kindHelmRelease, space, name)
	if err != nil {
		return nil, err
	}
	switch {
	case release == nil:
	case boolAt(release, "spec", "suspend"):
		o.reverts, o.why = false, "it is suspended"
	case stringAt(release, "spec", "driftDetection", "mode") == "enabled":
		o.why = "its drift detection is on"
	default:
		o.reverts, o.why = false, "its drift detection is off"
	}
	return o, nil
}

// optional gets an object that may not be there, or that we may not see; then it is nil.
func (c *Client) optional(ctx context.Context, k kind, namespace, name string) (*unstructured.Unstructured, error) {
	u, err := c.dynamic.Resource(k.resource).Namespace(namespace).Get(ctx, name, metav1.GetOptions{})
	if err == nil {
		return u, nil
	}
	o := Object{APIVersion: k.apiVersion(), Kind: k.name, Namespace: namespace, Name: name}
	var refusal *Refusal
	if err = c.explain(err, o, "get"); errors.As(err, &refusal) {
		return nil, nil
	}
	return nil, err
}

// declaredField is the first of the written fields that the owner declares; empty if none.
func declaredField(u *unstructured.Unstructured, o owner, written [][]string) string {
	for _, path := range written {
		pointer := "/" + strings.Join(path, "/")
		if slices.ContainsFunc(o.ignored, func(ignored string) bool {
			return pointer == ignored || strings.HasPrefix(pointer, strings.TrimSuffix(ignored, "/")+"/")
		}) {
			continue
		}
		if declared(u, path) {
			return strings.Join(path, ".")
		}
	}
	return ""
}

// declared says whether anybody but a controller that just updates declares the field: it stands in what was last applied,
// or a manager that applies owns it. Argo CD's client-side apply is an update to the API server.
func declared(u *unstructured.Unstructured, path []string) bool {
	if applier(u, path) != "" {
		return true
	}
	if text, ok := u.GetAnnotations()[lastApplied]; ok {
		var applied map[string]any
		if json.Unmarshal([]byte(text), &applied) != nil {
			return true
		}
		_, found, _ := unstructured.NestedFieldNoCopy(applied, path...)
		return found
	}
	for _, m := range u.GetManagedFields() {
		if slices.Contains(argoManagers, m.Manager) && owns(m, path) {
			return true
		}
	}
	// Without any record only what no repository would hold is safe to write.
	return len(u.GetManagedFields()) == 0 && path[len(path)-1] != annotationRestarted
}

// applier is the field manager that owns the field by server-side apply; empty if none.
func applier(u *unstructured.Unstructured, path []string) string {
	for _, m := range u.GetManagedFields() {
		if m.Operation == metav1.ManagedFieldsOperationApply && owns(m, path) {
			return m.Manager
		}
	}
	return ""
}

// owns says whether a manager owns the field or something below it.
func owns(m metav1.ManagedFieldsEntry, path []string) bool {
	if m.FieldsV1 == nil {
		return false
	}
	var set map[string]any
	if json.Unmarshal(m.FieldsV1.Raw, &set) != nil {
		return false
	}
	for _, name := range path {
		below, ok := set["f:"+name].(map[string]any)
		if !ok {
			return false
		}
		set = below
	}
	return true
}
