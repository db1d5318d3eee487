package evidence

import "math"

// classes of p-values: 0.1 and more, and less than each of these.
var classBounds = [...]float64{0.1, 1e-2, 1e-3, 1e-5}

const classes = len(classBounds) + 1

const (
	// believed is the number of observations that the model's own view weighs.
	believed = 100
	// abnormalShare is the share of them that are abnormal.
	abnormalShare = 0.01
	// mostCounted is the number of observations at which the counts are halved.
	mostCounted = 200_000
)

// gains counts, for each source, its class of p-value against the state.
type gains struct {
	// counts holds the calm counts of the classes of a source, then the abnormal ones, source by source.
	counts []float64
	// calm holds, for each class of a source, how often it was met while the entity was calm.
	calm []float64
}

func newGains(sources int, share float64) gains {
	g := gains{counts: make([]float64, sources*2*classes), calm: make([]float64, sources*classes)}
	for i := range sources {
		c := g.table(i)
		upper := 1.0
		for k := range classes {
			lower := 0.0
			if k < len(classBounds) {
				lower = classBounds[k]
			}
			// The p-value of a calm source is uniform, that of an affected one has a Beta(a, 1) distribution.
			calm := upper - lower
			affected := math.Pow(upper, shape) - math.Pow(lower, shape)
			c[k] = believed * (1 - abnormalShare) * calm
			g.calm[i*classes+k] = believed * calm
			c[classes+k] = believed * abnormalShare * ((1-share)*calm + share*affected)
			upper = lower
		}
	}
	return g
}

func (g *gains) table(source int) []float64 {
	return g.counts[source*2*classes : (source+1)*2*classes]
}

func class(chance float64) int {
	for k, bound := range classBounds {
		if chance >= bound {
			return k
		}
	}
	return classes - 1
}

// learn counts what a source said while the entity was abnormal with this probability, as the other sources see it.
func (g *gains) learn(source int, chance, abnormal float64) {
	c := g.table(source)
	k := class(chance)
	c[k] += 1 - abnormal
	c[classes+k] += abnormal
	if total(c) > mostCounted {
		for i := range c {
			c[i] /= 2
		}
	}
}

// temper returns the chance that a source says such a thing while the entity is calm: what it claims, or how often it said
// something of this class or a rarer one, if that is more often. It keeps a source whose p-values are wrong from crying
// all day.
func (g *gains) temper(source int, chance float64) float64 {
	c := g.calm[source*classes : (source+1)*classes]
	all := total(c)
	if all <= 0 {
		return chance
	}
	k := class(chance)
	return math.Max(chance, total(c[k:])/all*chance/classTop(k))
}

// classTop is the upper end of a class.
func classTop(k int) float64 {
	if k == 0 {
		return 1
	}
	return classBounds[k-1]
}

// quiet counts what a source said while the entity was calm with this probability.
func (g *gains) quiet(source int, chance, calm float64) {
	c := g.calm[source*classes : (source+1)*classes]
	c[class(chance)] += calm
	if total(c) > mostCounted {
		for i := range c {
			c[i] /= 2
		}
	}
}

// of returns the mutual information of a source's class and the state, and the entropy of the state, in bits.
func (g *gains) of(source int) (gain, entropy float64) {
	c := g.table(source)
	calm, abnormal := total(c[:classes]), total(c[classes:])
	if calm+abnormal <= 0 {
		return 0, 0
	}
	entropy = Entropy(abnormal / (calm + abnormal))
	rest := 0.0
	for k := range classes {
		if n := c[k] + c[classes+k]; n > 0 {
			rest += n / (calm + abnormal) * Entropy(c[classes+k]/n)
		}
	}
	return math.Max(0, entropy-rest), entropy
}

func total(c []float64) float64 {
	sum := 0.0
	for _, v := range c {
		sum += v
	}
	return sum
}

// Entropy returns the uncertainty, in bits, about something that is true with probability p.
func Entropy(p float64) float64 {
	if !(p > 0 && p < 1) {
		return 0
	}
	return -p*math.Log2(p) - (1-p)*math.Log2(1-p)
}
