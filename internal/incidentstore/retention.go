package incidentstore

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// removalBatch is how many are removed in one transaction, so that nobody who writes waits for long.
const removalBatch = 500

// Prune removes what is too old or too much, and gives its room in the file back. It is to be called from time to time, by any of the
// processes. What was removed is told to Settings.Counted.
func (s *Store) Prune(ctx context.Context) error {
	for _, r := range s.rules() {
		if err := s.repeat(ctx, r); err != nil {
			return err
		}
	}
	if s.settings.Driver != SQLite {
		return nil
	}
	if err := s.shrink(ctx); err != nil {
		return err
	}
	return s.vacuum(ctx)
}

// rule removes a batch of what is too old or too much.
type rule struct {
	what string
	// remove returns how many it removed; it is repeated until there is nothing.
	remove func(t *tx, now time.Time) (int64, error)
}

func (s *Store) repeat(ctx context.Context, r rule) error {
	for {
		var removed int64
		err := s.update(ctx, "remove old "+r.what, func(t *tx) error {
			now, err := t.clock()
			if err != nil {
				return err
			}
			removed, err = r.remove(t, now)
			return err
		})
		if err != nil || removed == 0 {
			return err
		}
	}
}

// What is old enough to go. There may be a hundred thousand that are not, and nobody else writes meanwhile: so what is young is not read,
// but for the first that is. Numbers are in the order in which things came, near enough.
const (
	oldIncidents  = "status = 'resolved' AND detected_at < ? AND updated_at < ?"
	oldIntents    = "num < COALESCE((SELECT num FROM intents WHERE created_at >= ? ORDER BY num LIMIT 1), 4611686018427387904) AND awaiting = 0 AND updated_at < ? AND NOT EXISTS (SELECT 1 FROM incidents i WHERE i.id = intents.incident)"
	oldDeliveries = "num < COALESCE((SELECT num FROM deliveries WHERE queued_at >= ? ORDER BY num LIMIT 1), 4611686018427387904) AND state <> 'queued' AND updated_at < ?"
)

