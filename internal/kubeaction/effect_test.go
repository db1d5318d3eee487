package kubeaction

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestEffect tells plans apart by what they lead to, and not by how much they disturb on the way.
func TestEffect(t *testing.T) {
	base := func(change func(*Plan)) string {
		p := Plan{Action: "rollback", Target: Object{Kind: "Deployment", Name: "web", UID: "1"}, Commands: []string{"--to-revision=4"}, Weight: 3, Summary: "three pods"}
		change(&p)
		return p.Effect()
	}
	same := base(func(*Plan) {})
	assert.Len(t, same, 32)
	assert.Equal(t, same, base(func(p *Plan) { p.Weight, p.Summary, p.Target.ResourceVersion = 2, "two pods", "9" }))
	for name, change := range map[string]func(*Plan){
		"another revision": func(p *Plan) { p.Commands = []string{"--to-revision=5"} },
		"another command":  func(p *Plan) { p.Commands = []string{"--to-revision", "=4"} },
		"made anew":        func(p *Plan) { p.Target.UID = "2" },
		"another action":   func(p *Plan) { p.Action = "scale" },
	} {
		assert.NotEqual(t, same, base(change), name)
	}
}
