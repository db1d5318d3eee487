package kubeaction

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

// The defaults of a rollback's bounds.
const (
	DefaultRollbackMaxAge   = 24 * time.Hour
	DefaultRollbackPingPong = 24 * time.Hour
)

// What a rollback leaves on the workload, so that the revision it left is not gone back to soon.
const (
	annotationLeft   = "paramedic.io/rolled-back-from"
	annotationLeftAt = "paramedic.io/rolled-back-at"
)

// labelTemplateHash is what a Deployment adds to the template of each of its ReplicaSets.
const labelTemplateHash = "pod-template-hash"

// Rollback puts a workload's pod template back to that of the revision before the present one, as kubectl rollout undo
// does: a Deployment's from its ReplicaSets, a StatefulSet's and a DaemonSet's from its ControllerRevisions. Unlike kubectl
// it does not take a restart for a revision of its own. Undo rolls forward again.
type Rollback struct {
	// MaxAge is how old the present revision may be, 0 for [DefaultRollbackMaxAge], at most 720h: what has run longer did
	// not bring the trouble.
	MaxAge time.Duration `mapstructure:"max_age"`
	// PingPong is for how long a revision that was rolled back from is not gone back to, 0 for [DefaultRollbackPingPong],
	// at most 720h.
	PingPong time.Duration `mapstructure:"ping_pong"`
}

func (*Rollback) name() string { return "rollback" }
func (*Rollback) class() Class { return ClassRevert }

func (a *Rollback) validate() error {
	var errs []error
	for _, d := range []struct {
		setting string
		value   time.Duration
	}{{"max_age", a.MaxAge}, {"ping_pong", a.PingPong}} {
		if d.value < 0 || d.value > 720*time.Hour {
			errs = append(errs, fmt.Errorf("%s must be between 0 (for the default) and 720h, got %s", d.setting, d.value))
		}
	}
	return errors.Join(errs...)
}

func (*Rollback) needs() []permission {
	return workloadNeeds([]kind{kindDeployment, kindStatefulSet, kindDaemonSet}, "patch")
}

// revision is a template that a workload has or had.
type revision struct {
	number   int
	name     string // of the ReplicaSet or ControllerRevision
	id       string // the same for the same template of one workload
	created  time.Time
	template fields
}

// rollbackData names the templates by the objects that hold them, which the API server keeps unchanged.
type rollbackData struct {
	From   string `json:"from"`
	FromID string `json:"from_id"`
	To     string `json:"to"`
	ToID   string `json:"to_id"`
}

func (a *Rollback) plan(ctx context.Context, c *Client, p *Plan) error {
	u, err := c.resolve(ctx, p.Order, workloads...)
	if err != nil {
		return err
	}
	p.Target, p.Undoable = objectOf(u), true
	if p.Target.Kind == kindRollout.name {
		return refuse(ReasonOwner, "%s is rolled back by Argo Rollouts' own analysis; use kubectl argo rollouts undo %s -n %s", p.Target, p.Target.Name, p.Target.Namespace)
	}
	if err := c.describe(ctx, u, p); err != nil {
		return err
	}
	revisions, err := c.revisions(ctx, u)
	if err != nil {
		return err
	}
	if p.repeated(u) {
		return a.planRepeated(u, p, revisions)
	}
	if err := restartable(u); err != nil {
		return err
	}
	if err := c.respect(ctx, u, p, []string{"spec", "template", "spec"}); err != nil {
		return err
	}
	present, previous, err := a.choose(u, revisions, c.now())
	if err != nil {
		return err
	}
	data := rollbackData{From: present.name, FromID: present.id, To: previous.name, ToID: previous.id}
	if p.Data, err = json.Marshal(data); err != nil {
		return err
	}
	p.passed("revision", "revision %d (%s) was made %s ago; back to revision %d (%s)", present.number, present.name,
		c.now().Sub(present.created).Round(time.Second), previous.number, previous.name)
	if orderedPods(u) {
		p.noted("ordered_pods", "%s replaces its pods one by one and waits for each: a pod of the present revision that never becomes ready must be deleted by hand or by a later step", p.Target)
	}
	r := replicasOf(u)
	p.Weight = max(r.desired, r.total)
	p.Summary = fmt.Sprintf("Roll %s back from revision %d to revision %d, replacing up to %d pods step by step", p.Target, present.number, previous.number, p.Weight)
	p.Commands = []string{fmt.Sprintf("kubectl -n %s rollout undo %s/%s --to-revision=%d", p.Target.Namespace, lower(p.Target.Kind), p.Target.Name, previous.number)}
	return c.try(ctx, p, a.change(c, p, data, previous.template, present.template))
}

