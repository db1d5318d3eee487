package logclass

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestClustersAsByComparison compares the index with a search through all.
func TestClustersAsByComparison(t *testing.T) {
	const most, threshold = 20, 0.5
	r := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a test
	c := NewClusters(most, threshold)
	type known struct {
		name       string
		words      []string
		categories []string
		used       int
	}
	var all []known
	for i := range 3000 {
		words := map[string]bool{}
		for range r.IntN(6) {
			words[string(rune('a'+r.IntN(8)))] = true
		}
		var list []string
		for w := range words {
			list = append(list, w)
		}
		slices.Sort(list)
		var categories []string
		if r.IntN(3) == 0 {
			categories = []string{"timeout"}
		}
		name := fmt.Sprint(r.IntN(500))
		best, bestShare := -1, 0.0
		for j := range all {
			both := 0
			for _, w := range list {
				if slices.Contains(all[j].words, w) {
					both++
				}
			}
			share := 1.0
			if n := len(list) + len(all[j].words) - both; n > 0 {
				share = float64(both) / float64(n)
			}
			if all[j].name == name {
				best = j
				break
			}
			if share >= threshold && share > bestShare && slices.Equal(categories, all[j].categories) {
				best, bestShare = j, share
			}
		}
		if at := slices.IndexFunc(all, func(k known) bool { return k.name == name }); at >= 0 {
			best = at
		}
		want := name
		if best >= 0 {
			want = all[best].name
			all[best].used = i
		} else if k := (known{name, list, categories, i}); len(all) < most {
			all = append(all, k)
		} else {
			oldest := 0
			for j := range all {
				if all[j].used < all[oldest].used {
					oldest = j
				}
			}
			all[oldest] = k
		}
		assert.Equal(t, want, c.Add(name, strings.Join(list, " "), categories), "%d", i)
	}
	assert.Equal(t, most, c.Len())
}

// BenchmarkClusters adds templates of words of their own to clusters that are full.
func BenchmarkClusters(b *testing.B) {
	for _, words := range []int{8, 60} {
		b.Run(fmt.Sprint(words), func(b *testing.B) {
			c := NewClusters(5000, 0.6)
			n := 0
			add := func() {
				var text strings.Builder
				for k := range words - 1 {
					fmt.Fprintf(&text, "w%dx%d ", n, k)
				}
				n++
				c.Add(fmt.Sprint(n), text.String()+" failed", nil)
			}
			for range 5000 {
				add()
			}
			for b.Loop() {
				add()
			}
		})
	}
}
