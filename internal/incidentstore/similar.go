package incidentstore

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/paramedic-otel/paramedic/internal/playbook"
)

const (
	// maxPostings bounds how many incidents are looked at for each feature, the newest first.
	maxPostings = 100
	// maxCandidates bounds how many are compared in full.
	maxCandidates = 200
	maxSimilar    = 100
)

// Similar implements [Reader]. Candidates are found by the features that they share, in an inverted table; how rare a feature is is
// told by how densely the newest incidents have it. The best candidates are compared in full.
func (s *Store) Similar(ctx context.Context, id string, limit int) (found []Similar, err error) {
	limit = min(max(limit, 1), maxSimilar)
	err = s.view(ctx, "find similar incidents", func(t *tx) error {
		found, err = t.similar(clean(id, maxID), limit)
		return err
	})
	return found, err
}

// scored is an incident with how alike it is.
type scored struct {
	num    int64
	score  float64
	shared [classes]int
}

func (t *tx) similar(id string, limit int) ([]Similar, error) {
	var num, started int64
	var signature []byte
	there, err := t.get("SELECT s.incident, s.started_at, s.features FROM signatures s JOIN incidents i ON i.num = s.incident WHERE i.id = ?",
		[]any{id}, &num, &started, &signature)
	if err != nil {
		return nil, err
	}
	if !there {
		return nil, ErrNotFound
	}
	l, candidates, err := t.candidates(num, decodeFeatures(signature))
	if err != nil {
		return nil, err
	}
	best, err := t.compare(l, candidates, num, started)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(best, byScore)
	found := []Similar{}
	for _, c := range head(best, limit) {
		s, err := t.describe(c)
		if err != nil {
			return nil, err
		}
		found = append(found, s)
	}
	return found, nil
}

// compare scores candidates that began before.
func (t *tx) compare(l *likeness, candidates []scored, num, started int64) (best []scored, err error) {
	if len(candidates) == 0 {
		return nil, nil
	}
	args := make([]any, len(candidates))
	for i, c := range candidates {
		args[i] = c.num
	}
	marks := strings.Repeat(", ?", len(candidates))[2:]
	err = t.each("SELECT incident, started_at, features FROM signatures WHERE incident IN ("+marks+")", args, func(row func(...any) error) error {
		var c scored
		var began int64
		var signature []byte
		if err := row(&c.num, &began, &signature); err != nil {
			return err
		}
		if began < started || began == started && c.num < num {
			c.score, c.shared = l.score(decodeFeatures(signature))
			best = append(best, c)
		}
		return nil
	})
	return best, err
}

// byScore puts the most alike first, and of those the newest.
func byScore(a, b scored) int {
	return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(b.num, a.num))
}

// candidates are the incidents that share the most.
func (t *tx) candidates(num int64, features []feature) (*likeness, []scored, error) {
	var newest, oldest int64
	if _, err := t.get("SELECT COALESCE(MAX(incident), 0), COALESCE(MIN(incident), 0) FROM signatures", nil, &newest, &oldest); err != nil {
		return nil, nil, err
	}
	all := float64(newest - oldest + 1)
	having := make([]float64, len(features))
	postings := make([][]int64, len(features))
	for i, f := range features {
		err := t.each("SELECT incident FROM features WHERE feature = ? ORDER BY incident DESC LIMIT ?", []any{int64(f), maxPostings},
			func(row func(...any) error) error {
				var n int64
				err := row(&n)
				postings[i] = append(postings[i], n)
				return err
			})
		if err != nil {
			return nil, nil, err
		}
		having[i] = float64(len(postings[i]))
		if n := len(postings[i]); n == maxPostings {
			having[i] *= all / float64(newest-postings[i][n-1]+1)
		}
	}
	l := newLikeness(features, having, all)
	sums := map[int64]float64{}
	for i := range features {
		for _, n := range postings[i] {
			if n != num {
				sums[n] += l.weights[i]
			}
		}
	}
	out := make([]scored, 0, len(sums))
	for n, sum := range sums {
		out = append(out, scored{num: n, score: sum})
	}
	slices.SortFunc(out, byScore)
	return l, head(out, maxCandidates), nil
}

// describe says what is known of a similar incident: what was done, and whether it helped.
func (t *tx) describe(c scored) (Similar, error) {
	var doc string
	if _, err := t.get("SELECT doc FROM incidents WHERE num = ?", []any{c.num}, &doc); err != nil {
		return Similar{}, err
	}
	inc, err := decodeIncident(doc)
	if err != nil {
		return Similar{}, err
	}
	s := Similar{
		ID: inc.ID, Score: c.score, Why: why(c.shared), Title: inc.Title, StartedAt: inc.StartedAt, ResolvedAt: inc.ResolvedAt,
		Actions: []SimilarAction{}, Resolution: inc.Resolution, Severity: inc.Severity,
	}
	if len(inc.Causes) > 0 {
		s.Cause = &inc.Causes[0]
	}
	feedback, err := t.feedback(c.num)
	if err != nil {
		return Similar{}, err
	}
	for _, f := range feedback {
		s.Feedback = append(s.Feedback, f.Verdict)
	}
	intents, _, err := t.intents(IntentFilter{Incident: inc.ID}, Page{Limit: maxItems})
	if err != nil {
		return Similar{}, err
	}
	slices.Reverse(intents)
	for _, i := range intents {
		if r := &i.Remediation; r.Outcome != string(playbook.Skipped) {
			s.Actions = append(s.Actions, SimilarAction{Playbook: r.Playbook, Action: r.Action, Target: r.Target, Outcome: r.Outcome})
		}
	}
	return s, nil
}
