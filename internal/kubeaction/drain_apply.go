package kubeaction

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

const (
	// drainPause is between two looks at a pod that is ending.
	drainPause = 250 * time.Millisecond
	// maxDrainFaults is how many times in a row the API server may fail, with pauses that double from faultPause on, before
	// a drain is stopped: after about half a minute.
	maxDrainFaults = 6
	faultPause     = time.Second
	// restoreTime is how long uncordoning may take after a drain was stopped.
	restoreTime = 30 * time.Second
	// maxLeft bounds the names in a Halted.
	maxLeft = 10
)

// errDrainDeadline is why a drain stops that takes too long.
var errDrainDeadline = errors.New("the deadline has passed")

func (*Drain) apply(ctx context.Context, c *Client, p *Plan) (Receipt, error) {
	if p.NoOp {
		r := p.nothing()
		r.Undo = p.Data
		return r, nil
	}
	var data drainData
	if err := decode(p.Data, &data); err != nil {
		return Receipt{}, err
	}
	view, err := c.lookAtNode(ctx, p.Target.Name, data.NodeSelector)
	if err != nil {
		return Receipt{}, err
	}
	if string(view.node.UID) != p.Target.UID {
		return Receipt{}, nodeGone(p.Target, view.node)
	}
	marks := view.node.Annotations
	receipt := Receipt{Objects: []Object{p.Target}, Summary: p.Summary, Undo: p.Data}
	switch {
	case marks[annotationUndone] == p.key():
		return Receipt{}, &Halted{Action: p.Action, Target: p.Target, Why: errors.New("it was stopped or taken back before"), Restored: true}
	case marks[annotationDrained] == p.key():
		receipt.NoOp = true
		return receipt, nil
	case drainOf(marks).key != p.key():
		if _, _, err := c.judgeDrain(ctx, view, data, p.key(), nil); err != nil {
			return Receipt{}, err
		}
	}
	written, err := c.write(ctx, drainChange(c, p, data))
	if err != nil {
		return Receipt{}, err
	}
	// After a restart the drain goes on with the time it had.
	began := c.now()
	if mark := drainOf(written.before.GetAnnotations()); mark.key == p.key() && mark.since.Before(began) {
		began = mark.since
	}
	d := &draining{client: c, node: p.Target, key: p.key(), data: data, until: began.Add(data.Deadline)}
	if err := d.run(ctx); err != nil {
		if errors.Is(ctx.Err(), context.Canceled) {
			// We are being stopped, not the drain: it is resumed when the plan is applied again.
			return Receipt{}, err
		}
		return Receipt{}, d.halt(ctx, p.Action, err)
	}
	return receipt, nil
}

// draining is a drain under way.
type draining struct {
	client *Client
	node   Object
	key    string
	data   drainData
	until  time.Time
	// evicted counts, left names what is still there.
	evicted int
	left    []string
	faults  int
}

// run evicts until nothing is left, and marks the node as drained.
func (d *draining) run(ctx context.Context) error {
	for {
		work, finished, err := d.look(ctx)
		pause := drainPause
		switch {
		case finished:
			return nil
		case err != nil:
		case len(work.evict)+len(work.ending) == 0:
			if err = d.finish(ctx); err == nil {
				return nil
			}
		case len(work.ending) == 0:
			pause, err = d.evictOne(ctx, work.evict)
		}
		switch {
		case err == nil:
			d.faults = 0
		case ctx.Err() != nil || d.lasting(err):
			return err
		default:
			pause = faultPause << (d.faults - 1)
		}
		if left := d.until.Sub(d.client.now()); left <= 0 || pause > left {
			if err != nil {
				return fmt.Errorf("%w: %w", errDrainDeadline, err)
			}
			return errDrainDeadline
		}
		if err := wait(ctx, pause); err != nil {
			return err
		}
	}
}