func (s *Store) rules() []rule {
	set := &s.settings
	old := func(now time.Time) int64 { return micros(now.Add(-set.MaxAge)) }
	twice := func(now time.Time) []any { return []any{old(now), old(now)} }
	return []rule{
		{"incidents", func(t *tx, now time.Time) (int64, error) {
			return t.removeIncidents(oldIncidents, twice(now), removalBatch)
		}},
		{"incidents", func(t *tx, _ time.Time) (int64, error) {
			return t.tooMany("incidents", set.MaxIncidents, "status <> 'resolved'", "detected_at, num", t.removeIncidents)
		}},
		{"intents", func(t *tx, now time.Time) (int64, error) {
			return t.removeIntents(oldIntents, twice(now), removalBatch)
		}},
		{"intents", func(t *tx, _ time.Time) (int64, error) {
			return t.tooMany("intents", set.MaxIntents, "awaiting = 1", "num", t.removeIntents)
		}},
		{"deliveries", func(t *tx, now time.Time) (int64, error) {
			return t.removeDeliveries(oldDeliveries, twice(now), removalBatch)
		}},
		{"deliveries", func(t *tx, _ time.Time) (int64, error) {
			return t.tooMany("deliveries", set.MaxDeliveries, "state = 'queued'", "num", t.removeDeliveries)
		}},
		{"audit records", func(t *tx, now time.Time) (int64, error) { return t.removeAudit(old(now), int64(set.MaxAuditRecords)) }},
		{"titles", func(t *tx, _ time.Time) (int64, error) {
			return t.exec(`DELETE FROM titles WHERE num IN (SELECT num FROM titles t WHERE NOT EXISTS (SELECT 1 FROM incidents i WHERE i.title = t.num) LIMIT ?)`, removalBatch)
		}},
		{"silences", func(t *tx, now time.Time) (int64, error) {
			n, err := t.exec("DELETE FROM silences WHERE end_at < ?", old(now))
			t.lose(LossSilences, n)
			return 0, err
		}},
		{"silences", func(t *tx, now time.Time) (int64, error) {
			// Those that were ended early are many when a program makes them.
			n, err := t.exec(`DELETE FROM silences WHERE end_at < ? AND num <
(SELECT COALESCE(MIN(num), 0) FROM (SELECT num FROM silences ORDER BY num DESC LIMIT ?) newest)`, micros(now), 2*set.MaxSilences)
			t.lose(LossSilences, n)
			return 0, err
		}},
		{"commands", func(t *tx, now time.Time) (int64, error) {
			n, err := t.exec("DELETE FROM commands WHERE expires_at < ? AND state <> 'taken'", old(now))
			t.lose(LossCommands, n)
			return 0, err
		}},
		{"commands", func(t *tx, _ time.Time) (int64, error) {
			// Answers are for who waits for them.
			n, err := t.exec(`DELETE FROM commands WHERE state NOT IN ('pending', 'taken') AND num <
(SELECT COALESCE(MIN(num), 0) FROM (SELECT num FROM commands ORDER BY num DESC LIMIT ?) newest)`, 10*set.MaxCommands)
			t.lose(LossCommands, n)
			return 0, err
		}},
		{"tokens", func(t *tx, now time.Time) (int64, error) {
			n, err := t.exec("DELETE FROM tokens WHERE used_at < ?", micros(now.Add(-set.TokenAge)))
			t.lose(LossTokens, n)
			return 0, err
		}},
		{"claims", func(t *tx, now time.Time) (int64, error) {
			before := micros(now.Add(-set.ClaimAge))
			n, err := t.exec("DELETE FROM claims WHERE at < ? AND until < ?", before, before)
			t.lose(LossClaims, n)
			return 0, err
		}},
		{"changes", func(t *tx, _ time.Time) (int64, error) { return t.removeChanges(int64(set.MaxChanges)) }},
	}
}

// tooMany removes a batch of what a table has too much of: the oldest that have ended, and when there are none the oldest.
func (t *tx) tooMany(table string, most int, open, order string, remove func(where string, args []any, limit int64) (int64, error)) (int64, error) {
	var count int64
	if _, err := t.get("SELECT COUNT(*) FROM "+table, nil, &count); err != nil {
		return 0, err
	}
	excess := min(count-int64(most), removalBatch)
	if excess <= 0 {
		return 0, nil
	}
	n, err := remove("num IN (SELECT num FROM "+table+" WHERE NOT ("+open+") ORDER BY "+order+" LIMIT ?)", []any{excess}, excess)
	if err != nil || n > 0 {
		return n, err
	}
	n, err = remove("num IN (SELECT num FROM "+table+" ORDER BY "+order+" LIMIT ?)", []any{excess}, excess)
	t.lose(LossOpen, n)
	return n, err
}

// removeIncidents removes incidents with all that belongs to them.
func (t *tx) removeIncidents(where string, args []any, limit int64) (int64, error) {
	type gone struct {
		num      int64
		id       string
		features []byte
	}
	var all []gone
	err := t.each("SELECT num, id, s.features FROM incidents LEFT JOIN signatures s ON s.incident = num WHERE "+where+" ORDER BY detected_at, num LIMIT ?",
		append(args, limit), func(row func(...any) error) error {
			var g gone
			err := row(&g.num, &g.id, &g.features)
			all = append(all, g)
			return err
		})
	if err != nil {
		return 0, err
	}
	for _, g := range all {
		for _, f := range decodeFeatures(g.features) {
			if _, err := t.exec("DELETE FROM features WHERE feature = ? AND incident = ?", int64(f), g.num); err != nil {
				return 0, err
			}
		}
		n, err := t.exec("DELETE FROM intents WHERE incident = ?", g.id)
		if err != nil {
			return 0, err
		}
		t.lose(LossIntents, n)
		if _, err := t.exec("DELETE FROM history WHERE incident = ?", g.id); err != nil {
			return 0, err
		}
		if _, err := t.exec("DELETE FROM incidents WHERE num = ?", g.num); err != nil {
			return 0, err
		}
		if err := t.note("incident", g.id, g.id); err != nil {
			return 0, err
		}
	}
	t.lose(LossIncidents, int64(len(all)))
	return int64(len(all)), nil
}

