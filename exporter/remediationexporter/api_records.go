package remediationexporter

import (
	"bytes"
	"math"

	"github.com/paramedic-otel/paramedic/internal/auditchain"
)

// maxAuditPage bounds the records of one answer.
const maxAuditPage = 1000

// audit returns the audit as lines of JSON, from a number on.
func (a *api) audit(c *call) (any, error) {
	q, err := parseQuery(c.URL.RawQuery, "from", "limit")
	if err != nil {
		return nil, err
	}
	from, err := q.number("from", 0, 0, math.MaxInt64)
	if err != nil {
		return nil, err
	}
	limit, err := q.number("limit", maxAuditPage, 1, maxAuditPage)
	if err != nil {
		return nil, err
	}
	a.e.mu.Lock()
	records := a.e.audit.chain.Records(from, int(limit))
	a.e.mu.Unlock()
	var b bytes.Buffer
	if err := auditchain.Write(&b, records...); err != nil {
		return nil, err
	}
	return rawBody{"application/jsonl", b.Bytes()}, nil
}
