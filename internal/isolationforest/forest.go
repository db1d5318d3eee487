// Package isolationforest scores vectors by how few random cuts set them apart from a sliding window of the vectors
// before, one vector at a time and in constant space.
//
// It is an isolation forest (Liu, Ting and Zhou, "Isolation Forest", ICDM 2008) kept up to date as Online Isolation Forest
// does (Leveni et al., "Online Isolation Forest", ICML 2024): a leaf is cut when it has collected enough vectors, the
// oldest vector of the window is taken out of every tree, and a node that holds too few is merged into a leaf again. Two
// things differ, because they measure better on vectors whose coordinates move together (see the test of quality):
//
//   - Cuts are oblique, over two coordinates at a time (Hariri, Carrasco Kind and Brunner, "Extended Isolation Forest",
//     TKDE 2021), every other one across what the one coordinate does not explain of the other. Axis-parallel cuts need many
//     levels to follow a diagonal, and a point that only breaks a correlation hides in their corners.
//   - A vector that lies outside the range of a node's vectors along the node's direction is cut off there with the
//     probability that a random cut would fall between them (Guha et al., "Robust Random Cut Forest", ICML 2016). Without it a
//     vector far outside shares the leaf, and so the score, of the outermost vector known.
//
// The window is kept, as forgetting needs it; so a cut divides the vectors themselves, where Leveni et al. draw stand-ins
// from the node's bounding box. Each tree is grown anew from the window once in the time that the window lasts, which
// lets go of old ranges too.
package isolationforest

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
)

// Bounds of the parameters.
const (
	MaxDimensions = 256
	MaxTrees      = 1024
	MaxWindow     = 32768
)

// Params are the parameters of a forest.
type Params struct {
	// Dimensions is the length of the vectors, 1 to MaxDimensions.
	Dimensions int
	// Trees is the number of trees, 1 to MaxTrees.
	Trees int
	// Window is the number of vectors remembered, 8 to MaxWindow.
	Window int
	// LeafVectors is the number of vectors from which on a leaf is cut, 2 to Window.
	LeafVectors int
	// Oblique is whether cuts lie across two coordinates instead of one.
	Oblique bool
	// Seed is the only source of randomness.
	Seed uint64
}

// DefaultParams are for vectors of up to some dozens of coordinates.
func DefaultParams(dimensions int) Params {
	return Params{Dimensions: dimensions, Trees: 32, Window: 512, LeafVectors: 16, Oblique: true, Seed: 1}
}

// Validate reports everything that is wrong with the parameters.
func (p *Params) Validate() error {
	var errs []error
	check := func(name string, v, least, most int) {
		if v < least || v > most {
			errs = append(errs, fmt.Errorf("%s must be between %d and %d, got %d", name, least, most, v))
		}
	}
	check("dimensions", p.Dimensions, 1, MaxDimensions)
	check("trees", p.Trees, 1, MaxTrees)
	check("window", p.Window, 8, MaxWindow)
	check("leaf vectors", p.LeafVectors, 2, max(2, p.Window))
	return errors.Join(errs...)
}

// largest bounds the coordinates, so that sums of them stay finite.
const largest = 1e15

// deepest bounds the depth of a tree.
const deepest = 24

// Forest is the state. It is not safe for concurrent use.
type Forest struct {
	params Params
	trees  []tree
	// window holds the vectors, slot after slot; the next one goes into slot at.
	window []float32
	at     int
	held   int
	learnt uint64
	// sum is, per coordinate, that of the vectors in the window, and products of pairs of coordinates, the lower triangle.
	sum, products []float64
	source        rand.PCG
	random        *rand.Rand
	current       []float32
	credit        []float64
	// usual is the usual depth for each number of vectors.
	usual []float64
}

// New returns a forest that has seen nothing.
func New(p Params) (*Forest, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	f := &Forest{
		params: p, trees: make([]tree, p.Trees), window: make([]float32, p.Window*p.Dimensions),
		sum: make([]float64, p.Dimensions), products: make([]float64, p.Dimensions*(p.Dimensions+1)/2),
		current: make([]float32, p.Dimensions), credit: make([]float64, p.Dimensions),
		usual: make([]float64, p.Window+2),
	}
	for n := range f.usual {
		f.usual[n] = usualDepth(float64(n))
	}
	f.source.Seed(p.Seed, 0x9e3779b97f4a7c15)
	f.random = rand.New(&f.source)
	for i := range f.trees {
		f.trees[i] = newTree(&p)
		f.trees[i].clear(f)
	}
	return f, nil
}

