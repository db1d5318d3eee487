package patternrate

import (
	"cmp"
	"math"
	"slices"

	"github.com/paramedic-otel/paramedic/internal/binarystate"
	"github.com/paramedic-otel/paramedic/internal/excess"
)

// ModelVersion is the version of what is learnt: state of another one means something else and is not read.
const ModelVersion = 1 + 100*excess.ModelVersion

// Settings say what is worth telling.
type Settings struct {
	// MinRatio is how many times the expectation a surge must reach, and what part of it (1/MinRatio) a template that vanished
	// may not exceed; more than 1.
	MinRatio float64
	// MinRecords is the least number of records that make a surge, and the least number expected of one that vanished.
	MinRecords float64
	// MinSurprise is -log10 of the probability that it is chance.
	MinSurprise float64
	// Learning says how the past is forgotten, in buckets.
	Learning excess.Learning
}

// Kind is what befell a template.
type Kind uint8

// The kinds.
const (
	Normal Kind = iota
	Surge
	Vanished
)

const (
	// calmAfter is for how many buckets nothing must be found for an episode to be over.
	calmAfter = 6
	// leastMean is the mean, in records of a bucket, from which on a template has a part in the activity of its service, and
	// mostWeight that from which on it has no greater part.
	leastMean, mostWeight = 2, 10
	// youth is for how many buckets a template is not judged: how it comes, evenly or in clusters, is learnt from those that have
	// left the ring of a track. clustered is what its variance over mean is taken to be until then.
	youth, clustered = 3 * excess.Lookback, 4
	// decideAfter is the number of records after which a service is taken for one whose records name their traces or not, and
	// contraryAfter for how many buckets they must have been otherwise for that to be corrected.
	decideAfter, contraryAfter = 100, 32
)

// Rate is how often a template is written. Its zero value has seen nothing.
type Rate struct {
	track excess.Track
	// sum and weight make the mean of the counts of a bucket.
	sum, weight float64
	// state is the episode that is under way, calm for how many buckets nothing was found.
	state Kind
	calm  uint8
	// seen is for how many buckets in which its service was at work it has been counted, youth at most.
	seen uint8
}

// Count is what was counted of a rate in a bucket.
type Count struct {
	Rate    *Rate
	Records uint64
}

// Bucket is what was seen of a service in a bucket.
type Bucket struct {
	// Index is the number of the bucket.
	Index int64
	// Records is how many there were, Traced how many of them named their traces, and Traces how many traces that were.
	Records, Traced uint64
	Traces          float64
	// Counts are those of all rates of the service, also of those that were not written.
	Counts []Count
}

// Finding is that a rate has become abnormal.
type Finding struct {
	Rate *Rate
	Kind Kind
	// Observed and Expected are numbers of records in the last Buckets buckets.
	Observed, Expected float64
	Buckets            int
}

// Service is what the rates of one service are measured by. Its zero value has seen nothing.
type Service struct {
	timeline excess.Timeline
	exposure excess.Counts
	// perRequest says that the exposure are requests. It is decided after some records.
	perRequest, decided bool
	records, traced     uint64
	contrary            int

	window excess.Window
	shares []share
}

// Close judges a bucket that is over, and learns from it. Buckets must be closed in their order; what lies between was silent.
// Findings are in the order of the counts.
func (s *Service) Close(b Bucket, settings *Settings) []Finding {
	if s.timeline.Started() && b.Index < s.timeline.Next() {
		s.restart(b)
	}
	if !s.timeline.Started() {
		s.timeline.Start(b.Index)
	}
	retire := func(slot int) {
		for _, c := range b.Counts {
			c.Rate.track.Retire(slot, float64(s.exposure[slot]), settings.Learning)
		}
		s.exposure[slot] = 0
	}
	s.timeline.Jump(b.Index, retire)
	s.decide(b)
	exposure := s.exposureOf(b)
	slot := s.timeline.Slot(b.Index)
	s.exposure[slot] = float32(exposure)
	s.timeline.Close(retire)
	keep := math.Exp2(-0.5 / settings.Learning.HalfLife)
	var findings []Finding
	for _, c := range b.Counts {
		r := c.Rate
		if r.seen == 0 {
			// Nobody looked for it before.
			r.track.Clustered = clustered
			r.track.Flag(&s.timeline, excess.Verdict{Window: excess.Lookback}, settings.Learning)
			r.track.Settle(&s.timeline)
		}
		r.track.Events[slot] = float32(c.Records)
		if b.Records > 0 {
			r.sum, r.weight = r.sum*keep+float64(c.Records), r.weight*keep+1
		}
		if r.seen == 0 || exposure > 0 && r.seen < youth {
			r.seen++
			continue
		}
		if exposure <= 0 {
			continue
		}
		if f, ok := s.judge(r, settings); ok {
			findings = append(findings, f)
		}
	}
	return findings
}

// restart begins again at an earlier time. What was counted lately is forgotten.
func (s *Service) restart(b Bucket) {
	for _, c := range b.Counts {
		c.Rate.track.Clear()
	}
	s.exposure = excess.Counts{}
	s.timeline.Rewind(b.Index)
}

