package kubeaction

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"

	"github.com/paramedic-otel/paramedic/internal/kubetest"
)

// bench is a namespace of a real cluster and a client that may do there what its actions say they need, and nothing else.
type bench struct {
	*testing.T
	lab    *kubetest.Lab
	config *rest.Config // of the service account
	ns     string
	sent   *kubetest.Recorder
	client *Client
}

func newBench(t *testing.T, acts ...action) *bench {
	t.Helper()
	lab := kubetest.Shared(t)
	b := &bench{T: t, lab: lab, ns: lab.Namespace(t), sent: &kubetest.Recorder{}}
	b.client = b.as(DefaultSettings(), acts...)
	return b
}

// as makes a client with a service account of its own.
func (b *bench) as(settings Settings, acts ...action) *Client {
	b.Helper()
	namespaced, cluster := ruleSet{}, ruleSet{}
	for _, act := range acts {
		for _, need := range act.needs() {
			if need.Cluster {
				cluster.add(need)
			} else {
				namespaced.add(need)
			}
		}
	}
	b.config = b.lab.ServiceAccount(b, b.ns, kubetest.Grant{Namespace: b.ns, Rules: namespaced.policyRules()}, kubetest.Grant{Rules: cluster.policyRules()})
	settings.Namespace = "paramedic"
	client, err := NewForConfig(b.sent.Watch(b.config), settings, TransportSettings{})
	require.NoError(b, err)
	return client
}

func (b *bench) order(intent string, step Step, kind, name string) Order {
	return Order{
		Intent: intent, Incident: "7f3c0a52", Playbook: "test", Step: &step,
		Subject: Subject{Namespace: b.ns, Kind: kind, Name: name},
		Scope:   Scope{Namespaces: []string{b.ns}},
	}
}

func (b *bench) prepare(order Order) Plan {
	b.Helper()
	p, err := b.client.Prepare(b.Context(), order)
	require.NoError(b, err)
	return p
}

func (b *bench) apply(p Plan) Receipt {
	b.Helper()
	r, err := b.client.Apply(permitted(b.Context()), p)
	require.NoError(b, err)
	return r
}

// refused expects that an order is refused for this reason, with these words, and that nothing was written.
func (b *bench) refused(order Order, reason Reason, words string) {
	b.Helper()
	b.sent.Reset()
	_, err := b.client.Prepare(b.Context(), order)
	b.refusal(err, reason, words)
	require.Empty(b, b.sent.Writes())
}

func (b *bench) refusal(err error, reason Reason, words string) {
	b.Helper()
	var refusal *Refusal
	require.ErrorAs(b, err, &refusal)
	require.Equal(b, reason, refusal.Reason, refusal.Detail)
	require.Contains(b, refusal.Detail, words)
}

// writes expects that f makes just these requests that could change something.
func (b *bench) writes(f func(), want ...string) {
	b.Helper()
	b.sent.Reset()
	f()
	var got []string
	for _, request := range b.sent.Writes() {
		got = append(got, request.String())
	}
	require.Equal(b, want, got)
}

// healthy waits until what was acted on has settled.
func (b *bench) healthy(r Receipt) Health {
	b.Helper()
	var h Health
	kubetest.Eventually(b, "the target settles", func() error {
		var err error
		if h, err = b.client.Health(b.Context(), r); err != nil {
			return err
		}
		if !h.Ready && !h.Failed {
			return &Refusal{Reason: "unsettled", Detail: h.Detail}
		}
		return nil
	})
	return h
}

type allow struct{}

func (allow) Allow(context.Context, Request) error { return nil }

func permitted(ctx context.Context) context.Context { return WithPermit(ctx, allow{}) }

// changes expects that f changes just these objects and fields, controllers' own objects apart.
func (b *bench) changes(f func(), want ...string) {
	b.Helper()
	require.Equal(b, want, b.lab.Changes(b.T, f, b.ns).Strings())
}

func (b *bench) undo(r Receipt) Receipt {
	b.Helper()
	undone, err := b.client.Undo(permitted(b.Context()), r)
	require.NoError(b, err)
	return undone
}

// stored is what is left of a plan or receipt after a restart.
func stored[T any](t *testing.T, v T) T {
	t.Helper()
	text, err := json.Marshal(v)
	require.NoError(t, err)
	var again T
	require.NoError(t, json.Unmarshal(text, &again))
	return again
}

// once carries a plan out twice and takes it back twice, with a restart between all, and expects the second time to do
// nothing. It returns the receipt.
func (b *bench) once(p Plan, changed, undone []string) Receipt {
	b.Helper()
	var r, again Receipt
	b.changes(func() { r = b.apply(stored(b.T, p)) }, changed...)
	require.False(b, r.NoOp)
	b.writes(func() { again = b.apply(stored(b.T, p)) })
	require.True(b, again.NoOp)
	require.Equal(b, r.Undo, again.Undo, "a lost receipt can be had again")
	b.healthy(r)
	if !p.Undoable {
		return r
	}
	b.changes(func() { again = b.undo(stored(b.T, r)) }, undone...)
	require.False(b, again.NoOp)
	b.writes(func() { again = b.undo(stored(b.T, r)) })
	require.True(b, again.NoOp)
	b.writes(func() { again = b.apply(stored(b.T, p)) })
	require.True(b, again.NoOp, "what was undone is not done again")
	return r
}
