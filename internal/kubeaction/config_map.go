package kubeaction

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation"
)

const (
	// maxConfigValue bounds a value that is written, in bytes.
	maxConfigValue = 4096
	// maxConfigText bounds a JSON text of which one value is replaced, in bytes.
	maxConfigText = 256 << 10
	maxConfigPath = 512
)

// PatchConfigMap sets one key of a config map that exists, in the namespace of the incident's cause, to a value: a feature
// flag, say. With a path the key holds JSON, as flagd's does, and only the value there is set, to one of the same type; all
// else stays as it was written. The setting config_maps must allow it, whatever the playbook says. Pods that read it as environment variables
// must be restarted by another step. Undo puts the former value back.
type PatchConfigMap struct {
	Name string `mapstructure:"name"`
	Key  string `mapstructure:"key"`
	// Path is a JSON pointer (RFC 6901) to a string, number or boolean; empty for the whole text of the key.
	Path  string `mapstructure:"path"`
	Value string `mapstructure:"value"`
}

func (*PatchConfigMap) name() string { return "patch_config_map" }
func (*PatchConfigMap) class() Class { return ClassConfig }

func (a *PatchConfigMap) validate() error {
	var errs []error
	if msgs := validation.IsDNS1123Subdomain(a.Name); len(msgs) > 0 {
		errs = append(errs, fmt.Errorf("name must be that of a config map, got %q: %s", a.Name, strings.Join(msgs, "; ")))
	}
	if msgs := validation.IsConfigMapKey(a.Key); len(msgs) > 0 {
		errs = append(errs, fmt.Errorf("key must be a key of a config map, got %q: %s", a.Key, strings.Join(msgs, "; ")))
	}
	if a.Path != "" {
		if err := validPath(a.Path); err != nil {
			errs = append(errs, fmt.Errorf("path %w", err))
		}
	}
	if len(a.Value) > maxConfigValue || !utf8.ValidString(a.Value) {
		errs = append(errs, fmt.Errorf("value must be text of at most %d bytes, got %d bytes", maxConfigValue, len(a.Value)))
	}
	return errors.Join(errs...)
}

func (a *PatchConfigMap) needs() []permission {
	need := kindConfigMap.permission("get", "patch")
	need.Name = a.Name
	return append(workloadNeeds(nil), need)
}

// configData is the value that is written and the one that stood there; with a path both are JSON.
type configData struct {
	Key    string `json:"key"`
	Path   string `json:"path,omitempty"`
	Before string `json:"before"`
	After  string `json:"after"`
}

func (a *PatchConfigMap) plan(ctx context.Context, c *Client, p *Plan) error {
	p.Undoable = true
	if err := c.checkPlace(p.Order); err != nil {
		return err
	}
	if !slices.ContainsFunc(c.settings.ConfigMaps, func(r ConfigMapRule) bool { return r.allows(a.Name, a.Key, a.Path, a.Value) }) {
		return refuse(ReasonOutOfScope, "no rule of config_maps allows to set %s of config map %q to this value; add one", a.Key+a.Path, a.Name)
	}
	u, err := c.get(ctx, Object{APIVersion: "v1", Kind: kindConfigMap.name, Namespace: p.Order.Subject.Namespace, Name: a.Name})
	if err != nil {
		return err
	}
	p.Target = objectOf(u)
	p.Locks = append(p.Locks, p.Target.lock())
	p.passed("target", "%s has UID %s", p.Target, p.Target.UID)
	p.Criticality = criticality(u)
	if err := c.countPopulation(ctx, p); err != nil {
		return err
	}
	if err := c.countReaders(ctx, p); err != nil {
		return err
	}
	data := configData{Key: a.Key, Path: a.Path, After: a.Value}
	if data.Before, err = data.value(u); err != nil {
		return err
	}
	if a.Path != "" {
		if data.After, err = literal(a.Value, data.Before); err != nil {
			return refuse(ReasonBounds, "value of %s in %s cannot be set: %w", data.where(), p.Target, err)
		}
	}
	if p.repeated(u) {
		data.Before = u.GetAnnotations()[annotationPrevious]
		p.Data, err = json.Marshal(data)
		return err
	}
	if p.Data, err = json.Marshal(data); err != nil {
		return err
	}
	if data.Before == data.After {
		p.NoOp = true
		p.Summary = fmt.Sprintf("Nothing: %s of %s has this value already", data.where(), p.Target)
		return nil
	}
	if err := c.respect(ctx, u, p, []string{"data", a.Key}); err != nil {
		return err
	}
	p.Summary = fmt.Sprintf("Set %s of %s from %q to %q", data.where(), p.Target, clean(data.Before, 64), clean(data.After, 64))
	p.Commands = []string{fmt.Sprintf("kubectl -n %s edit configmap/%s", p.Target.Namespace, p.Target.Name)}
	return c.try(ctx, p, data.change(p))
}

// where names the value for people.
func (d configData) where() string {
	if d.Path == "" {
		return "key " + d.Key
	}
	return d.Path + " in key " + d.Key
}

// text gives the text of the key, if it may be overwritten.
func (d configData) text(u *unstructured.Unstructured) (string, error) {
	object := objectOf(u)
	if boolAt(u, "immutable") {
		return "", refuse(ReasonUnsupported, "%s is immutable", object)
	}
	if _, binary, _ := unstructured.NestedString(u.Object, "binaryData", d.Key); binary {
		return "", refuse(ReasonUnsupported, "key %q of %s holds binary data", d.Key, object)
	}
	text, found, _ := unstructured.NestedString(u.Object, "data", d.Key)
	if !found {
		return "", refuse(ReasonTargetMissing, "%s has no key %q; none is added", object, d.Key)
	}
	limit := maxConfigValue
	if d.Path != "" {
		limit = maxConfigText
	}
	if len(text) > limit {
		return "", refuse(ReasonBounds, "key %q of %s holds %d bytes; no more than %d are dealt with", d.Key, object, len(text), limit)
	}
	return text, nil
}

