package playbook

// Plays returns every play that is remembered, sorted by incident and playbook.
func (l *Ledger) Plays() []Change {
	var out []Change
	for _, id := range sortedKeys(l.incidents) {
		for _, name := range sortedKeys(l.incidents[id].Plays) {
			out = append(out, change(id, name, l.incidents[id].Plays[name]))
		}
	}
	return out
}

// Find returns the play to which an intent belongs, and the step that the intent names: the play's current one, or one before.
func (l *Ledger) Find(intent string) (c Change, step int, ok bool) {
	for id, inc := range l.incidents {
		for name, p := range inc.Plays {
			for s := p.Step; s >= 0; s-- {
				if p.IntentOf(id, name, s) == intent {
					return change(id, name, p), s, true
				}
			}
		}
	}
	return Change{}, 0, false
}

// Approvers returns how many people a playbook needs, and 0 when there is no such playbook.
func (l *Ledger) Approvers(playbook string) int {
	if rule := l.rules[playbook]; rule != nil {
		return rule.approvers()
	}
	return 0
}
