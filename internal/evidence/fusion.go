package evidence

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// MaxSources bounds the sources of an entity.
const MaxSources = 256

// Params are the parameters of a fusion.
type Params struct {
	// Sources is the number of sources, 1 to MaxSources.
	Sources int
	// EpisodesPerDay is how many abnormal episodes a day one expects of an entity; more than 0, at most 1000.
	EpisodesPerDay float64
	// EpisodeLength is how long one lasts on the average; 1 s to 24 h.
	EpisodeLength time.Duration
	// Share is the share of the sources that an episode affects; 0 to 1, exclusive.
	Share float64
	// Memory is the number of observations after which correlations are forgotten; 16 to 1000000.
	Memory int
}

// DefaultParams are those of an entity with 0.3 episodes a day of ten minutes each, which a tenth of the sources show.
func DefaultParams(sources int) Params {
	return Params{Sources: sources, EpisodesPerDay: 0.3, EpisodeLength: 10 * time.Minute, Share: 0.1, Memory: 1000}
}

// Validate reports everything that is wrong with the parameters.
func (p *Params) Validate() error {
	var errs []error
	if p.Sources < 1 || p.Sources > MaxSources {
		errs = append(errs, fmt.Errorf("sources must be between 1 and %d, got %d", MaxSources, p.Sources))
	}
	if !(p.EpisodesPerDay > 0 && p.EpisodesPerDay <= 1000) {
		errs = append(errs, fmt.Errorf("episodes per day must be greater than 0 and at most 1000, got %v", p.EpisodesPerDay))
	}
	if p.EpisodeLength < time.Second || p.EpisodeLength > 24*time.Hour {
		errs = append(errs, fmt.Errorf("episode length must be between 1s and 24h, got %s", p.EpisodeLength))
	}
	if !(p.Share > 0 && p.Share < 1) {
		errs = append(errs, fmt.Errorf("share must be between 0 and 1, exclusive, got %v", p.Share))
	}
	if p.Memory < 16 || p.Memory > 1_000_000 {
		errs = append(errs, fmt.Errorf("memory must be between 16 and 1000000, got %d", p.Memory))
	}
	return errors.Join(errs...)
}

const (
	// shape is the a of the Beta(a, 1) density of a p-value that the state affects.
	shape = 0.1
	// constancy is the probability that a source that an episode affects is still affected at the next observation.
	constancy = 0.9
	// leastChance bounds what one p-value can say.
	leastChance = 1e-12
	// ignorance is the number of observations that weigh as much as the belief that all sources are one.
	ignorance = 10
	// noise is how many standard errors a correlation must exceed to count.
	noise = 2
	// mostRepeated bounds how much of what a source says is taken for a repetition.
	mostRepeated = 0.98
	// mostTold bounds what one source can say, in nats: the logarithm of the ratio of leastChance is smaller.
	mostTold = 100
	// clippedSize is the largest size that the correlation is learnt from; an outlier shall not decide it.
	clippedSize = 4
)

// Source is what one source says at one time.
type Source struct {
	// Chance is the probability that the source says this or more while the entity is calm; NaN when it says nothing.
	Chance float64
	// Size is the signed deviation behind it in units of its usual spread: what the correlation is learnt from.
	Size float64
}

// Verdict is what all sources together say.
type Verdict struct {
	// Probability is that of the entity being abnormal.
	Probability float64
	// LogOdds is its logarithmic odds, in nats.
	LogOdds float64
	// Evidence is what the sources add to the odds at this time, in nats.
	Evidence float64
	// Effective is the number of independent sources that would say as much as those that spoke.
	Effective float64
}

// Fusion is the state of one entity. It is not safe for concurrent use.
type Fusion struct {
	params Params
	last   int64
	odds   float64
	// seen is the number of observations that correlations are learnt from.
	seen float64
	// mean and products are exponential averages of the sizes and, the lower triangle, of their products.
	mean, products []float64
	// lagged is the exponential average of each size times the one before; before is that size, told the evidence that came with it.
	lagged, before, told []float64
	// loud are exponential averages of the evidence of each source, of its square and of its product with the one before, and
	// that one.
	loud  []loudness
	gains gains
	// shares is, for each source, the probability that it is affected if the entity is abnormal.
	shares        []float64
	sizes, ratios []float64
	chances       []float64
	weights       []float64
	spreads       []float64
	spoke         []bool
}