// Held returns the number of vectors in the window.
func (f *Forest) Held() int { return f.held }

// Ready reports whether the window is so full that scores mean something: four times a leaf.
func (f *Forest) Ready() bool { return f.held >= 4*f.params.LeafVectors || f.held == f.params.Window }

// Score returns how isolated x is among the vectors of the window, 0 to 1: 0.5 is usual, near 1 is far from all, 0 is
// said before the forest is ready. x has the dimensions of the forest; NaN stands for a missing coordinate, which takes
// its mean. If contributions is not nil it receives the share of each coordinate in what set x apart; they sum to 1, or
// to 0 when nothing did.
func (f *Forest) Score(x, contributions []float64) float64 {
	if contributions != nil {
		clear(contributions)
	}
	if !f.Ready() {
		return 0
	}
	f.load(x)
	credit := f.credit
	clear(credit)
	depth := 0.0
	for i := range f.trees {
		depth += f.trees[i].depth(f, f.current, credit)
	}
	depth /= float64(len(f.trees))
	if contributions != nil {
		total := 0.0
		for _, c := range credit {
			total += c
		}
		if total > 0 {
			for i, c := range credit {
				contributions[i] = c / total
			}
		}
	}
	return math.Exp2(-depth / f.usual[f.held])
}

// Learn takes x into the window and, if it is full, lets the oldest vector go.
func (f *Forest) Learn(x []float64) {
	f.load(x)
	d := f.params.Dimensions
	if f.held == f.params.Window {
		old := f.vector(f.at)
		for i := range f.trees {
			f.trees[i].remove(f, f.at, old)
		}
		f.count(old, -1)
		f.held--
	}
	copy(f.window[f.at*d:], f.current)
	f.count(f.current, 1)
	slot := f.at
	f.held++
	f.learnt++
	f.at = (f.at + 1) % f.params.Window
	for i := range f.trees {
		f.trees[i].insert(f, slot)
	}
	f.renew()
	if f.at == 0 {
		f.recount()
	}
}

// renew grows trees anew from the window: each once in the time that the window lasts, and all of them now and then while
// the window fills, for what the first vectors were like says little.
func (f *Forest) renew() {
	if f.held < f.params.Window {
		if least := 4 * f.params.LeafVectors; f.held%least == 0 && f.held/least&(f.held/least-1) == 0 {
			for i := range f.trees {
				f.trees[i].grow(f)
			}
		}
		return
	}
	n, w := uint64(len(f.trees)), uint64(f.params.Window) //nolint:gosec // both are positive
	before, after := (f.learnt-1)*n/w, f.learnt*n/w
	for i := before; i < after; i++ {
		f.trees[i%n].grow(f)
	}
}

// recount sums the window again, or rounding would add up for ever.
func (f *Forest) recount() {
	clear(f.sum)
	clear(f.products)
	for slot := range f.held {
		f.count(f.vector(slot), 1)
	}
}

// count adds a vector to the sums, or takes it from them.
func (f *Forest) count(x []float32, sign float64) {
	row := f.products
	for i, v := range x {
		u := sign * float64(v)
		f.sum[i] += u
		for j := range i + 1 {
			row[j] += u * float64(x[j])
		}
		row = row[i+1:]
	}
}

// load puts x into f.current, without NaN and within bounds.
func (f *Forest) load(x []float64) {
	for i := range f.current {
		v := x[i]
		if math.IsNaN(v) {
			v = f.mean(i)
		}
		f.current[i] = float32(math.Max(-largest, math.Min(largest, v)))
	}
}

func (f *Forest) mean(i int) float64 { return f.sum[i] / float64(max(1, f.held)) }

// covariance of two coordinates; 0 when it is no more than the rounding of its parts.
func (f *Forest) covariance(i, j int) float64 {
	if j > i {
		i, j = j, i
	}
	n := float64(max(1, f.held))
	square := f.products[i*(i+1)/2+j] / n
	c := square - f.sum[i]/n*f.sum[j]/n
	if math.Abs(c) <= 1e-9*math.Abs(square) {
		return 0
	}
	return c
}

func (f *Forest) vector(slot int) []float32 {
	d := f.params.Dimensions
	return f.window[slot*d : slot*d+d]
}

// usualDepth is the mean depth at which one of n vectors is isolated: that of an unsuccessful search in a binary search
// tree (Liu, Ting and Zhou, equation 1).
func usualDepth(n float64) float64 {
	switch {
	case n < 2:
		return 0
	case n < 3:
		return 1
	default:
		return 2*(math.Log(n-1)+0.5772156649015329) - 2*(n-1)/n
	}
}
