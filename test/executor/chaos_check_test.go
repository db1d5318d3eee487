package executor

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension/xextension/storage"

	"github.com/paramedic-otel/paramedic/internal/kubetest"
	"github.com/paramedic-otel/paramedic/internal/playbook"
)

// tally is what happened, and what must not have.
type tally struct {
	incidents, events, kills, leaders, calls, writes, effects, undone, asked, messages, hookFaults int
	outcomes                                                                                       map[string]int
	faults                                                                                         map[kubetest.Fault]int
	duplicates, overBudget, lost, open                                                             int
}

func (t *tally) add(o tally) {
	t.incidents += o.incidents
	t.events += o.events
	t.kills += o.kills
	t.leaders += o.leaders
	t.calls += o.calls
	t.writes += o.writes
	t.effects += o.effects
	t.undone += o.undone
	t.asked += o.asked
	t.messages += o.messages
	t.hookFaults += o.hookFaults
	t.duplicates += o.duplicates
	t.overBudget += o.overBudget
	t.lost += o.lost
	t.open += o.open
	if t.outcomes == nil {
		t.outcomes, t.faults = map[string]int{}, map[kubetest.Fault]int{}
	}
	for k, n := range o.outcomes {
		t.outcomes[k] += n
	}
	for k, n := range o.faults {
		t.faults[k] += n
	}
}

func (t *tally) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d incidents, %d events; executors were killed %d times, leaders changed %d times\n", t.incidents, t.events, t.kills, t.leaders)
	fmt.Fprintf(&b, "intents, of all replicas:")
	for _, k := range slices.Sorted(maps.Keys(t.outcomes)) {
		fmt.Fprintf(&b, " %s %d", k, t.outcomes[k])
	}
	fmt.Fprintf(&b, "\nAPI calls: %d, of which %d could change something; %d changed a target, %d took that back; faults injected:", t.calls, t.writes, t.effects, t.undone)
	for _, k := range slices.Sorted(maps.Keys(t.faults)) {
		fmt.Fprintf(&b, " %s %d", k, t.faults[k])
	}
	fmt.Fprintf(&b, "\nwebhooks: %d messages, %d actions asked for, %d faults injected\n", t.messages, t.asked, t.hookFaults)
	fmt.Fprintf(&b, "duplicate effects %d, actions over budget %d, lost intents and notifications %d, intents without an end %d", t.duplicates, t.overBudget, t.lost, t.open)
	return b.String()
}

// actions are those of the steps of the playbooks.
var actions = map[string][]string{"restart": {"rollout_restart"}, "scale": {"scale"}, "ladder": {"rollout_restart", "scale"}, "ask": {"redeploy"}}

// idempotencyKey is the mark of an intent on an object. Of steps that cannot be taken back no receipt is kept that has it.
func idempotencyKey(intent, action, uid string) string {
	sum := sha256.Sum256([]byte(intent + "/" + action + "/" + uid))
	return hex.EncodeToString(sum[:16])
}

// stored is what of an incident's record in storage the check needs.
type stored struct {
	ID    string                   `json:"id"`
	Plays map[string]playbook.Play `json:"plays"`
}

// read returns what a replica has in its storage now that it has stopped.
func (r *replica) read() []stored {
	t := r.t
	ext, err := openStorage(t.Context(), r.storage)
	require.NoError(t, err)
	defer func() { require.NoError(t, ext.Shutdown(t.Context())) }()
	client, err := ext.(storage.Extension).GetClient(t.Context(), component.KindExporter, component.NewID(component.MustNewType("remediation")), "remediation")
	require.NoError(t, err)
	defer func() { require.NoError(t, client.Close(t.Context())) }()
	b, err := client.Get(t.Context(), "slots")
	require.NoError(t, err)
	var n int
	require.NoError(t, json.Unmarshal(b, &n))
	var out []stored
	for i := range n {
		b, err := client.Get(t.Context(), fmt.Sprintf("incident/%d", i))
		require.NoError(t, err)
		var s stored
		require.NoError(t, json.Unmarshal(b, &s))
		out = append(out, s)
	}
	return out
}