// planRepeated finds again what a lost plan did, from what it left on the workload.
func (a *Rollback) planRepeated(u *unstructured.Unstructured, p *Plan, revisions []revision) error {
	data := rollbackData{FromID: u.GetAnnotations()[annotationLeft]}
	for _, r := range revisions {
		if r.id == data.FromID {
			data.From = r.name
		}
		if sameTemplate(u, r.template) {
			data.To, data.ToID = r.name, r.id
		}
	}
	var err error
	p.Data, err = json.Marshal(data)
	return err
}

// choose finds the present revision and the one before it.
func (a *Rollback) choose(u *unstructured.Unstructured, revisions []revision, now time.Time) (present, previous revision, err error) {
	object := objectOf(u)
	at := slices.IndexFunc(revisions, func(r revision) bool { return sameTemplate(u, r.template) })
	if at < 0 {
		return present, previous, refuse(ReasonTargetChanged, "%s was changed a moment ago: its controller has not made a revision of the template yet", object)
	}
	present = revisions[at]
	// What only restarts replaced is no other version: going back to it would change nothing, and the version is as old as
	// the first of them.
	first, before := at, at+1
	for before < len(revisions) && sameVersion(present.template, revisions[before].template) {
		first, before = before, before+1
	}
	if before >= len(revisions) {
		return present, previous, refuse(ReasonUnsupported, "%s has no revision before the present one (%s)", object, present.name)
	}
	previous = revisions[before]
	if age := now.Sub(revisions[first].created); age > cmp.Or(a.MaxAge, DefaultRollbackMaxAge) {
		return present, previous, refuse(ReasonBounds, "revision %s of %s is %s old, more than max_age (%s); it did not bring the trouble", present.name, object, age.Round(time.Second), cmp.Or(a.MaxAge, DefaultRollbackMaxAge))
	}
	left := u.GetAnnotations()[annotationLeft]
	if left == previous.id {
		leftAt, err := time.Parse(time.RFC3339, u.GetAnnotations()[annotationLeftAt])
		if err != nil || now.Sub(leftAt) < cmp.Or(a.PingPong, DefaultRollbackPingPong) {
			return present, previous, refuse(ReasonBounds, "%s was rolled back from revision %s at %s; going back to it would be ping-pong", object, previous.name, clean(u.GetAnnotations()[annotationLeftAt], 32))
		}
	}
	return present, previous, nil
}

// change writes one template where the other stands.
func (a *Rollback) change(c *Client, p *Plan, data rollbackData, to, from fields) change {
	return p.change(p.Target, func(u *unstructured.Unstructured) (fields, error) {
		if !sameTemplate(u, from) {
			return nil, refuse(ReasonTargetChanged, "%s has another template now than revision %s; somebody is at work on it", p.Target, data.From)
		}
		if err := restartable(u); err != nil {
			return nil, err
		}
		notes := fields{annotationLeft: data.FromID, annotationLeftAt: c.now().UTC().Format(time.RFC3339)}
		return fields{
			"spec":     fields{"template": templatePatch(u, to)},
			"metadata": fields{"annotations": notes},
		}, nil
	})
}

func (a *Rollback) apply(ctx context.Context, c *Client, p *Plan) (Receipt, error) {
	var data rollbackData
	if err := decode(p.Data, &data); err != nil {
		return Receipt{}, err
	}
	r := p.nothing()
	if !p.NoOp {
		from, to, err := c.templates(ctx, p.Target, data)
		if err != nil {
			return Receipt{}, err
		}
		done, err := c.write(ctx, a.change(c, p, data, to, from))
		if err != nil {
			return Receipt{}, err
		}
		r = done.receipt(p)
	}
	r.Undo = p.Data
	return r, nil
}

// undo rolls forward to the revision that was left.
func (a *Rollback) undo(ctx context.Context, c *Client, r *Receipt) (Receipt, error) {
	var data rollbackData
	if err := decode(r.Undo, &data); err != nil {
		return Receipt{}, err
	}
	from, to, err := c.templates(ctx, r.Objects[0], data)
	if err != nil {
		return Receipt{}, err
	}
	done, err := c.write(ctx, change{
		object: r.Objects[0], key: r.Key, mark: annotationUndone,
		patch: func(u *unstructured.Unstructured) (fields, error) {
			switch {
			case sameTemplate(u, from):
				return nil, nil
			case !sameTemplate(u, to):
				return nil, refuse(ReasonTargetChanged, "%s has another template now than revision %s; somebody is at work on it", r.Objects[0], data.To)
			}
			return fields{
				"spec":     fields{"template": templatePatch(u, from)},
				"metadata": fields{"annotations": fields{annotationLeft: nil, annotationLeftAt: nil}},
			}, nil
		},
	})
	if err != nil {
		return Receipt{}, err
	}
	return done.undone(fmt.Sprintf("Rolled %s forward to %s again", r.Objects[0], data.From)), nil
}

