package remediationexporter

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestLearningOrdersPlaybooks has a first playbook that never helps and a second that does: after enough outcomes the second
// is asked first, and the audit says why; without learning the order stays.
func TestLearningOrdersPlaybooks(t *testing.T) {
	for name, enabled := range map[string]bool{"on": true, "off": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, "shop")
				r.editHook("shop", only)
				r.cfg.Learning.Enabled = enabled
				r.cfg.Learning.MinOutcomes, r.cfg.Learning.Floor = 6, 0
				r.cfg.Budget.MaxActions, r.cfg.Breakers.Target.MaxActions = 1000, 0
				for _, book := range []string{"useless", "useful"} {
					r.playbook(book, "shop", func(p *PlaybookConfig) {
						p.Cooldown = 0
						p.Steps[0].Action.Name = book
					})
				}
				r.start()
				first := map[string]int{}
				for i := range 40 {
					id := fmt.Sprintf("i-%d", i)
					before := len(actions(r.hooks["shop"]))
					r.must(opened(id))
					synctest.Wait()
					revision := int64(2)
					for {
						taken := actions(r.hooks["shop"])
						require.Greater(t, len(taken), before)
						if taken[len(taken)-1]["name"] == "useful" {
							r.must(resolved(id, revision, 30*time.Second))
							break
						}
						time.Sleep(2 * time.Minute)
						r.must(updated(id, revision, 2*time.Minute))
						synctest.Wait()
						revision++
					}
					if i >= 20 {
						first[actions(r.hooks["shop"])[before]["name"].(string)]++
					}
				}
				if enabled {
					assert.Greater(t, first["useful"], 16)
					assert.NotZero(t, r.logs.FilterMessage("remediation order").Len())
				} else {
					assert.Equal(t, 20, first["useless"])
				}
				r.stop()
			})
		})
	}
}

// TestLearningFloor keeps a playbook that never helps from acting without a person.
func TestLearningFloor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "shop")
		r.editHook("shop", only)
		r.cfg.Learning.FloorOutcomes = 3
		r.playbook("useless", "shop", func(p *PlaybookConfig) { p.Cooldown = 0 })
		r.start()
		for i := range 4 {
			r.must(on(opened(fmt.Sprintf("i-%d", i)), fmt.Sprintf("t-%d", i)))
			time.Sleep(5 * time.Minute)
		}
		assert.Len(t, actions(r.hooks["shop"]), 3)
		assert.Equal(t, "skipped/learned", r.audit()[len(r.audit())-1])
		r.stop()
	})
}
