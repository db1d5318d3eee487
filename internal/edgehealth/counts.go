package edgehealth

// Counts returns how many requests an edge had in the last n closed buckets, and how many of them failed.
func (m *Model) Counts(key Key, n int) (requests, failed float64) {
	e := m.edges[key]
	if e == nil {
		return 0, 0
	}
	return e.sumAll(&e.requests, &m.timeline, n), e.sumAll(&e.failures.Events, &m.timeline, n)
}
