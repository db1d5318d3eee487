package remediationexporter

import (
	"cmp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestVerificationSurvivesARestart kills the collector 30 seconds after an action, when its signal has been good for 15, and
// starts it again. It must be good for 20.
func TestVerificationSurvivesARestart(t *testing.T) {
	for name, tc := range map[string]struct {
		feeds   int // values before the kill; 0 is 6
		down    time.Duration
		edit    func(r *rig)
		spoil   string
		good    bool // whether the signal goes on to be good
		want    string
		warning string
	}{
		"goes on":                    {down: 2 * time.Second, good: true, want: "succeeded/recovered"},
		"signal is gone":             {down: 2 * time.Second, want: "inconclusive/no_data"},
		"down for long, and goes on": {down: 30 * time.Second, good: true, want: "succeeded/recovered"},
		"down for too long":          {down: 10 * time.Minute, good: true, want: "inconclusive/no_data"},
		"broken state":               {down: 2 * time.Second, spoil: `"reading":2`, good: true, want: "succeeded/recovered", warning: "stored verification could not be used and begins anew"},
		"other playbook by now": {
			down: 2 * time.Second, edit: func(r *rig) { r.cfg.Playbooks[0].MinConfidence = 0.6 }, good: true, want: "inconclusive/no_data",
		},
		"met, but another playbook by now": {
			feeds: 8, down: 2 * time.Second, edit: func(r *rig) { r.cfg.Playbooks[0].MinConfidence = 0.6 }, good: true, want: "inconclusive/no_data",
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, "shop")
				r.durable(&memoryStorage{data: map[string][]byte{}})
				r.editHook("shop", only)
				r.playbook("restart", "shop", func(p *PlaybookConfig) {
					watching(p)
					p.Verify.Within = 3 * time.Minute
				})
				r.start()
				r.fed()
				r.must(opened("i-1"))
				synctest.Wait()
				time.Sleep(500 * time.Millisecond)
				begun := time.Now()
				for range cmp.Or(tc.feeds, 6) {
					r.feed("payment", time.Since(begun), 1)
					time.Sleep(5 * time.Second)
				}
				killed := r.disk.copy()
				if tc.spoil != "" {
					n := 0
					for key, b := range killed.data {
						if strings.Contains(string(b), `"signals":[{"name":"queue"`) {
							n++
							killed.data[key] = []byte(strings.Replace(string(b), tc.spoil, `"reading":9`, 1))
						}
					}
					require.Equal(t, 1, n, "the verification is stored with its play")
				}
				r.stop()

				time.Sleep(tc.down)
				n := again(r, killed)
				if tc.edit != nil {
					tc.edit(n)
				}
				n.start()
				n.fed()
				n.must(resolved("i-1", 2, 45*time.Second))
				time.Sleep(time.Millisecond)
				assert.NotContains(t, n.audit(), "succeeded/recovered", "a restart is no recovery")
				for range 40 {
					if tc.good {
						n.feed("payment", time.Since(begun), 1)
					}
					time.Sleep(5 * time.Second)
				}
				assert.Equal(t, tc.want, n.last(), n.detail())
				if tc.warning != "" {
					assert.Equal(t, 1, n.logs.FilterMessage(tc.warning).Len())
				}
				assert.Len(t, actions(r.hooks["shop"]), 1, "and nothing was done twice")
				n.stop()
			})
		})
	}
}

// TestCleanStopKeepsTheWhole stops in order: what was seen up to the end counts.
func TestCleanStopKeepsTheWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "shop")
		r.durable(&memoryStorage{data: map[string][]byte{}})
		r.editHook("shop", only)
		r.playbook("restart", "shop", watching)
		r.start()
		r.fed()
		r.must(opened("i-1"))
		synctest.Wait()
		time.Sleep(500 * time.Millisecond)
		begun := time.Now()
		for range 6 {
			r.feed("payment", time.Since(begun), 1)
			time.Sleep(5 * time.Second)
		}
		r.stop()
		n := again(r, r.disk)
		n.start()
		n.fed()
		time.Sleep(5 * time.Second) // longer than stale_after since the stretch began, and not since it was last seen
		n.feed("payment", time.Since(begun), 1)
		n.must(resolved("i-1", 2, 40*time.Second))
		time.Sleep(2 * time.Second)
		assert.Equal(t, "succeeded/recovered", n.last(), "15 seconds before the stop and the rest after it make the hold")
		n.stop()
	})
}
