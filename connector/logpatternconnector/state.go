package logpatternconnector

import (
	"errors"
	"math"
	"time"

	"github.com/paramedic-otel/paramedic/internal/binarystate"
	"github.com/paramedic-otel/paramedic/internal/logpattern"
	"github.com/paramedic-otel/paramedic/internal/patternrate"
)

// stateVersion is that of the state as a whole: what is of another one is not read.
const stateVersion = 1 + 100*patternrate.ModelVersion

var (
	errVersion = errors.New("state is of another version or of another flush_interval")
	errStale   = errors.New("state is older than max_age")
)

// appendState appends all that was learnt. What the open intervals hold is not part of it.
func (e *engine) appendState(b []byte, now time.Time) []byte {
	b = binarystate.AppendUint64(b, stateVersion)
	b = binarystate.AppendUint64(b, uint64(e.cfg.FlushInterval)) //nolint:gosec // not negative
	b = binarystate.AppendUint64(b, uint64(now.UnixNano()))      //nolint:gosec // the same bits
	b = binarystate.AppendBytes(b, e.miner.AppendState(nil))
	c := binarystate.NewWriter(b)
	services := e.sortedServices()
	c.Length(len(services), 0)
	for _, s := range services {
		e.codeService(c, s)
	}
	return c.Written()
}

// restore goes on with what was learnt. An error leaves the engine as it is.
func (e *engine) restore(data []byte, now time.Time) error {
	if len(data) < 24 {
		return binarystate.ErrShort
	}
	r := binarystate.NewReader(data[:24])
	if r.Uint64() != stateVersion || r.Uint64() != uint64(e.cfg.FlushInterval) { //nolint:gosec // not negative
		return errVersion
	}
	if age := now.Sub(time.Unix(0, int64(r.Uint64()))); age > e.cfg.State.MaxAge { //nolint:gosec // the same bits
		return errStale
	}
	c := binarystate.NewCodecReader(data[24:])
	templates := c.Bytes()
	if err := c.Err(); err != nil {
		return err
	}
	miner, err := logpattern.Decode(templates, e.cfg.minerSettings())
	if err != nil {
		return err
	}
	services, patterns := map[string]*service{}, 0
	for range c.Length(0, math.MaxInt32) {
		s := &service{patterns: map[patternKey]*pattern{}, exceptions: map[exceptionKey]*exceptionCount{}}
		e.codeService(c, s)
		if c.Err() != nil {
			break
		}
		if len(services) < e.cfg.Limits.Services && patterns+len(s.order) <= e.cfg.Limits.Patterns && e.fits(s) {
			services[s.key] = s
			patterns += len(s.order)
		}
	}
	if err := c.Close(); err != nil {
		return err
	}
	e.miner, e.services, e.patterns, e.generalized = miner, services, patterns, 0
	return nil
}

// fits reports whether a service that was stored is told apart by the same attributes as now.
func (e *engine) fits(s *service) bool {
	present := 0
	for _, name := range e.cfg.ServiceAttributes {
		for _, a := range s.attributes {
			if a.name == name {
				present++
			}
		}
	}
	return present == len(s.attributes)
}

// maxStored bounds the texts in the state.
const maxStored = 1 << 20

// codeService writes or reads a service.
func (e *engine) codeService(c *binarystate.Codec, s *service) {
	c.String(&s.key, maxStored)
	n := c.Length(len(s.attributes), 64)
	if c.Reading() {
		s.attributes = make([]identity, n)
	}
	for i := range s.attributes {
		c.String(&s.attributes[i].name, maxStored)
		c.String(&s.attributes[i].value, maxStored)
	}
	c.Int64s(&s.first, &s.last)
	c.Uint64s(&s.records)
	s.rate.Code(c)
	n = c.Length(len(s.order), math.MaxInt32)
	if !c.Reading() {
		for _, p := range s.order {
			codePattern(c, p)
		}
		return
	}
	for range n {
		p := &pattern{}
		codePattern(c, p)
		if c.Err() != nil {
			return
		}
		if s.patterns[p.patternKey] != nil {
			c.Fail(binarystate.ErrInvalid)
			return
		}
		if len(s.order) >= e.cfg.Limits.PatternsPerService {
			continue
		}
		p.idText = p.id.String()
		e.classify(p)
		if key, ok := exceptionOf(p.template); ok {
			p.exception = e.exceptionIn(s, key)
			p.exception.last = p.last
		}
		s.patterns[p.patternKey] = p
		s.order = append(s.order, p)
	}
}

func codePattern(c *binarystate.Codec, p *pattern) {
	id := uint64(p.id)
	c.Uint64s(&id)
	p.id = logpattern.ID(id)
	p.severity = severityClass(c.Count(int(p.severity), int(severityClasses)-1)) //nolint:gosec // few
	c.String(&p.template, maxStored)
	c.Int64s(&p.last)
	c.Float64s(&p.weight)
	p.rate.Code(c)
}
