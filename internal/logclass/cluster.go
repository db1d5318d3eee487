package logclass

import (
	"slices"
)

// Clusters put templates that say nearly the same into one: the failures that a person would count. Two templates are alike
// when the shares of their common words among all their words (Jaccard) reach a threshold and their categories are the
// same. It is not safe for concurrent use.
type Clusters struct {
	threshold float64
	most      int
	clock     uint64
	list      []cluster
}

// cluster is known by its first template.
type cluster struct {
	name       string
	words      []string
	categories []string
	used       uint64
}

// maxClusterWords is how many different words of a template are compared.
const maxClusterWords = 64

// NewClusters returns no clusters yet. Most is how many are kept, those not met for longest make room; the threshold is
// from 0, where all is alike, to 1.
func NewClusters(most int, threshold float64) *Clusters {
	return &Clusters{most: max(1, most), threshold: threshold}
}

// Len returns the number of clusters.
func (c *Clusters) Len() int { return len(c.list) }

// Add returns the name of the cluster that a template is in: the name that its first template came with. Where none is
// alike, the template makes a new one.
func (c *Clusters) Add(name, template string, categories []string) string {
	c.clock++
	words := Words(template)
	slices.Sort(words)
	words = slices.Compact(words)
	words = words[:min(len(words), maxClusterWords)]
	best, bestShare := -1, 0.0
	for i := range c.list {
		k := &c.list[i]
		if k.name == name {
			k.used = c.clock
			return name
		}
		if !slices.Equal(k.categories, categories) {
			continue
		}
		if share := common(k.words, words); share >= c.threshold && share > bestShare {
			best, bestShare = i, share
		}
	}
	if best >= 0 {
		c.list[best].used = c.clock
		return c.list[best].name
	}
	fresh := cluster{name: name, words: words, categories: slices.Clone(categories), used: c.clock}
	if len(c.list) < c.most {
		c.list = append(c.list, fresh)
		return name
	}
	oldest := 0
	for i := range c.list {
		if c.list[i].used < c.list[oldest].used {
			oldest = i
		}
	}
	c.list[oldest] = fresh
	return name
}

// common is the share of the words that two sorted lists have in common among all of theirs.
func common(a, b []string) float64 {
	both, i, j := 0, 0, 0
	for i < len(a) && j < len(b) {
		switch {
		case a[i] < b[j]:
			i++
		case a[i] > b[j]:
			j++
		default:
			both, i, j = both+1, i+1, j+1
		}
	}
	all := len(a) + len(b) - both
	if all == 0 {
		return 1
	}
	return float64(both) / float64(all)
}