// effects are the changes of targets that the API server made, by the mark that they left: the idempotency key.
func (c *chaos) effects(mark string) map[string][]kubetest.Request {
	out := map[string][]kubetest.Request{}
	for _, w := range c.stage.Acts() {
		if w.Code/100 != 2 {
			continue
		}
		var body struct {
			Metadata struct {
				Annotations map[string]string `json:"annotations"`
			} `json:"metadata"`
		}
		require.NoError(c.t, json.Unmarshal(w.Body, &body), "%s: %s", w, w.Body)
		if key := body.Metadata.Annotations[mark]; key != "" {
			out[key] = append(out[key], w)
		}
	}
	return out
}

// told are the pieces of news that receivers have got.
func (c *chaos) told() map[string]bool {
	out := map[string]bool{}
	for _, e := range c.stage.Hook.Events() {
		if r := e.Data.Remediation; r != nil {
			out[r.Intent+" "+strings.TrimPrefix(e.Name(), "remediation.")] = true
		} else {
			out[fmt.Sprintf("%s %s %d", e.Name(), e.Data.Incident.ID, e.Data.Incident.Revision)] = true
		}
	}
	return out
}

// untold is the news that a replica has decided on and nobody has got.
func (c *chaos) untold(r *replica) []string {
	told := c.told()
	var out []string
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, d := range r.decisions {
		switch d.Outcome {
		case "planned", "accepted", "undoing", "dispatched", "pending":
			continue // turns that are no news
		}
		if d.Reason == "not_leading" {
			continue // the leader tells
		}
		// What a webhook is asked for is the news that it has started; it may have been withdrawn before the webhook took it.
		withdrawn := func(later decision) bool {
			return later.Intent == d.Intent && (later.Outcome == "skipped" || later.Outcome == "inconclusive")
		}
		if d.Playbook == "ask" && d.Outcome == "started" && slices.ContainsFunc(r.decisions[i:], withdrawn) {
			continue
		}
		if !told[d.Intent+" "+d.Outcome] {
			out = append(out, fmt.Sprintf("%s of %s: %s %s", r.name, d.Incident, d.Intent, d.Outcome))
		}
	}
	return out
}

// unknown is the news of incidents that nobody has got.
func (c *chaos) unknown() []string {
	told := c.told()
	var out []string
	for _, i := range c.incidents {
		for revision := int64(1); revision <= i.Revision; revision++ {
			name := "incident.updated"
			switch {
			case revision == 1:
				name = "incident.opened"
			case revision == i.Revision && i.Resolution != "":
				name = "incident.resolved"
			}
			if news := fmt.Sprintf("%s %s %d", name, i.ID, revision); !told[news] {
				out = append(out, news)
			}
		}
	}
	return out
}