func (*Rollback) health(ctx context.Context, c *Client, r *Receipt) (Health, error) {
	return c.workloadHealth(ctx, r.Objects[0])
}

// templates reads the two templates of a rollback from the revisions that hold them.
func (c *Client) templates(ctx context.Context, o Object, data rollbackData) (from, to fields, err error) {
	u, err := c.get(ctx, o)
	if err != nil {
		return nil, nil, err
	}
	revisions, err := c.revisions(ctx, u)
	if err != nil {
		return nil, nil, err
	}
	for _, r := range revisions {
		if r.id == data.FromID {
			from = r.template
		}
		if r.id == data.ToID {
			to = r.template
		}
	}
	if from == nil || to == nil {
		return nil, nil, refuse(ReasonTargetChanged, "%s has no longer both revisions %s and %s", o, data.From, data.To)
	}
	return from, to, nil
}

// revisions lists what the workload's controller keeps of its templates, the newest first.
func (c *Client) revisions(ctx context.Context, u *unstructured.Unstructured) ([]revision, error) {
	var list []revision
	k, read := kindControllerRevision, controllerRevision
	if u.GetKind() == kindDeployment.name {
		k, read = kindReplicaSet, replicaSetRevision
	}
	err := c.eachOwned(ctx, k, u, func(owned *unstructured.Unstructured) error {
		if r, ok := read(owned); ok {
			list = append(list, r)
		}
		return nil
	})
	slices.SortFunc(list, func(a, b revision) int { return cmp.Compare(b.number, a.number) })
	return list, err
}

func replicaSetRevision(rs *unstructured.Unstructured) (revision, bool) {
	number, err := strconv.Atoi(rs.GetAnnotations()[annotationRevision])
	template, found, _ := unstructured.NestedMap(rs.Object, "spec", "template")
	if err != nil || !found {
		return revision{}, false
	}
	id := rs.GetLabels()[labelTemplateHash]
	unstructured.RemoveNestedField(template, "metadata", "labels", labelTemplateHash)
	return revision{number: number, name: rs.GetName(), id: id, created: rs.GetCreationTimestamp().Time, template: template}, id != ""
}

func controllerRevision(cr *unstructured.Unstructured) (revision, bool) {
	template, found, _ := unstructured.NestedMap(cr.Object, "data", "spec", "template")
	if !found {
		return revision{}, false
	}
	delete(template, "$patch")
	return revision{number: intAt(cr, "revision"), name: cr.GetName(), id: cr.GetName(), created: cr.GetCreationTimestamp().Time, template: template}, true
}

// sameTemplate compares a workload's template with another, a missing map being an empty one.
func sameTemplate(u *unstructured.Unstructured, template fields) bool {
	present, _, _ := unstructured.NestedMap(u.Object, "spec", "template")
	return reflect.DeepEqual(pruned(present), pruned(template))
}

// sameVersion compares two templates but for when they were last restarted.
func sameVersion(a, b fields) bool { return reflect.DeepEqual(withoutRestart(a), withoutRestart(b)) }

// withoutRestart is a pruned copy without the mark of a rollout restart.
func withoutRestart(template fields) fields {
	template = runtime.DeepCopyJSON(template)
	unstructured.RemoveNestedField(template, "metadata", "annotations", annotationRestarted)
	return pruned(template)
}

// templatePatch is the merge patch that makes a workload's template the wanted one.
func templatePatch(u *unstructured.Unstructured, want fields) fields {
	present, _, _ := unstructured.NestedMap(u.Object, "spec", "template")
	return difference(present, want)
}

// difference is the JSON merge patch (RFC 7396) that leads from one map to another.
func difference(from, to fields) fields {
	patch := fields{}
	for name := range from {
		if _, stays := to[name]; !stays {
			patch[name] = nil
		}
	}
	for name, value := range to {
		before, wasMap := from[name].(fields)
		after, isMap := value.(fields)
		switch {
		case wasMap && isMap:
			if below := difference(before, after); len(below) > 0 {
				patch[name] = below
			}
		case !reflect.DeepEqual(from[name], value):
			patch[name] = value
		}
	}
	return patch
}

// pruned is a copy without empty maps and nulls, which the API server adds and drops at will.
func pruned(m fields) fields {
	m = maps.Clone(m)
	for name, value := range m {
		below, isMap := value.(fields)
		if isMap {
			below = pruned(below)
			m[name] = below
		}
		if value == nil || isMap && len(below) == 0 {
			delete(m, name)
		}
	}
	return m
}