// New returns a fusion that knows only its parameters.
func New(p Params) (*Fusion, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	n := p.Sources
	f := &Fusion{
		params: p, odds: math.Inf(-1), mean: make([]float64, n), products: make([]float64, n*(n+1)/2),
		sizes: make([]float64, n), ratios: make([]float64, n), chances: make([]float64, n), weights: make([]float64, n), spreads: make([]float64, n), spoke: make([]bool, n),
	}
	f.lagged, f.before, f.told = make([]float64, n), make([]float64, n), make([]float64, n)
	f.loud = make([]loudness, n)
	f.gains = newGains(n, p.Share)
	f.shares = make([]float64, n)
	for i := range f.shares {
		f.shares[i] = p.Share
	}
	return f, nil
}

// Observe combines what the sources say at time t, in nanoseconds, and learns from it. sources has one entry for each
// source, always in the same order; what is missing in it has no say. If contributions is not nil it receives what each
// source adds to the logarithmic odds, in nats.
func (f *Fusion) Observe(t int64, sources []Source, contributions []float64) Verdict {
	prior := f.predict(t)
	for i := range f.ratios {
		s := Source{Chance: math.NaN()}
		if i < len(sources) {
			s = sources[i]
		}
		f.spoke[i] = !math.IsNaN(s.Chance)
		f.sizes[i], f.ratios[i] = 0, 0
		if f.spoke[i] {
			f.chances[i] = f.gains.temper(i, math.Max(leastChance, math.Min(1, s.Chance)))
			f.ratios[i] = ratio(f.chances[i], f.shares[i])
			if !math.IsNaN(s.Size) {
				f.sizes[i] = math.Max(-clippedSize, math.Min(clippedSize, s.Size))
			}
		}
	}
	var v Verdict
	f.discount()
	for i, w := range f.weights {
		if !f.spoke[i] {
			f.ratios[i] = 0
			continue
		}
		v.Effective += w
		f.ratios[i] *= w
		// Part of it was said before.
		news := f.ratios[i] - f.repeats(i)*f.told[i]
		f.told[i], f.ratios[i] = f.ratios[i], news
		v.Evidence += f.ratios[i]
	}
	if contributions != nil {
		clear(contributions)
		copy(contributions, f.ratios)
	}
	v.LogOdds = prior + v.Evidence
	v.Probability = probability(v.LogOdds)
	f.odds, f.last = v.LogOdds, t
	for i := range f.ratios {
		if f.spoke[i] {
			f.gains.learn(i, sources[i].Chance, probability(v.LogOdds-f.ratios[i]))
			f.gains.quiet(i, sources[i].Chance, 1-v.Probability)
		}
	}
	f.follow(v.Probability)
	f.correlate(1 - v.Probability)
	return v
}

// density is that of a p-value of an affected source.
func density(chance float64) float64 { return shape * math.Pow(chance, shape-1) }

// ratio is the logarithmic likelihood ratio of a p-value of a source that is affected with probability q.
func ratio(chance, q float64) float64 { return math.Log(1 - q + q*density(chance)) }

// follow learns which sources the present episode affects: one that was affected most likely still is, and that it falls
// silent says that the episode is over. A source that says nothing keeps its share.
func (f *Fusion) follow(abnormal float64) {
	for i, q := range f.shares {
		if f.spoke[i] {
			d := q * density(f.chances[i])
			q = d / (1 - q + d)
		}
		share := f.params.Share
		f.shares[i] = share + abnormal*constancy*(q-share)
	}
}

// predict moves the probability of the state from the last observation to t and returns its logarithmic odds.
func (f *Fusion) predict(t int64) float64 {
	onset := f.params.EpisodesPerDay / 86400
	end := 1 / f.params.EpisodeLength.Seconds()
	if math.IsInf(f.odds, -1) {
		return math.Log(onset / end) // what a stranger is found in
	}
	step := math.Max(0, float64(t-f.last)/1e9)
	// The chain tends to its mean share of abnormal time at the rate onset + end.
	mean := onset / (onset + end)
	stays := math.Exp(-(onset + end) * step)
	p := mean + (probability(f.odds)-mean)*stays
	return math.Log(p / (1 - p))
}