// look reads the node and its pods again: it has to be the same one, and still ours. It is finished where it was marked so,
// and only the answer to that was lost.
func (d *draining) look(ctx context.Context) (work drainWork, finished bool, err error) {
	node, err := d.client.typed.CoreV1().Nodes().Get(ctx, d.node.Name, metav1.GetOptions{})
	if err != nil {
		return drainWork{}, false, d.client.explain(err, d.node, "get")
	}
	switch {
	case string(node.UID) != d.node.UID:
		return drainWork{}, false, nodeGone(d.node, node)
	case node.Annotations[annotationDrained] == d.key && node.Spec.Unschedulable:
		return drainWork{}, true, nil
	case drainOf(node.Annotations).key != d.key || !node.Spec.Unschedulable:
		return drainWork{}, false, refuse(ReasonTargetChanged, "somebody uncordoned %s during the drain", d.node)
	}
	pods, err := d.client.listPods(ctx, d.node.Name)
	if err != nil {
		return drainWork{}, false, err
	}
	data := d.data
	data.MaxPods = limitMaxPods
	work, err = d.client.judgePods(pods, data)
	d.left = nil
	for _, pod := range append(work.ending, work.evict...) {
		if len(d.left) < maxLeft {
			d.left = append(d.left, pod.Namespace+"/"+pod.Name)
		}
	}
	if err == nil && d.evicted+len(work.evict) > d.data.MaxPods {
		err = refuse(ReasonBounds, "more than max_pods (%d) pods would be evicted", d.data.MaxPods)
	}
	return work, false, err
}

// evictOne evicts the first pod that may go now. It returns how long to wait before looking again.
func (d *draining) evictOne(ctx context.Context, pods []*corev1.Pod) (time.Duration, error) {
	pause := evictPause
	for _, pod := range pods {
		answer, err := d.client.evict(ctx, podObject(pod), d.data.Grace, false)
		var refusal *Refusal
		if errors.As(err, &refusal) && refusal.Reason == ReasonTargetChanged {
			return 0, nil // It was made anew since we looked.
		}
		if err != nil {
			return 0, err
		}
		if answer.blocked == "" {
			if !answer.gone {
				d.evicted++
			}
			return drainPause, nil
		}
		pause = min(pause, answer.wait)
	}
	return pause, nil
}

// lasting tells whether an error ends the drain: one that is final, an internal error (which an eviction gives when it never
// can be made), or a fault of the API server that does not pass.
func (d *draining) lasting(err error) bool {
	d.faults++
	return d.final(err) || apierrors.IsInternalError(err) || d.faults >= maxDrainFaults
}

// final tells whether the answer will always be the same: a refusal, or a permit that is gone.
func (d *draining) final(err error) bool {
	var refusal *Refusal
	var forbidden *ForbiddenCall
	return errors.As(err, &refusal) || errors.As(err, &forbidden)
}

func (d *draining) finish(ctx context.Context) error {
	_, err := d.client.write(ctx, change{
		object: d.node, key: d.key, mark: annotationDrained,
		patch: func(*unstructured.Unstructured) (fields, error) {
			return fields{"metadata": fields{"annotations": fields{annotationDraining: nil}}}, nil
		},
	})
	return err
}

// halt uncordons the node and says what happened. The caller's time may be up, so it takes its own.
func (d *draining) halt(ctx context.Context, action string, why error) error {
	ctx, cancel := context.WithTimeout(withRestoring(context.WithoutCancel(ctx)), restoreTime)
	defer cancel()
	h := &Halted{Action: action, Target: d.node, Why: why, Done: d.evicted, Left: d.left}
	for {
		h.RestoreError = d.restore(ctx)
		if h.RestoreError == nil || d.final(h.RestoreError) || wait(ctx, faultPause) != nil {
			break
		}
	}
	if refusal := (*Refusal)(nil); errors.As(h.RestoreError, &refusal) && (refusal.Reason == ReasonTargetChanged || refusal.Reason == ReasonTargetMissing) {
		h.RestoreError = nil // The node itself is gone.
	}
	h.Restored = h.RestoreError == nil
	return h
}

// restore uncordons the node if it is this drain that cordoned it.
func (d *draining) restore(ctx context.Context) error {
	_, err := d.client.write(ctx, change{
		object: d.node, key: d.key, mark: annotationUndone,
		patch: func(u *unstructured.Unstructured) (fields, error) {
			if note, _ := noteOn(u.GetAnnotations()); note.Key != d.key || d.data.WasCordoned {
				if drainOf(u.GetAnnotations()).key != d.key {
					return nil, nil
				}
				return fields{"metadata": fields{"annotations": fields{annotationDraining: nil}}}, nil
			}
			return uncordonFields(), nil
		},
	})
	return err
}