// removeIntents removes intents, and what is remembered of incidents that are not there.
func (t *tx) removeIntents(where string, args []any, limit int64) (int64, error) {
	n, err := t.removeLoose("intents", where, args, limit)
	t.lose(LossIntents, n)
	return n, err
}

func (t *tx) removeDeliveries(where string, args []any, limit int64) (int64, error) {
	n, err := t.removeLoose("deliveries", where, args, limit)
	t.lose(LossDeliveries, n)
	return n, err
}

func (t *tx) removeLoose(table, where string, args []any, limit int64) (int64, error) {
	incidents := map[string]bool{}
	var nums []int64
	err := t.each("SELECT num, incident FROM "+table+" WHERE "+where+" ORDER BY num LIMIT ?", append(args, limit), func(row func(...any) error) error {
		var num int64
		var incident string
		err := row(&num, &incident)
		nums, incidents[incident] = append(nums, num), true
		return err
	})
	if err != nil {
		return 0, err
	}
	for _, num := range nums {
		if _, err := t.exec("DELETE FROM "+table+" WHERE num = ?", num); err != nil {
			return 0, err
		}
	}
	for incident := range incidents {
		if _, err := t.exec(`DELETE FROM history WHERE incident = ? AND NOT EXISTS (SELECT 1 FROM incidents WHERE id = ?)
AND NOT EXISTS (SELECT 1 FROM intents WHERE incident = ?) AND NOT EXISTS (SELECT 1 FROM deliveries WHERE incident = ?)`,
			incident, incident, incident, incident); err != nil {
			return 0, err
		}
	}
	return int64(len(nums)), nil
}

// removeAudit removes the oldest records, and moves the anchor on to the last of them. The newest record is never removed, so that
// the head stays where people can find it.
func (t *tx) removeAudit(before, most int64) (int64, error) {
	anchor, err := t.auditAnchor()
	if err != nil {
		return 0, err
	}
	head, err := t.auditHead()
	if err != nil {
		return 0, err
	}
	// The records are in the order of their numbers, not of their times: only an unbroken run of old ones is removed.
	first, last := int64(anchor.Seq), int64(head.Seq)-1
	var young int64
	found, err := t.get("SELECT seq FROM audit WHERE at >= ? ORDER BY seq LIMIT 1", []any{before}, &young)
	if err != nil {
		return 0, err
	}
	to := last
	if found {
		to = min(to, young-1)
	}
	to = max(to, int64(head.Seq)-most)
	to = min(to, first+20*removalBatch, last)
	if to <= first {
		return 0, nil
	}
	if _, err := t.exec("UPDATE audit_anchor SET seq = ?, hash = (SELECT hash FROM audit WHERE seq = ?)", to, to); err != nil {
		return 0, err
	}
	n, err := t.exec("DELETE FROM audit WHERE seq <= ?", to)
	t.lose(LossAudit, n)
	return n, err
}

func (t *tx) removeChanges(most int64) (int64, error) {
	var newest int64
	if _, err := t.get("SELECT COALESCE(MAX(num), 0) FROM changes", nil, &newest); err != nil {
		return 0, err
	}
	n, err := t.exec("DELETE FROM changes WHERE num <= ?", newest-most)
	if err != nil || n == 0 {
		return 0, err
	}
	t.lose(LossChanges, n)
	_, err = t.exec("UPDATE changes_removed SET num = ?", newest-most)
	return 0, err
}

// Sizes are how large the database is, in bytes.
type Sizes struct {
	// File is the size on disk, Used what of it holds anything.
	File, Used int64
}

