package kubeaction

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"unicode"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
)

// The annotations we leave on what we change.
const (
	// annotationIntent is the idempotency key of the last order that changed the object.
	annotationIntent = "paramedic.io/intent"
	// annotationUndone is the idempotency key of the last order that was taken back.
	annotationUndone = "paramedic.io/undone"
	// annotationIncident is the incident for which the last order was given.
	annotationIncident = "paramedic.io/incident"
)

// fields are the content of a merge patch.
type fields = map[string]any

// change is one write to one object.
type change struct {
	object Object
	key    string
	// mark is the annotation that gets the key; when it has it already, nothing is left to do.
	mark     string
	incident string
	dryRun   bool
	// patch gives what to write to the object as it is now, or why it must not be done any more. It is asked again after a
	// conflict. A nil patch without an error says that the object is as it should be.
	patch func(current *unstructured.Unstructured) (fields, error)
}

// outcome is what a change did.
type outcome struct {
	before, after *unstructured.Unstructured // after is nil when nothing was done
	repeated      bool                       // this very order had done it before
}

// maxConflicts is how often a write is judged anew because the object has changed since it was read; controllers write the
// status of a busy workload many times a second.
const maxConflicts = 5

// write makes a change by one merge patch with the UID and the resourceVersion that were read right before as
// preconditions, so that it either meets the object as judged or fails. After a conflict it reads and judges anew.
func (c *Client) write(ctx context.Context, ch change) (outcome, error) {
	for attempt := 0; ; attempt++ {
		current, err := c.get(ctx, ch.object)
		if err != nil {
			return outcome{}, err
		}
		if current.GetAnnotations()[ch.mark] == ch.key {
			return outcome{before: current, repeated: true}, nil
		}
		patch, err := ch.patch(current)
		if err != nil || patch == nil {
			return outcome{before: current}, err
		}
		after, err := c.patch(ctx, current, ch, patch)
		if apierrors.IsConflict(err) && attempt < maxConflicts {
			continue
		}
		if err != nil {
			return outcome{}, c.explain(err, ch.object, "patch")
		}
		return outcome{before: current, after: after}, nil
	}
}

// get reads the very object that is named: with another UID, or going away, it is not the one.
func (c *Client) get(ctx context.Context, o Object) (*unstructured.Unstructured, error) {
	k, ok := findKind(o.Kind, o.APIVersion)
	if !ok {
		return nil, refuse(ReasonUnsupported, "%s is of a kind that is not known here", o)
	}
	current, err := c.dynamic.Resource(k.resource).Namespace(o.Namespace).Get(ctx, o.Name, metav1.GetOptions{})
	if err != nil {
		return nil, c.explain(err, o, "get")
	}
	if o.UID != "" && string(current.GetUID()) != o.UID {
		return nil, refuse(ReasonTargetChanged, "%s was deleted and made anew: its UID is %s, not %s", o, current.GetUID(), o.UID)
	}
	if current.GetDeletionTimestamp() != nil {
		return nil, refuse(ReasonTargetChanged, "%s is being deleted", o)
	}
	return current, nil
}

func (c *Client) patch(ctx context.Context, current *unstructured.Unstructured, ch change, patch fields) (*unstructured.Unstructured, error) {
	k, _ := findKind(current.GetKind(), current.GetAPIVersion())
	patch = merge(patch, fields{"metadata": fields{
		"uid":             string(current.GetUID()),
		"resourceVersion": current.GetResourceVersion(),
		"annotations":     fields{ch.mark: ch.key},
	}})
	if incident := clean(ch.incident, 128); incident != "" {
		patch = merge(patch, fields{"metadata": fields{"annotations": fields{annotationIncident: incident}}})
	}
	body, err := json.Marshal(patch)
	if err != nil {
		return nil, fmt.Errorf("encode patch: %w", err)
	}
	options := metav1.PatchOptions{FieldManager: c.settings.FieldManager, FieldValidation: metav1.FieldValidationStrict}
	if ch.dryRun {
		options.DryRun = []string{metav1.DryRunAll}
	}
	return c.dynamic.Resource(k.resource).Namespace(current.GetNamespace()).Patch(ctx, current.GetName(), types.MergePatchType, body, options)
}

// explain turns an answer of the API server that will not get better into a refusal, and says of any other what was tried.
func (c *Client) explain(err error, o Object, verb string) error {
	switch {
	case apierrors.IsNotFound(err):
		return refuse(ReasonTargetMissing, "%s does not exist: %w", o, err)
	case apierrors.IsConflict(err):
		return refuse(ReasonTargetChanged, "%s is being changed by somebody else: %w", o, err)
	case apierrors.IsForbidden(err) && strings.Contains(err.Error(), " cannot "+verb+" resource "):
		return refuse(ReasonPermission, "our service account may not %s %s; grant it: %w", verb, o, err)
	case apierrors.IsForbidden(err), apierrors.IsInvalid(err), apierrors.IsBadRequest(err), apierrors.IsMethodNotSupported(err), apierrors.IsRequestEntityTooLargeError(err):
		return refuse(ReasonDryRun, "the API server does not accept the change to %s: %w", o, err)
	default:
		return fmt.Errorf("%s %s: %w", verb, o, err)
	}
}

// merge puts the fields of b into a, deeply, and returns a.
func merge(a, b fields) fields {
	for name, value := range b {
		below, nested := value.(fields)
		if there, ok := a[name].(fields); ok && nested {
			a[name] = merge(there, below)
			continue
		}
		a[name] = value
	}
	return a
}

// clean makes text from outside harmless for people to read: printable, in one line, at most limit runes.
func clean(text string, limit int) string {
	var b strings.Builder
	n := 0
	for _, r := range strings.TrimSpace(text) {
		if n == limit {
			break
		}
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			r = ' '
		}
		b.WriteRune(r)
		n++
	}
	return strings.TrimSpace(b.String())
}

// objectOf names an object as it was read.
func objectOf(u *unstructured.Unstructured) Object {
	return Object{
		APIVersion: u.GetAPIVersion(), Kind: u.GetKind(), Namespace: u.GetNamespace(), Name: u.GetName(),
		UID: string(u.GetUID()), ResourceVersion: u.GetResourceVersion(),
	}
}