// value gives what stands where the data says.
func (d configData) value(u *unstructured.Unstructured) (string, error) {
	text, err := d.text(u)
	if err != nil || d.Path == "" {
		return text, err
	}
	start, end, err := scalarAt(text, d.Path)
	if err != nil {
		return "", refuse(ReasonTargetMissing, "%s of %s: %w", d.where(), objectOf(u), err)
	}
	if end-start > maxConfigValue {
		return "", refuse(ReasonBounds, "%s of %s is of %d bytes; more than %d are not replaced", d.where(), objectOf(u), end-start, maxConfigValue)
	}
	return text[start:end], nil
}

// replaced is the patch that sets another value there.
func (d configData) replaced(u *unstructured.Unstructured, value string) (fields, error) {
	if d.Path != "" {
		text, err := d.text(u)
		if err != nil {
			return nil, err
		}
		start, end, err := scalarAt(text, d.Path)
		if err != nil {
			return nil, refuse(ReasonTargetChanged, "%s of %s: %w", d.where(), objectOf(u), err)
		}
		value = text[:start] + value + text[end:]
	}
	return fields{"data": fields{d.Key: value}}, nil
}

func (d configData) change(p *Plan) change {
	return p.change(p.Target, func(u *unstructured.Unstructured) (fields, error) {
		now, err := d.value(u)
		if err != nil {
			return nil, err
		}
		if now != d.Before {
			return nil, refuse(ReasonTargetChanged, "somebody else has set %s of %s meanwhile", d.where(), p.Target)
		}
		patch, err := d.replaced(u, d.After)
		if err != nil {
			return nil, err
		}
		return merge(patch, nest(d.Before, "metadata", "annotations", annotationPrevious)), nil
	})
}

func (*PatchConfigMap) apply(ctx context.Context, c *Client, p *Plan) (Receipt, error) {
	var data configData
	if err := decode(p.Data, &data); err != nil {
		return Receipt{}, err
	}
	return c.carryOut(ctx, p, data.change(p))
}

func (*PatchConfigMap) undo(ctx context.Context, c *Client, r *Receipt) (Receipt, error) {
	var data configData
	if err := decode(r.Undo, &data); err != nil {
		return Receipt{}, err
	}
	done, err := c.write(ctx, change{
		object: r.Objects[0], key: r.Key, mark: annotationUndone,
		patch: func(u *unstructured.Unstructured) (fields, error) {
			now, err := data.value(u)
			switch {
			case err != nil:
				return nil, err
			case now == data.Before:
				return nil, nil
			case now != data.After:
				return nil, refuse(ReasonTargetChanged, "somebody else has set %s of %s since", data.where(), r.Objects[0])
			}
			return data.replaced(u, data.Before)
		},
	})
	if err != nil {
		return Receipt{}, err
	}
	return done.undone(fmt.Sprintf("Put %s of %s back", data.where(), r.Objects[0])), nil
}

func (*PatchConfigMap) health(ctx context.Context, c *Client, r *Receipt) (Health, error) {
	var data configData
	if err := decode(r.Undo, &data); err != nil {
		return Health{}, err
	}
	u, err := c.get(ctx, r.Objects[0])
	if err != nil {
		return Health{}, err
	}
	now, err := data.value(u)
	if kept := err == nil && now == data.After; !kept {
		return Health{Failed: true, Detail: fmt.Sprintf("%s of %s does not have the value that was set", data.where(), r.Objects[0])}, nil
	}
	return Health{Ready: true, Detail: fmt.Sprintf("%s of %s has the value that was set", data.where(), r.Objects[0])}, nil
}

// countReaders sets the plan's weight to the number of pods of workloads in the namespace that read the config map.
func (c *Client) countReaders(ctx context.Context, p *Plan) error {
	for _, k := range workloads {
		err := c.each(ctx, k, p.Target.Namespace, "", func(u *unstructured.Unstructured) error {
			if reads(u, p.Target.Name) {
				p.Weight += replicasOf(u).desired
				p.passed("reader", "%s reads %s", objectOf(u), p.Target)
				if graver(p.Criticality, criticality(u)) != p.Criticality {
					p.Criticality = criticality(u)
				}
			}
			return nil
		})
		if err != nil && !absent(k, err) {
			return err
		}
	}
	return nil
}

// reads says whether a workload's pods refer to a config map.
func reads(u *unstructured.Unstructured, name string) bool {
	raw, _, _ := unstructured.NestedMap(u.Object, "spec", "template")
	var template corev1.PodTemplateSpec
	if runtime.DefaultUnstructuredConverter.FromUnstructured(raw, &template) != nil {
		return true
	}
	for _, volume := range template.Spec.Volumes {
		if volume.ConfigMap != nil && volume.ConfigMap.Name == name {
			return true
		}
		if volume.Projected == nil {
			continue
		}
		for _, source := range volume.Projected.Sources {
			if source.ConfigMap != nil && source.ConfigMap.Name == name {
				return true
			}
		}
	}
	for _, container := range slices.Concat(template.Spec.InitContainers, template.Spec.Containers) {
		for _, source := range container.EnvFrom {
			if source.ConfigMapRef != nil && source.ConfigMapRef.Name == name {
				return true
			}
		}
		for _, env := range container.Env {
			if env.ValueFrom != nil && env.ValueFrom.ConfigMapKeyRef != nil && env.ValueFrom.ConfigMapKeyRef.Name == name {
				return true
			}
		}
	}
	return false
}
