package logclass

import (
	"container/list"
	"slices"
)

// Clusters put templates that say nearly the same into one: the failures that a person would count. Two templates are alike
// when the shares of their common words among all their words (Jaccard) reach a threshold and their categories are the
// same. Only clusters that share a word with a template are looked at. It is not safe for concurrent use.
type Clusters struct {
	threshold float64
	most      int
	list      []cluster
	// recent has the places of clusters, those met last in front.
	recent *list.List
	named  map[string]int32
	// with has, for each word, the places of the clusters with it.
	with map[string][]int32
	// shared counts the words that a template shares with each cluster; it is all zero between calls.
	shared []uint8
	met    []int32
}

// cluster is known by its first template.
type cluster struct {
	name       string
	words      []string
	categories []string
	recent     *list.Element
}

// maxClusterWords is how many different words of a template are compared.
const maxClusterWords = 64

// NewClusters returns no clusters yet. Most is how many are kept, those not met for longest make room; the threshold is
// above 0, where one common word suffices, up to 1.
func NewClusters(most int, threshold float64) *Clusters {
	return &Clusters{most: max(1, most), threshold: threshold, recent: list.New(), named: map[string]int32{}, with: map[string][]int32{}}
}

// Len returns the number of clusters.
func (c *Clusters) Len() int { return len(c.list) }

// Add returns the name of the cluster that a template is in: the name that its first template came with. Where none is
// alike, the template makes a new one.
func (c *Clusters) Add(name, template string, categories []string) string {
	if at, ok := c.named[name]; ok {
		c.recent.MoveToFront(c.list[at].recent)
		return name
	}
	words := Words(template)
	slices.Sort(words)
	words = slices.Compact(words)
	words = words[:min(len(words), maxClusterWords)]
	if len(words) == 0 {
		words = []string{""} // those without any are alike
	}
	if best := c.nearest(words, categories); best >= 0 {
		c.recent.MoveToFront(c.list[best].recent)
		return c.list[best].name
	}
	c.insert(cluster{name: name, words: words, categories: slices.Clone(categories)})
	return name
}

// nearest returns the place of the cluster that is most alike, the first of several; -1 when none is enough.
func (c *Clusters) nearest(words, categories []string) int32 {
	for _, w := range words {
		for _, at := range c.with[w] {
			if c.shared[at]++; c.shared[at] == 1 {
				c.met = append(c.met, at)
			}
		}
	}
	best, bestShare := int32(-1), 0.0
	for _, at := range c.met {
		both := int(c.shared[at])
		c.shared[at] = 0
		k := &c.list[at]
		share := float64(both) / float64(len(words)+len(k.words)-both)
		if share < c.threshold || share < bestShare || share == bestShare && at > best || !slices.Equal(k.categories, categories) {
			continue
		}
		best, bestShare = at, share
	}
	c.met = c.met[:0]
	return best
}

// insert adds a cluster, in the place of the one not met for longest when there is no other.
func (c *Clusters) insert(k cluster) {
	at := int32(len(c.list)) //nolint:gosec // bounded by the setting
	if len(c.list) < c.most {
		k.recent = c.recent.PushFront(at)
		c.list = append(c.list, k)
		c.shared = append(c.shared, 0)
	} else {
		k.recent = c.recent.Back()
		at = k.recent.Value.(int32)
		c.remove(at)
		c.recent.MoveToFront(k.recent)
		c.list[at] = k
	}
	c.named[k.name] = at
	for _, w := range k.words {
		c.with[w] = append(c.with[w], at)
	}
}

// remove takes a cluster out of the indexes.
func (c *Clusters) remove(at int32) {
	k := &c.list[at]
	delete(c.named, k.name)
	for _, w := range k.words {
		places := c.with[w]
		i := slices.Index(places, at)
		places[i] = places[len(places)-1]
		if places = places[:len(places)-1]; len(places) == 0 {
			delete(c.with, w)
		} else {
			c.with[w] = places
		}
	}
}
