package baseline

import (
	"fmt"
	"math"

	"github.com/paramedic-otel/paramedic/internal/binarystate"
	"github.com/paramedic-otel/paramedic/internal/tail"
)

// ModelVersion is the version of what is learnt: state of another one means something else and is not read.
const ModelVersion = 4

// codec writes the fields of a state, or reads them, by one and the same list: they cannot differ.
type codec struct {
	out []byte
	in  *binarystate.Reader
}

// AppendBinary appends the learnt state. The error is always nil.
func (s *Series) AppendBinary(b []byte) ([]byte, error) {
	c := codec{out: append(b, ModelVersion)}
	s.code(&c)
	return c.out, nil
}

// UnmarshalBinary replaces the learnt state, or returns an error and leaves it as it is: when data are of another
// ModelVersion, too short or too long, or hold what cannot be.
func (s *Series) UnmarshalBinary(data []byte) error {
	in := binarystate.NewReader(data)
	if v := in.Byte(); v != ModelVersion && in.Err() == nil {
		return fmt.Errorf("learnt series has model version %d, want %d", v, ModelVersion)
	}
	var next Series
	next.code(&codec{in: in})
	if in.Err() == nil && !next.plausible() {
		in.Fail(binarystate.ErrInvalid)
	}
	if err := in.Close(); err != nil {
		return fmt.Errorf("read learnt series: %w", err)
	}
	*s = next
	return nil
}

func (s *Series) code(c *codec) {
	c.int64s(&s.first, &s.last)
	c.float32s(&s.interval)
	c.uint32s(&s.points)
	c.flags(&s.sparse)
	s.fast.code(c)
	s.episode.code(c)
	s.long.code(c)
}

func (f *fast) code(c *codec) {
	c.int64s(&f.excursion)
	c.float64s(&f.level, &f.short, &f.away)
	c.float32s(&f.awaySpread, &f.spread, &f.broad, &f.pending[0], &f.pending[1], &f.pending[2], &f.lull, &f.lulls)
	c.uint32s(&f.seen, &f.awayPoints)
	c.side(&f.side)
	for i := range f.tails {
		c.tail(&f.tails[i][0])
		c.tail(&f.tails[i][1])
	}
}

func (e *episode) code(c *codec) {
	c.int64s(&e.onset, &e.ended)
	c.float32s(&e.habit, &e.usualPeak, &e.usualLength, &e.peak)
	c.flags(&e.abnormal, &e.shown, &e.longTerm)
}

func (l *longterm) code(c *codec) {
	for i := range l.day {
		c.bins(&l.day[i])
	}
	for i := range l.week {
		c.bins(&l.week[i])
	}
	c.float32s(&l.unit)
	c.float64s(&l.sum, &l.level, &l.short, &l.low, &l.high, &l.shortLow, &l.shortHigh, &l.away, &l.previous)
	c.int64s(&l.formed, &l.judged, &l.alarmed)
	for i := range l.tails {
		c.tail(&l.tails[i])
		c.float32s(&l.scales[i])
	}
	c.float32s(&l.residual, &l.restless, &l.oddLow, &l.oddHigh, &l.deviation, &l.awaySpread, &l.usualLow, &l.usualHigh,
		&l.evidence, &l.excess, &l.need, &l.spacing, &l.habit)
	c.uint32s(&l.means)
	c.uint16s(&l.awayFor, &l.forming)
	c.side(&l.side)
	c.flags(&l.outside, &l.fresh, &l.known)
}

// mostLearnt is beyond all that can be learnt of values within largestValue: the ends of a range that is adopted lie
// adoptRange mean deviations, each at most twice that, from a level.
const mostLearnt = (1 + 2*adoptRange) * largestValue * 1.001

// plausible reports whether a state can have come about: what is divided by, or taken the root or the logarithm of.
func (s *Series) plausible() bool {
	if s.last < s.first || s.interval < 0 || s.spread < 0 || s.broad < 0 || s.lull < 0 || s.lulls < 0 || s.awaySpread < 0 || s.peak < 0 || s.habit < 0 {
		return false
	}
	l := &s.long
	if l.unit < 0 || l.spacing < 0 || l.habit < 0 || l.evidence < 0 || l.awaySpread < 0 || l.low > l.high || l.shortLow > l.shortHigh ||
		l.oddLow > l.oddHigh || l.restless < 0 {
		return false
	}
	if l.means > 1 && l.spacing == 0 {
		return false
	}
	for _, v := range l.scales {
		if v < 0 {
			return false
		}
	}
	for _, v := range []float64{s.level, s.short, s.away, l.level, l.short, l.low, l.high, l.away, l.previous} {
		if math.Abs(v) > mostLearnt {
			return false
		}
	}
	return math.Abs(l.sum) <= largestValue*math.MaxUint16
}

// Heir returns what a new series of the same kind may start with: what this one has learnt, but neither its episodes nor
// what is under way in it, and with less certainty, so that it soon goes its own way.
func (s *Series) Heir() Series {
	heir := *s
	heir.episode = episode{}
	heir.pause()
	heir.seen = min(heir.seen, minMemory)
	l := &heir.long
	l.short, l.previous, l.residual, l.evidence, l.excess = l.level, l.level, 0, 0, neverExcess
	l.sum, l.forming, l.awayFor, l.alarmed, l.habit = 0, 0, 0, 0, 0
	l.outside, l.fresh, l.known = false, false, false
	return heir
}