// Sizes returns how large the database is.
func (s *Store) Sizes(ctx context.Context) (Sizes, error) {
	var z Sizes
	err := s.view(ctx, "read sizes", func(t *tx) error {
		if s.settings.Driver != SQLite {
			_, err := t.get(`SELECT COALESCE(SUM(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = current_schema() AND c.relkind = 'r'`, nil, &z.File)
			z.Used = z.File
			return err
		}
		var pages, free, size int64
		for q, into := range map[string]*int64{"PRAGMA page_count": &pages, "PRAGMA freelist_count": &free, "PRAGMA page_size": &size} {
			if _, err := t.get(q, nil, into); err != nil {
				return err
			}
		}
		z = Sizes{File: pages * size, Used: (pages - free) * size}
		return nil
	})
	return z, err
}

// shrink removes the oldest of everything until what is used is a tenth below the bound, so that it does not start again at once.
func (s *Store) shrink(ctx context.Context) error {
	z, err := s.Sizes(ctx)
	if err != nil || z.Used <= s.settings.MaxBytes {
		return err
	}
	for z.Used > s.settings.MaxBytes/10*9 {
		var removed int64
		err := s.update(ctx, "make room", func(t *tx) error {
			removed = 0
			add := func(n int64, err error) error {
				removed += n
				return err
			}
			// A twentieth of each at a time keeps them in proportion.
			for _, table := range []struct {
				name   string
				order  string
				open   string
				remove func(where string, args []any, limit int64) (int64, error)
			}{
				{"incidents", "detected_at, num", "status <> 'resolved'", t.removeIncidents},
				{"intents", "num", "awaiting = 1", t.removeIntents},
				{"deliveries", "num", "state = 'queued'", t.removeDeliveries},
			} {
				var count int64
				if _, err := t.get("SELECT COUNT(*) FROM "+table.name, nil, &count); err != nil {
					return err
				}
				share := min(max(count/20, 1), removalBatch)
				most := int(max(0, count-share))
				if count > 0 {
					if err := add(t.tooMany(table.name, most, table.open, table.order, table.remove)); err != nil {
						return err
					}
				}
			}
			var records int64
			if _, err := t.get("SELECT COUNT(*) FROM audit", nil, &records); err != nil {
				return err
			}
			return add(t.removeAudit(0, records-max(records/20, 1)))
		})
		if err != nil {
			return err
		}
		if removed == 0 {
			return fmt.Errorf("make room: %w: nothing is left to remove and %d bytes are used, at most %d may be", ErrFull, z.Used, s.settings.MaxBytes)
		}
		if z, err = s.Sizes(ctx); err != nil {
			return err
		}
	}
	return nil
}

// vacuumPages is how many pages are given back at a time.
const vacuumPages = 4096

// vacuum gives free pages back to the file system, a part at a time so that others can write in between.
func (s *Store) vacuum(ctx context.Context) error {
	for {
		var before, after int64
		if err := s.write.QueryRowContext(ctx, "PRAGMA freelist_count").Scan(&before); err != nil {
			return fmt.Errorf("shrink the file: %w", explain(err))
		}
		if before == 0 {
			break
		}
		// The statement gives back a page with each of its steps.
		rows, err := s.write.QueryContext(ctx, fmt.Sprintf("PRAGMA incremental_vacuum(%d)", vacuumPages))
		if err != nil {
			return fmt.Errorf("shrink the file: %w", explain(err))
		}
		for rows.Next() { //nolint:revive // there is nothing to read
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return fmt.Errorf("shrink the file: %w", explain(err))
		}
		if err := s.write.QueryRowContext(ctx, "PRAGMA freelist_count").Scan(&after); err != nil {
			return fmt.Errorf("shrink the file: %w", explain(err))
		}
		if after >= before {
			break
		}
	}
	// Without it, the file gets shorter only once somebody else writes enough.
	if _, err := s.write.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
		return fmt.Errorf("shrink the file: %w", explain(err))
	}
	return nil
}
