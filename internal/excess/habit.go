package excess

import "math"

const (
	// episodeGap is for how many buckets an abnormality must have been away for the next one to be another.
	episodeGap = MaxWindow
	// longestHabit is for how many buckets an abnormality may last to be one that comes and goes: what lasts longer is
	// neither learnt as one nor excused as one.
	longestHabit = 2 * MaxWindow
	// leastEpisodes is how many must have come and gone, as far as they are not faded, to speak of a habit: one is an incident,
	// and two that lie apart may be the same one again.
	leastEpisodes = 2
)

// habit is what is known of abnormalities that come and go by themselves, as where a service loses sight of another one for a
// moment every now and then. Such an episode is judged by those before it: how often they came, and how strong they were, in
// events beyond the expected ones. Their strengths are taken to be exponentially distributed, so that one which is many times as
// strong as usual is still a surprise, and so is one that lasts.
type habit struct {
	// buckets, episodes and strength are what was learnt: the time in buckets, how many episodes, and how strong together.
	buckets, episodes, strength float64
	// first and last are the buckets in which the episode that is under way was first and last seen, peak its strength. None is
	// under way while peak is 0.
	first, last int64
	peak        float64
}

// age counts a bucket, and lets what was learnt before fade.
func (h *habit) age(keep float64) {
	h.buckets = h.buckets*keep + 1
	h.episodes *= keep
	h.strength *= keep
}

// goOn notes an abnormality.
func (h *habit) goOn(bucket int64, v Verdict) {
	if h.peak == 0 {
		h.first = bucket
	}
	h.last, h.peak = bucket, max(h.peak, strengthOf(v))
}

// calm learns an episode once it is over for a while.
func (h *habit) calm(bucket int64) {
	if h.peak == 0 || bucket-h.last < episodeGap {
		return
	}
	if h.last-h.first < longestHabit {
		h.episodes++
		h.strength += h.peak
	}
	h.interrupt()
}

// interrupt forgets the episode that is under way.
func (h *habit) interrupt() { h.first, h.last, h.peak = 0, 0, 0 }

// surprise returns the surprise of a verdict, given that it may be one more episode.
func (h *habit) surprise(bucket int64, v Verdict) float64 {
	if h.episodes < leastEpisodes || h.peak > 0 && bucket-h.first >= longestHabit {
		return v.Surprise
	}
	// How likely it is that one began within the longest window, and that it is as strong as this one.
	begins := min(1, h.episodes/max(h.buckets, 1)*MaxWindow)
	usual := h.strength / h.episodes
	return min(v.Surprise, -math.Log10(begins)+strengthOf(v)/max(usual, 1)*math.Log10E)
}

// strengthOf returns how many events a verdict found beyond the expected ones, or too few.
func strengthOf(v Verdict) float64 { return math.Abs(v.Now.Events - v.Expected) }
