package edgehealth

import (
	"math"

	"github.com/paramedic-otel/paramedic/internal/excess"
)

// slowShares are the parts of the normal latency distribution beyond which requests count as slow. The last one is also
// what the dispersion of slow requests is learnt for.
var slowShares = [...]float64{0.01, 0.1}

const (
	// slowerThanNormal is the least ratio of mean durations, and slowerBySeconds the least difference, at which
	// surprisingly many slow requests matter to anybody.
	slowerThanNormal = 1.3
	slowerBySeconds  = 0.002
	// freshCells are the newest cells, which do not define what slow means.
	freshCells = 6
	// manyBuckets is from how many buckets on the worst of them is a moment.
	manyBuckets = 6
	// slowClusters is how much slow requests come in clusters until it is learnt.
	slowClusters = 3
)

// durations is what is known of how long the requests of an edge take, as one of its sides sees it.
type durations struct {
	requests excess.Counts
	seconds  excess.Counts
	latency  [excess.Cells][bins]uint16
	// slow counts the requests from slowBin on. It is filled in where somebody looks.
	slow    excess.Track
	slowBin int64

	// normal is what was learnt from the buckets that have left the ring.
	normal normalDurations
	// squares is the sum of the squared differences from the mean, by bucket, in seconds.
	squares, observations float64
}

// normalDurations are durations in normal operation.
type normalDurations struct {
	distribution      distribution
	seconds, requests float64
}

func (n *normalDurations) mean() float64 {
	if n.requests <= 0 {
		return 0
	}
	return n.seconds / n.requests
}

func (d *durations) add(slot int, seconds float64, l *Latency) {
	d.seconds[slot] += float32(seconds)
	if *l == (Latency{}) {
		return
	}
	for b, n := range l {
		d.requests[slot] += n
		d.latency[slot][b] = uint16(min(math.MaxUint16, float32(d.latency[slot][b])+n))
	}
}

func (d *durations) retire(slot int, l excess.Learning) {
	requests := float64(d.requests[slot])
	if d.slow.Usable(slot) && requests > 0 {
		keep := math.Exp2(-1 / l.HalfLife)
		if d.normal.requests > 0 {
			excessSeconds := float64(d.seconds[slot]) - requests*d.normal.mean()
			d.squares = d.squares*keep + excessSeconds*excessSeconds
			d.observations = d.observations*keep + 1
		}
		for b := range d.normal.distribution {
			d.normal.distribution[b] = d.normal.distribution[b]*keep + float64(d.latency[slot][b])
		}
		d.normal.seconds = d.normal.seconds*keep + float64(d.seconds[slot])
		d.normal.requests = d.normal.requests*keep + requests
	}
	d.slow.Events[slot] = countFrom(&d.latency[slot], int(d.slowBin))
	d.slow.Retire(slot, requests, l)
	d.requests[slot], d.seconds[slot] = 0, 0
	d.latency[slot] = [bins]uint16{}
}

func (d *durations) clear() {
	d.requests, d.seconds = excess.Counts{}, excess.Counts{}
	d.latency = [excess.Cells][bins]uint16{}
	d.slow.Clear()
}

// before returns what was normal before the last n closed buckets.
func (d *durations) before(tl *excess.Timeline, n int) normalDurations {
	out := d.normal
	for i := int64(n); i < excess.Lookback; i++ {
		slot := excess.SlotOf(tl.Next() - 1 - i)
		if !d.slow.Usable(slot) || d.requests[slot] == 0 {
			continue
		}
		for b, count := range d.latency[slot] {
			out.distribution[b] += float64(count)
		}
		out.seconds += float64(d.seconds[slot])
		out.requests += float64(d.requests[slot])
	}
	return out
}

// judge looks for too many slow requests and returns the mean durations before and now.
func (d *durations) judge(w *excess.Window, tl *excess.Timeline) (best excess.Verdict, normalMean, nowMean float64) {
	if sumLast(&d.requests, tl, excess.MaxWindow) < 3 {
		return best, 0, 0
	}
	normal := d.before(tl, freshCells)
	if normal.requests <= 0 {
		return best, 0, 0
	}
	if !d.slower(tl, normal.mean()) {
		d.slowBin = int64(normal.distribution.threshold(slowShares[len(slowShares)-1]))
		return best, normal.mean(), 0
	}
	bestBin := 0
	for _, part := range slowShares {
		bin := normal.distribution.threshold(part)
		d.countSlow(tl, bin)
		past := excess.Cell{}
		for b, n := range d.normal.distribution {
			past.Exposure += n
			if b >= bin {
				past.Events += n
			}
		}
		d.slow.Load(w, tl, &d.requests)
		v := d.slow.AboveTail(w, past, excess.Options{MinEvents: 3, MinRatio: 3, Share: true})
		now := sumLast(&d.seconds, tl, v.Window) / max(1, sumLast(&d.requests, tl, v.Window))
		if !matters(now, normal.mean()) {
			continue
		}
		if v.Surprise > best.Surprise {
			best, nowMean, bestBin = v, now, bin
		}
	}
	if best.Surprise > 0 {
		// What follows asks how this verdict goes on.
		d.countSlow(tl, bestBin)
	}
	return best, normal.mean(), nowMean
}

// matters reports whether a mean duration is so much longer than the normal one that anybody cares.
func matters(now, normal float64) bool {
	return now >= slowerThanNormal*normal && now-normal >= slowerBySeconds
}

// slower reports whether requests have taken long enough in any of the newest buckets together to look closer.
func (d *durations) slower(tl *excess.Timeline, normal float64) bool {
	seconds, requests := float32(0), float32(0)
	for i := range int64(excess.MaxWindow) {
		slot := excess.SlotOf(tl.Next() - 1 - i)
		seconds += d.seconds[slot]
		requests += d.requests[slot]
		if matters(float64(seconds)/max(1, float64(requests)), normal) {
			return true
		}
	}
	return false
}

// countSlow counts the requests of the closed buckets that took as long as those of a bin or longer.
func (d *durations) countSlow(tl *excess.Timeline, bin int) {
	d.slowBin = int64(bin)
	for i := range int64(excess.Lookback) {
		slot := excess.SlotOf(tl.Next() - 1 - i)
		d.slow.Events[slot] = countFrom(&d.latency[slot], bin)
	}
}

// excess returns the seconds of the last n closed buckets beyond the normal, how many of them are those of the worst bucket
// alone where there are many, and what they vary by in normal operation. Each request that was seen stands for as many as weight
// says.
func (d *durations) excess(tl *excess.Timeline, n int, weight float64) (seconds, worst, noise float64) {
	normal := d.before(tl, n+1)
	requests := sumLast(&d.requests, tl, n)
	if normal.requests <= 0 || requests <= 0 {
		return 0, 0, 0
	}
	expected := requests * normal.mean()
	variance := d.squares / max(1, d.observations)
	noise = max(math.Sqrt(variance*float64(n)), 0.15*expected, 0.0005*requests)
	for i := int64(0); n >= manyBuckets && i < int64(min(n, excess.Lookback)); i++ {
		slot := excess.SlotOf(tl.Next() - 1 - i)
		worst = max(worst, float64(d.seconds[slot])-float64(d.requests[slot])*normal.mean())
	}
	seconds = max(0, sumLast(&d.seconds, tl, n)-expected)
	return weight * seconds, weight * min(worst, seconds), weight * noise
}

func countFrom(l *[bins]uint16, bin int) float32 {
	sum := float32(0)
	for b := bin; b < bins; b++ {
		sum += float32(l[b])
	}
	return sum
}