// check compares what the executors think with what the API server and the receivers know.
func (c *chaos) check() tally {
	t := c.t
	sum := tally{
		incidents: len(c.incidents), events: c.events, kills: c.kills, leaders: c.leaders, hookFaults: c.hookFaults,
		calls: len(c.stage.Proxy.Reached.Requests()), writes: len(c.stage.Proxy.Reached.Writes()), faults: c.stage.Proxy.Injected(),
		messages: c.stage.Hook.Attempts(), outcomes: map[string]int{},
	}
	uids := map[string]string{}
	for _, d := range c.targets {
		uids["Deployment "+d.Namespace+"/"+d.Name] = string(d.UID)
	}
	effects, undone := c.effects("paramedic.io/intent"), c.effects("paramedic.io/undone")
	sum.effects, sum.undone = len(effects), len(undone)
	for key, requests := range effects {
		if len(requests) > 1 {
			sum.duplicates++
			t.Errorf("%s: %d times: %v, %s", key, len(requests), requests, requests[0].Body)
		}
	}
	for key, requests := range undone {
		if len(requests) > 1 {
			sum.duplicates++
			t.Errorf("undo of %s: %d times: %v", key, len(requests), requests)
		}
	}
	explained, all := map[string]bool{}, map[string]string{} // the plays of each incident, for people
	for _, r := range c.replicas {
		known := map[string]bool{}
		for _, s := range r.read() {
			known[s.ID] = true
			for name, p := range s.Plays {
				outcome := string(p.Outcome)
				if p.Reason != "" {
					outcome += "/" + string(p.Reason)
				}
				sum.outcomes[outcome]++
				if !terminal(string(p.Outcome)) {
					sum.open++
					t.Errorf("%s, %s, %s of %s: it is still %s", c.name, r.name, name, s.ID, p.Outcome)
				}
				all[s.ID] += fmt.Sprintf(" %s: %s: %+v", r.name, name, p)
				for _, d := range p.Done {
					intent := playbook.IntentID(s.ID, name, p.Target, p.Occurrence, d.Step)
					explained[idempotencyKey(intent, actions[name][d.Step], uids[d.Target])] = true
				}
				for _, d := range doneOf(&p) {
					explained[d.key] = true
					if d.certain && name != "ask" && len(effects[d.key]) == 0 {
						sum.lost++
						t.Errorf("%s of %s, step %d on %s: it is said to be carried out (%s/%s) and was not", name, s.ID, d.step, p.Target, p.Outcome, p.Reason)
					}
				}
			}
		}
		for _, i := range c.incidents {
			if !known[i.ID] {
				sum.lost++
				t.Errorf("%s does not know of %s", r.name, i.ID)
			}
		}
		for _, news := range c.untold(r) {
			sum.lost++
			t.Errorf("nobody was told: %s", news)
		}
	}
	for key, requests := range effects {
		if !explained[key] {
			var incident string
			for id := range all {
				if strings.Contains(string(requests[0].Body), `"`+id+`"`) {
					incident = id
				}
			}
			t.Errorf("%v does not come from an intent: %s; there are%s", requests, requests[0].Body, all[incident])
		}
	}
	for _, news := range c.unknown() {
		sum.lost++
		t.Errorf("nobody was told: %s", news)
	}
	asked := map[string]string{}
	for _, e := range c.stage.Hook.Events() {
		if e.Data.Action == nil {
			continue
		}
		if before, ok := asked[e.Data.Remediation.Intent]; ok && before != e.ID {
			sum.duplicates++
			t.Errorf("webhook was asked twice for %s: %s and %s", e.Data.Remediation.Intent, before, e.ID)
		}
		asked[e.Data.Remediation.Intent] = e.ID
	}
	sum.asked = len(asked)
	if sum.overBudget = max(0, sum.effects-c.budget); sum.overBudget > 0 {
		t.Errorf("%d actions, the budget is %d", sum.effects, c.budget)
	}
	c.checkTargets(effects, undone)
	t.Log("budget", c.budget, &sum)
	return sum
}

// checkTargets counts the effects once more, by what the API server made of the targets.
func (c *chaos) checkTargets(effects, undone map[string][]kubetest.Request) {
	scaled := map[string]int32{}
	changed := map[string]int64{}
	for key, requests := range effects {
		name := requests[0].Name
		changed[name]++
		if strings.Contains(string(requests[0].Body), `"replicas"`) {
			scaled[name]++
			if len(undone[key]) > 0 {
				scaled[name]--
				changed[name]++
			}
		}
	}
	for _, d := range c.targets {
		before := d.Generation
		c.stage.Lab.Refresh(c.t, d)
		assert.Equal(c.t, 1+scaled[d.Name], *d.Spec.Replicas, d.Name)
		// Two restarts in one second are one generation.
		assert.LessOrEqual(c.t, d.Generation-before, changed[d.Name], d.Name)
	}
}

// done is a step that may have been carried out, or certainly was, and the mark that it leaves.
type done struct {
	step    int
	key     string
	certain bool
}

// doneOf reads from a play's plan and receipts what it may have done.
func doneOf(p *playbook.Play) []done {
	var out []done
	add := func(step int, body json.RawMessage, certain bool) {
		var marked struct {
			Key string `json:"key"`
		}
		if len(body) > 0 && json.Unmarshal(body, &marked) == nil && marked.Key != "" {
			out = append(out, done{step, marked.Key, certain})
		}
	}
	for _, d := range p.Done {
		add(d.Step, d.Receipt, true)
	}
	add(p.Step, p.Receipt, true)
	if p.Plan != nil {
		add(p.Step, p.Plan.Body, !p.AcceptedAt.IsZero())
	}
	return out
}
