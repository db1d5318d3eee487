package incidentstore

import (
	"fmt"
	"math"
	"slices"
)

// likeness compares incidents with one.
type likeness struct {
	// features are those of the one, sorted, with how much each counts.
	features []feature
	weights  []float64
	total    float64
	// typical is how much one counts that the one has not, by class.
	typical [classes]float64
}

// newLikeness is told how many of all incidents have each feature.
func newLikeness(features []feature, having []float64, all float64) *likeness {
	l := &likeness{features: features, weights: make([]float64, len(features))}
	var sum, count [classes]float64
	for i, f := range features {
		// The inverse document frequency: what few have says most.
		rarity := math.Log(1 + max(all, 1)/max(having[i], 1))
		l.weights[i] = classWeights[f.class()] * rarity
		l.total += l.weights[i]
		sum[f.class()] += l.weights[i]
		count[f.class()]++
	}
	for c := range l.typical {
		l.typical[c] = classWeights[c] * math.Ln2
		if count[c] > 0 {
			l.typical[c] = sum[c] / count[c]
		}
	}
	return l
}

// score is the weighted Jaccard index: how much of what either has, both have. It is 1 for the same.
func (l *likeness) score(other []feature) (score float64, shared [classes]int) {
	both, either := 0.0, l.total
	for _, f := range other {
		if i, there := slices.BinarySearch(l.features, f); there {
			both += l.weights[i]
			shared[f.class()]++
		} else {
			either += l.typical[f.class()]
		}
	}
	if either == 0 {
		return 0, shared
	}
	return both / either, shared
}

// why says what is shared.
func why(shared [classes]int) []string {
	out := []string{}
	switch {
	case shared[classCause] > 0:
		out = append(out, "the same cause, in the same kind of trouble")
	case shared[classEntity] > 0:
		out = append(out, "the same cause")
	case shared[classKind] > 0:
		out = append(out, "the same kind of trouble")
	}
	for _, c := range []struct {
		class class
		of    string
	}{
		{classSignal, "%d signals of the cause that are abnormal the same way"},
		{classTemplate, "%d observations that say the same"},
		{classOther, "%d signals of other services"},
		{classReach, "%d affected services and entry points"},
		{classChange, "%d changes of the same kind before"},
	} {
		if n := shared[c.class]; n > 0 {
			out = append(out, fmt.Sprintf(c.of, n))
		}
	}
	return out
}
