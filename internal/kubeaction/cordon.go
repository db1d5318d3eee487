package kubeaction

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Cordon keeps new pods off the node that the incident names. Undo lets them come again, unless somebody else cordoned it.
type Cordon struct {
	// MinReadyNodes is how many ready nodes of the scope must still take pods afterwards, 1 to 1000; 0 for 2.
	MinReadyNodes int `mapstructure:"min_ready_nodes"`
}

// Uncordon lets pods come to the node that the incident names. It cannot be undone.
type Uncordon struct {
	// Force does so even if somebody else has cordoned it.
	Force bool `mapstructure:"force"`
}

func (*Cordon) name() string   { return "cordon" }
func (*Uncordon) name() string { return "uncordon" }

func (*Cordon) class() Class   { return ClassNode }
func (*Uncordon) class() Class { return ClassNode }

func (a *Cordon) validate() error { return validateMinReadyNodes(a.MinReadyNodes) }
func (*Uncordon) validate() error { return nil }

func (*Cordon) needs() []permission   { return nodeNeeds() }
func (*Uncordon) needs() []permission { return nodeNeeds() }

const defaultMinReadyNodes = 2

func validateMinReadyNodes(n int) error {
	if n < 0 || n > 1000 {
		return fmt.Errorf("min_ready_nodes must be 0 (%d) or between 1 and 1000, got %d", defaultMinReadyNodes, n)
	}
	return nil
}

// cordonData is what has to hold when a node is cordoned.
type cordonData struct {
	NodeSelector  string `json:"node_selector"`
	MinReadyNodes int    `json:"min_ready_nodes,omitempty"`
	// Force is Uncordon's.
	Force bool `json:"force,omitempty"`
}

func (a *Cordon) plan(ctx context.Context, c *Client, p *Plan) error {
	view, err := c.viewNode(ctx, p.Order)
	if err != nil {
		return err
	}
	if err := c.describeNode(view, p); err != nil {
		return err
	}
	p.Destructive, p.Undoable = true, true
	data := cordonData{NodeSelector: p.Order.Scope.NodeSelector, MinReadyNodes: a.MinReadyNodes}
	if data.MinReadyNodes == 0 {
		data.MinReadyNodes = defaultMinReadyNodes
	}
	if p.Data, err = json.Marshal(data); err != nil {
		return err
	}
	if view.node.Spec.Unschedulable {
		p.NoOp, p.Weight, p.Summary = true, 0, fmt.Sprintf("Nothing: %s is cordoned already", p.Target)
		return nil
	}
	if err := c.judgeCordon(view, data, p); err != nil {
		return err
	}
	p.Summary = fmt.Sprintf("Cordon %s, so that no new pods come to it", p.Target)
	p.Commands = []string{"kubectl cordon " + p.Target.Name}
	return c.try(ctx, p, cordonChange(c, p))
}

// judgeCordon refuses to take a node away that is protected or needed. With a plan it records what was looked at.
func (c *Client) judgeCordon(view nodeView, data cordonData, p *Plan) error {
	if err := c.protectNode(view, p); err != nil {
		return err
	}
	left := 0
	for _, name := range readyNodes(view.all, data.NodeSelector) {
		if name != view.node.Name {
			left++
		}
	}
	if left < data.MinReadyNodes {
		return refuse(ReasonCapacity, "without %s only %d ready nodes of the scope would take pods, min_ready_nodes is %d", nodeObject(view.node), left, data.MinReadyNodes)
	}
	if p != nil {
		p.passed("capacity", "%d other ready nodes of the scope take pods", left)
	}
	return nil
}

func cordonChange(c *Client, p *Plan) change {
	return p.change(p.Target, func(u *unstructured.Unstructured) (fields, error) {
		if boolAt(u, "spec", "unschedulable") {
			return nil, nil
		}
		return c.cordonFields(p, false)
	})
}