// Merge adds what another state has learnt of the same series, or of one like it. What is under way is that of the one
// whose last point is newer; what took long to learn is the mean of both, weighed by how much each has seen.
func (s *Series) Merge(other *Series) {
	switch {
	case other.points == 0:
		return
	case s.points == 0:
		*s = *other
		return
	}
	newer, older := *s, *other
	if older.last > newer.last {
		newer, older = older, newer
	}
	share := float64(older.points) / (float64(older.points) + float64(newer.points))
	mix32 := func(a *float32, b float32) { *a += float32(share * (float64(b) - float64(*a))) }
	mix32(&newer.spread, older.spread)
	mix32(&newer.broad, older.broad)
	for i := range newer.tails {
		for k := range newer.tails[i] {
			newer.tails[i][k].Merge(&older.tails[i][k])
		}
	}
	newer.first = min(newer.first, older.first)
	newer.points += min(older.points, math.MaxUint32-newer.points)
	newer.seen += min(older.seen, math.MaxUint32-newer.seen)
	newer.long.merge(&older.long)
	*s = newer
}

func (l *longterm) merge(older *longterm) {
	switch {
	case older.means == 0:
		return
	case l.means == 0:
		*l = *older
		return
	}
	share := float64(older.means) / (float64(older.means) + float64(l.means))
	l.season.merge(&older.season, share)
	for i := range l.tails {
		l.tails[i].Merge(&older.tails[i])
		l.scales[i] += float32(share * (float64(older.scales[i]) - float64(l.scales[i])))
	}
	l.level += share * (older.level - l.level)
	l.low, l.high = min(l.low, older.low), max(l.high, older.high)
	l.shortLow, l.shortHigh = min(l.shortLow, older.shortLow), max(l.shortHigh, older.shortHigh)
	l.oddLow, l.oddHigh = min(l.oddLow, older.oddLow), max(l.oddHigh, older.oddHigh)
	l.means += min(older.means, math.MaxUint32-l.means)
}

// merge moves the bins a share of the way to those of another.
func (s *season) merge(other *season, share float64) {
	if other.unit == 0 {
		return
	}
	if s.unit == 0 {
		*s = *other
		return
	}
	if other.unit > s.unit {
		s.rescale(float64(other.unit))
	}
	rate := float64(other.unit) / float64(s.unit)
	mix := func(bin *int16, x int16) {
		v := float64(*bin)
		*bin = int16(bounded(math.Round(v+share*(rate*float64(x)-v)), math.MaxInt16))
	}
	for i := range s.day {
		for k := range s.day[i] {
			mix(&s.day[i][k], other.day[i][k])
		}
	}
	for i := range s.week {
		for k := range s.week[i] {
			mix(&s.week[i][k], other.week[i][k])
		}
	}
}

func (c *codec) int64s(vs ...*int64) {
	for _, v := range vs {
		if c.in == nil {
			c.out = binarystate.AppendUint64(c.out, uint64(*v)) //nolint:gosec // the same bits
			continue
		}
		*v = int64(c.in.Uint64()) //nolint:gosec // the same bits
	}
}

func (c *codec) uint32s(vs ...*uint32) {
	for _, v := range vs {
		if c.in == nil {
			c.out = binarystate.AppendUint32(c.out, *v)
			continue
		}
		*v = c.in.Uint32()
	}
}

func (c *codec) uint16s(vs ...*uint16) {
	for _, v := range vs {
		if c.in == nil {
			c.out = append(c.out, byte(*v), byte(*v>>8))
			continue
		}
		if b := c.in.Bytes(2); b != nil {
			*v = uint16(b[0]) | uint16(b[1])<<8
		}
	}
}

func (c *codec) float64s(vs ...*float64) {
	for _, v := range vs {
		if c.in == nil {
			c.out = binarystate.AppendFloat64(c.out, *v)
			continue
		}
		*v = c.in.Float64()
	}
}

func (c *codec) float32s(vs ...*float32) {
	for _, v := range vs {
		if c.in == nil {
			c.out = binarystate.AppendFloat32(c.out, *v)
			continue
		}
		*v = c.in.Float32()
	}
}

func (c *codec) flags(vs ...*bool) {
	for _, v := range vs {
		if c.in == nil {
			b := byte(0)
			if *v {
				b = 1
			}
			c.out = append(c.out, b)
			continue
		}
		*v = c.in.Byte() == 1
	}
}

func (c *codec) side(v *int8) {
	if c.in == nil {
		c.out = append(c.out, byte(*v)) //nolint:gosec // the same bits
		return
	}
	*v = sideOf(float64(int8(c.in.Byte()))) //nolint:gosec // the same bits
}

func (c *codec) bins(v *[phases]int16) {
	for i := range v {
		u := uint16(v[i]) //nolint:gosec // the same bits
		c.uint16s(&u)
		v[i] = int16(u) //nolint:gosec // the same bits
	}
}

func (c *codec) tail(v *tail.Tail) {
	state := v.State()
	for i := range state {
		c.float32s(&state[i])
	}
	if c.in == nil {
		return
	}
	if !v.Restore(state) {
		c.in.Fail(binarystate.ErrInvalid)
	}
}
