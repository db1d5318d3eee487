package remediationexporter

import (
	"context"
	"net/http"
	"slices"

	"go.opentelemetry.io/collector/component"

	"github.com/paramedic-otel/paramedic/internal/verification"
)

// probe asks a URL.
type probe struct {
	signal int
	name   string
	cfg    *ProbeConfig
	client *http.Client
	base   *baseTransport
}

// streak counts answers of one kind in a row.
type streak struct{ successes, failures int }

func (p *probe) start(ctx context.Context, host component.Host, set component.TelemetrySettings) error {
	p.base = &baseTransport{allowPrivate: p.cfg.AllowPrivateRanges}
	var err error
	p.client, err = p.base.makeClient(ctx, p.cfg.ClientConfig, host, set)
	return err
}

func (p *probe) stop() {
	if p.base != nil {
		p.base.close()
	}
}

// ask makes one request. No answer is no reading: it may be our own network that is broken.
func (p *probe) ask(ctx context.Context, s *streak) verification.Reading {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.cfg.Endpoint, http.NoBody)
	if err != nil {
		return verification.Lost
	}
	resp, err := p.client.Do(req)
	if err != nil {
		*s = streak{}
		return verification.Lost
	}
	defer resp.Body.Close()
	if !slices.Contains(p.cfg.Status, resp.StatusCode) {
		s.successes = 0
		s.failures++
		if p.cfg.Failures > 0 && s.failures >= p.cfg.Failures {
			return verification.Bad
		}
		return verification.Neutral
	}
	s.failures = 0
	s.successes++
	if s.successes < p.cfg.Successes {
		return verification.Neutral
	}
	return verification.Good
}