func (*Cordon) apply(ctx context.Context, c *Client, p *Plan) (Receipt, error) {
	if p.NoOp {
		return p.nothing(), nil
	}
	var data cordonData
	if err := decode(p.Data, &data); err != nil {
		return Receipt{}, err
	}
	view, err := c.lookAtNode(ctx, p.Target.Name, data.NodeSelector)
	if err != nil {
		return Receipt{}, err
	}
	if view.node.Annotations[annotationUndone] == p.Key {
		return Receipt{Objects: p.Objects, NoOp: true, Summary: "Nothing: it was taken back"}, nil
	}
	if view.node.Annotations[annotationIntent] != p.Key && !view.node.Spec.Unschedulable {
		if err := c.judgeCordon(view, data, nil); err != nil {
			return Receipt{}, err
		}
	}
	done, err := c.write(ctx, cordonChange(c, p))
	if err != nil {
		return Receipt{}, err
	}
	return done.receipt(p), nil
}

func (*Cordon) undo(ctx context.Context, c *Client, r *Receipt) (Receipt, error) {
	done, err := c.uncordonOurs(ctx, r.Objects[0], r.Key)
	if err != nil {
		return Receipt{}, err
	}
	return done.undone(fmt.Sprintf("Uncordon %s", r.Objects[0])), nil
}

func (*Cordon) health(ctx context.Context, c *Client, r *Receipt) (Health, error) {
	return c.cordonHealth(ctx, r.Objects[0], true)
}

// cordonHealth says whether the node still is as it was left.
func (c *Client) cordonHealth(ctx context.Context, o Object, cordoned bool) (Health, error) {
	node, err := c.typed.CoreV1().Nodes().Get(ctx, o.Name, metav1.GetOptions{})
	if err != nil {
		return Health{}, c.explain(err, o, "get")
	}
	if string(node.UID) != o.UID {
		return Health{}, nodeGone(o, node)
	}
	h := Health{Ready: node.Spec.Unschedulable == cordoned, Detail: fmt.Sprintf("%s: unschedulable %v, ready %v", o, node.Spec.Unschedulable, nodeReady(node))}
	h.Failed = !h.Ready
	return h, nil
}

func (a *Uncordon) plan(ctx context.Context, c *Client, p *Plan) error {
	view, err := c.viewNode(ctx, p.Order)
	if err != nil {
		return err
	}
	if err := c.describeNode(view, p); err != nil {
		return err
	}
	data := cordonData{NodeSelector: p.Order.Scope.NodeSelector, Force: a.Force}
	if p.Data, err = json.Marshal(data); err != nil {
		return err
	}
	if !view.node.Spec.Unschedulable {
		p.NoOp, p.Weight, p.Summary = true, 0, fmt.Sprintf("Nothing: %s is not cordoned", p.Target)
		return nil
	}
	p.Summary = fmt.Sprintf("Uncordon %s, so that pods come to it again", p.Target)
	p.Commands = []string{"kubectl uncordon " + p.Target.Name}
	return c.try(ctx, p, uncordonChange(p, data))
}

func uncordonChange(p *Plan, data cordonData) change {
	return p.change(p.Target, func(u *unstructured.Unstructured) (fields, error) {
		if !boolAt(u, "spec", "unschedulable") {
			return nil, nil
		}
		note, ours := noteOn(u.GetAnnotations())
		if !ours && !data.Force {
			return nil, refuse(ReasonOwner, "%s, who may still need it so; ask them, or set force", cordoned(p.Target))
		}
		if mark := drainOf(u.GetAnnotations()); mark.key != "" && !data.Force {
			return nil, refuse(ReasonOwner, "%s is being drained by us since %s; wait for its end, or set force", p.Target, mark.since.Format(time.RFC3339))
		}
		if !ours {
			return uncordonFields(), nil
		}
		// The order that cordoned it is taken back with this one.
		return merge(uncordonFields(), fields{"metadata": fields{"annotations": fields{annotationUndone: note.Key}}}), nil
	})
}

func (*Uncordon) apply(ctx context.Context, c *Client, p *Plan) (Receipt, error) {
	var data cordonData
	if err := decode(p.Data, &data); err != nil {
		return Receipt{}, err
	}
	done, err := c.write(ctx, uncordonChange(p, data))
	if err != nil {
		return Receipt{}, err
	}
	return done.receipt(p), nil
}

func (*Uncordon) undo(_ context.Context, _ *Client, r *Receipt) (Receipt, error) {
	return Receipt{}, refuse(ReasonUnsupported, "uncordoning is not taken back; cordon the node if it should take no pods")
}

func (*Uncordon) health(ctx context.Context, c *Client, r *Receipt) (Health, error) {
	return c.cordonHealth(ctx, r.Objects[0], false)
}
