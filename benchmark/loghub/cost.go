package main

import (
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/paramedic-otel/paramedic/internal/logpattern"
)

const (
	// rounds is how often each loop runs; the fastest counts, since whatever else the machine does only adds.
	rounds = 15
	// stream is how many lines a round has.
	stream = 40_000
)

// cost prints what a line costs, beside loops that only cut lines at white space and hash the tokens.
func cost(w io.Writer, systems []system) {
	var lines []string
	for _, s := range systems {
		lines = append(lines, s.lines...)
	}
	rand.New(rand.NewPCG(1, 1)).Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
	bytes := 0
	for _, l := range lines {
		bytes += len(l)
	}
	m := logpattern.New(logpattern.DefaultSettings())
	for _, l := range lines {
		m.Match(l, 1)
	}
	match := func(l string) uint64 {
		p, _ := m.Match(l, 2)
		return p.Count
	}
	ns := race(lines, tokenizeAndHash, tokensInPlace, hashBytes, match)
	ours := ns[3]
	fmt.Fprintf(w, "%d lines of %d bytes on average, %d templates\n\n", len(lines), bytes/len(lines), m.Len())
	fmt.Fprintln(w, "| loop | ns a line | ratio to it |")
	fmt.Fprintln(w, "|---|---|---|")
	for i, name := range []string{
		"strings.Fields, hash/fnv of each token",
		"tokens into a slice that is used again, FNV-1a inlined, the line's hash looked up in a map",
		"FNV-1a inlined, no token kept: the least such a loop can do",
	} {
		fmt.Fprintf(w, "| %s | %.0f | %.2f |\n", name, ns[i], ours/ns[i])
	}
	fmt.Fprintf(w, "| logpattern | %.0f | |\n", ours)
	fmt.Fprintf(w, "\nallocations a line: %.3f\n\n", allocations(lines, match))
	fmt.Fprintln(w, "| templates | ns a line, logpattern | ns a line, tokens into a slice | ratio | allocations a line | MiB held | MiB of state |")
	fmt.Fprintln(w, "|---|---|---|---|---|---|---|")
	for _, n := range []int{100, 2_000, 20_000} {
		lines := synthetic(n)
		before := heap()
		m := logpattern.New(logpattern.DefaultSettings())
		match := func(l string) uint64 {
			p, _ := m.Match(l, 2)
			return p.Count
		}
		for _, l := range lines {
			m.Match(l, 1)
		}
		held := heap() - before
		ns := race(lines, tokensInPlace, match)
		fmt.Fprintf(w, "| %d | %.0f | %.0f | %.2f | %.3f | %.1f | %.1f |\n", m.Len(), ns[1], ns[0], ns[1]/ns[0],
			allocations(lines, match), held/mebi, float64(len(m.AppendState(nil)))/mebi)
	}
}

// race returns the ns a line of loops that take turns.
func race(lines []string, loops ...func(string) uint64) []float64 {
	best := make([]float64, len(loops))
	var sum uint64
	for round := range rounds {
		for i, loop := range loops {
			start := time.Now()
			for n := range stream {
				sum += loop(lines[n%len(lines)])
			}
			if ns := float64(time.Since(start)) / stream; round == 0 || ns < best[i] {
				best[i] = ns
			}
		}
	}
	runtime.KeepAlive(sum) // so that no loop can be left out
	return best
}

const mebi = 1 << 20

// heap returns the bytes in use.
func heap() float64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return float64(stats.HeapAlloc)
}

func allocations(lines []string, loop func(string) uint64) float64 {
	var before, after runtime.MemStats
	var sum uint64
	runtime.ReadMemStats(&before)
	for n := range stream {
		sum += loop(lines[n%len(lines)])
	}
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(sum)
	return float64(after.Mallocs-before.Mallocs) / stream
}

// tokenizeAndHash is the plain loop: cut at white space, hash each token.
func tokenizeAndHash(line string) uint64 {
	sum := uint64(0)
	for _, token := range strings.Fields(line) {
		h := fnv.New64a()
		_, _ = io.WriteString(h, token)
		sum = sum*31 + h.Sum64()
	}
	return sum
}

// cut is a token of tokensInPlace.
type cut struct {
	start, end int
	hash       uint64
}

var (
	cuts  []cut
	known = map[uint64]uint64{}
)

// tokensInPlace is the plain loop as a careful hand writes it: nothing is allocated.
func tokensInPlace(line string) uint64 {
	const offset, prime = 0xcbf29ce484222325, 0x100000001b3
	cuts = cuts[:0]
	for i := 0; i < len(line); {
		if c := line[i]; c == ' ' || c == '\t' {
			i++
			continue
		}
		start, h := i, uint64(offset)
		for i < len(line) && line[i] != ' ' && line[i] != '\t' {
			h = (h ^ uint64(line[i])) * prime
			i++
		}
		cuts = append(cuts, cut{start, i, h})
	}
	sum := uint64(0)
	for i := range cuts {
		sum = sum*31 + cuts[i].hash
	}
	if _, ok := known[sum]; !ok && len(known) < 20_000 {
		known[sum] = sum
	}
	return known[sum]
}

// hashBytes is the least that such a loop can do: no token is kept, the hash is inlined.
func hashBytes(line string) uint64 {
	const offset, prime = 0xcbf29ce484222325, 0x100000001b3
	sum, h := uint64(0), uint64(offset)
	for i := range len(line) {
		if c := line[i]; c != ' ' && c != '\t' {
			h = (h ^ uint64(c)) * prime
			continue
		}
		sum, h = sum*31+h, offset
	}
	return sum*31 + h
}

// synthetic returns lines of n templates of 6 to 14 words with a number, an address or a user's name in each.
func synthetic(n int) []string {
	r := rand.New(rand.NewPCG(uint64(n), 3))
	syllables := strings.Fields("ba ce di fo gu ha je ki lo mu na pe qui ro su ta ve wi xo zu")
	made := func() string {
		var b strings.Builder
		for range 2 + r.IntN(3) {
			b.WriteString(syllables[r.IntN(len(syllables))])
		}
		return b.String()
	}
	templates := make([][]string, n)
	for i := range templates {
		words := make([]string, 6+r.IntN(9))
		for j := range words {
			words[j] = made()
		}
		templates[i] = words
	}
	lines := make([]string, max(stream, 2*n))
	for i := range lines {
		words := slices.Clone(templates[i%n])
		for _, at := range []int{2, 4} {
			switch r.IntN(2) {
			case 0:
				words[at] = fmt.Sprint(r.IntN(1_000_000))
			default:
				words[at] = fmt.Sprintf("10.%d.%d.%d:%d", r.IntN(256), r.IntN(256), r.IntN(256), r.IntN(65536))
			}
		}
		lines[i] = strings.Join(words, " ")
	}
	r.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
	return lines
}