// discount works out what each source counts for beside the others that say the same: that the entity is abnormal, or that it
// is not.
func (f *Fusion) discount() {
	n := f.params.Sources
	for i := range n {
		m := f.mean[i]
		f.spreads[i] = math.Sqrt(math.Max(0, f.at(i, i)-m*m))
		f.weights[i] = 1
	}
	least := 0.0
	if f.seen > 0 {
		least = noise / math.Sqrt(f.seen)
	}
	for i := range n {
		if !f.spoke[i] {
			continue
		}
		for j := range i {
			a, b := f.ratios[i], f.ratios[j]
			if !f.spoke[j] || (a > 0) != (b > 0) {
				continue
			}
			r := f.correlation(i, j, least)
			a, b = math.Abs(a), math.Abs(b)
			// A whisper takes nothing from what is said aloud.
			f.weights[i] += r * heard(a, b)
			f.weights[j] += r * heard(b, a)
		}
	}
	for i := range n {
		f.weights[i] = 1 / f.weights[i]
	}
}

// heard is the share of what is said at one strength that another one takes.
func heard(one, other float64) float64 {
	if other >= one {
		return 1
	}
	return other / one
}

// repeats is how much of what a source says is what it said before: the correlation of its size or of its evidence with the one
// before, less what is noise.
func (f *Fusion) repeats(i int) float64 {
	s := f.spreads[i] * f.spreads[i]
	if s <= 1e-12 || f.seen <= ignorance {
		return 0
	}
	r := (f.lagged[i] - f.mean[i]*f.mean[i]) / s
	r = math.Max(r, f.loud[i].correlation())
	least := noise / math.Sqrt(f.seen)
	return math.Max(0, math.Min(mostRepeated, (r-least)/(1-least)))
}

// loudness follows how the evidence of a source repeats itself.
type loudness struct{ mean, square, lagged, before float64 }

// loudest bounds the evidence that is followed, in nats; one outlier shall not decide.
const loudest = 5

func (l *loudness) learn(w, evidence float64) {
	x := math.Max(0, math.Min(loudest, evidence))
	l.mean += w * (x - l.mean)
	l.square += w * (x*x - l.square)
	l.lagged += w * (x*l.before - l.lagged)
	l.before = x
}

func (l *loudness) correlation() float64 {
	m := l.mean * l.mean
	if l.square-m <= 1e-9 {
		return 0
	}
	return (l.lagged - m) / (l.square - m)
}

// correlation is the absolute correlation of two sources, less what is noise, as far as it is known.
func (f *Fusion) correlation(i, j int, least float64) float64 {
	known := 0.0
	if s := f.spreads[i] * f.spreads[j]; s > 1e-12 && least < 1 {
		r := math.Min(1, math.Abs(f.at(i, j)-f.mean[i]*f.mean[j])/s)
		known = math.Max(0, (r-least)/(1-least))
	}
	return (f.seen*known + ignorance) / (f.seen + ignorance)
}

func (f *Fusion) at(i, j int) float64 { return f.products[i*(i+1)/2+j] }

// correlate learns how the sources move together, from the more the calmer the entity is.
func (f *Fusion) correlate(calm float64) {
	f.seen = math.Min(f.seen+calm, float64(f.params.Memory))
	w := calm / math.Max(1, f.seen)
	row := f.products
	for i, x := range f.sizes {
		f.mean[i] += w * (x - f.mean[i])
		if f.spoke[i] {
			f.loud[i].learn(w, f.told[i])
			f.lagged[i] += w * (x*f.before[i] - f.lagged[i])
			f.before[i] = x
		}
		for j := range i + 1 {
			row[j] += w * (x*f.sizes[j] - row[j])
		}
		row = row[i+1:]
	}
}

// Gain returns how much knowing a source reduces the uncertainty about the entity's state, in bits, on the average; and
// that uncertainty, the entropy of the state, without it.
func (f *Fusion) Gain(source int) (gain, entropy float64) { return f.gains.of(source) }

func probability(odds float64) float64 {
	// Never exactly 0 or 1: the odds must stay finite.
	return math.Max(1e-15, math.Min(1-1e-15, 1/(1+math.Exp(-odds))))
}