// decide finds out whether records name their traces.
func (s *Service) decide(b Bucket) {
	if b.Records == 0 {
		return
	}
	if !s.decided {
		s.records += b.Records
		s.traced += b.Traced
		s.decided, s.perRequest = s.records >= decideAfter, 2*s.traced >= s.records
		return
	}
	if (2*b.Traced >= b.Records) == s.perRequest {
		s.contrary = 0
		return
	}
	if s.contrary++; s.contrary >= contraryAfter {
		s.perRequest, s.contrary = !s.perRequest, 0
		for _, c := range b.Counts {
			// What was learnt is in another unit.
			c.Rate.track, c.Rate.seen = excess.Track{}, 0
		}
		s.exposure = excess.Counts{}
	}
}

// exposureOf returns what the records of a bucket could have been written for; 0 when nobody can tell.
func (s *Service) exposureOf(b Bucket) float64 {
	switch {
	case b.Records == 0 || !s.decided || s.contrary > 0:
		return 0
	case s.perRequest:
		return b.Traces
	default:
		return s.activity(b)
	}
}

// share is a template's part in the activity of its service.
type share struct{ ratio, weight float64 }

// activity returns how busy a service was, compared with what is usual: a median, in which templates that are seldom written,
// whose ratios are mostly chance, weigh less.
func (s *Service) activity(b Bucket) float64 {
	shares, total := s.shares[:0], 0.0
	for _, c := range b.Counts {
		if mean := c.Rate.mean(); mean >= leastMean {
			shares = append(shares, share{float64(c.Records) / mean, min(mean, mostWeight)})
			total += min(mean, mostWeight)
		}
	}
	s.shares = shares
	if len(shares) < 2 {
		return 1
	}
	slices.SortFunc(shares, func(a, b share) int { return cmp.Compare(a.ratio, b.ratio) })
	sum := 0.0
	for _, part := range shares {
		sum += part.weight
		// Where half went up, that half is to be told of, and where half stopped, that one.
		if sum >= total/2 && (part.ratio > 0 || sum > total/2) {
			return part.ratio
		}
	}
	return 1
}

// mean returns about how many records of a bucket there usually are.
func (r *Rate) mean() float64 {
	if r.weight < 1 {
		return 0
	}
	return r.sum / r.weight
}

// Merge adds what is known of another rate of the same service: the two have turned out to be one.
func (r *Rate) Merge(other *Rate) {
	if other.sum > r.sum {
		// Tracks do not add up: the one that tells more stays.
		r.track, r.seen = other.track, other.seen
	}
	r.sum += other.sum
	r.weight = max(r.weight, other.weight)
	if other.state != Normal {
		r.state, r.calm = other.state, other.calm
	}
}

// judge looks at the buckets up to the one that has just been closed.
func (s *Service) judge(r *Rate, settings *Settings) (Finding, bool) {
	o := excess.Options{MinEvents: settings.MinRecords, MinRatio: settings.MinRatio}
	r.track.Load(&s.window, &s.timeline, &s.exposure)
	kind, v := Surge, r.track.Above(&s.window, o)
	if v.Surprise < settings.MinSurprise {
		kind, v = Vanished, r.track.Below(&s.window, o)
	}
	if v.Surprise >= settings.MinSurprise {
		v.Surprise = r.track.Flag(&s.timeline, v, settings.Learning)
	} else {
		r.track.Calm(&s.timeline)
	}
	if v.Surprise < settings.MinSurprise {
		if r.calm++; r.calm >= calmAfter {
			r.state, r.calm = Normal, calmAfter
		}
		return Finding{}, false
	}
	r.calm = 0
	if r.state == kind {
		return Finding{}, false
	}
	r.state = kind
	return Finding{Rate: r, Kind: kind, Observed: v.Now.Events, Expected: v.Expected, Buckets: v.Window}, true
}

// Code writes or reads what is known of a service.
func (s *Service) Code(c *binarystate.Codec) {
	s.timeline.Code(c)
	c.Counts(s.exposure[:])
	c.Flags(&s.perRequest, &s.decided)
	c.Uint64s(&s.records, &s.traced)
	s.contrary = c.Count(s.contrary, contraryAfter)
}

// Code writes or reads what is known of a rate.
func (r *Rate) Code(c *binarystate.Codec) {
	r.track.Code(c)
	r.seen = uint8(c.Count(int(r.seen), youth)) //nolint:gosec // 96 at most
	if r.seen > 0 {
		r.track.Clustered = clustered
	}
	c.Float64s(&r.sum, &r.weight)
	if c.Reading() && (r.sum < 0 || r.weight < 0) {
		c.Fail(binarystate.ErrInvalid)
	}
	r.state = Kind(c.Count(int(r.state), int(Vanished))) //nolint:gosec // 2 at most
	r.calm = uint8(c.Count(int(r.calm), calmAfter))      //nolint:gosec // 6 at most
}
