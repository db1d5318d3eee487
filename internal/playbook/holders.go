package playbook

import "slices"

// holders knows which play holds a target or a lock, so that a decision does not have to look at all that are open.
type holders struct {
	by map[string][]playKey
	of map[playKey][]string
}

func newHolders() holders { return holders{by: map[string][]playKey{}, of: map[playKey][]string{}} }

// set says what a play holds from now on.
func (h *holders) set(k playKey, names []string) {
	for _, name := range h.of[k] {
		rest := slices.DeleteFunc(h.by[name], func(o playKey) bool { return o == k })
		if len(rest) == 0 {
			delete(h.by, name)
		} else {
			h.by[name] = rest
		}
	}
	delete(h.of, k)
	if len(names) == 0 {
		return
	}
	h.of[k] = names
	for _, name := range names {
		h.by[name] = append(h.by[name], k)
	}
}

// taken reports whether another play holds this.
func (h *holders) taken(name string, k playKey) bool {
	return slices.ContainsFunc(h.by[name], func(o playKey) bool { return o != k })
}

func targetName(target string) string { return "target " + target }

func lockName(lock string) string { return "lock " + lock }

// holds names what nobody else may act on while the play is in flight. Of two plays that were only planned, the one that is
// admitted first goes on: a pending play holds its target and what it has acted on before, not yet what it has found.
func (p *Play) holds() []string {
	if !p.inFlight() {
		return nil
	}
	switch p.Outcome {
	case Pending:
		return p.names(false)
	case Undoing:
		return p.names(len(p.wayBack()) > 0)
	default:
		return p.names(true)
	}
}

// names lists the play's target and locks, with those of its current plan or without, each once.
func (p *Play) names(planned bool) []string {
	out := []string{targetName(p.Target)}
	if planned && p.Plan != nil {
		for _, lock := range p.Plan.Locks {
			out = append(out, lockName(lock))
		}
	}
	for _, d := range p.Done {
		for _, lock := range d.Locks {
			out = append(out, lockName(lock))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// free reports whether nothing else is under way for the play's incident and on what it has acted on.
func (l *Ledger) free(incident, playbook string, p *Play) bool {
	for name, other := range l.incidents[incident].Plays {
		if name != playbook && other.inFlight() {
			return false
		}
	}
	k := playKey{incident, playbook}
	return !slices.ContainsFunc(p.names(len(p.wayBack()) > 0), func(name string) bool { return l.held.taken(name, k) })
}
