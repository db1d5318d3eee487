package baseline

// State says what a verdict is.
type State uint8

// The states of a series.
const (
	// Learning: too little has been seen to judge.
	Learning State = iota
	// Normal: within what was learnt.
	Normal
	// Abnormal: the score is at or above Params.MinScore.
	Abnormal
	// Recovered: the first point after an abnormal episode.
	Recovered
	// Habitual: far from normal, but as often before: not larger and not longer.
	Habitual
	// Adopted: the episode lasted so long that its level is the new normal; the episode ends with this point.
	Adopted
)

// Statistic is what a detector looks at.
type Statistic uint8

// The statistics: the first three and the last are the fast detector's, the others the long-term one's.
const (
	// Point is the distance of the last point from the level, Pair the smaller one of the last two points', ShortLevel that
	// of a short-term level.
	Point Statistic = iota
	Pair
	ShortLevel
	// LongLevel is the distance of a mean from the long-term level, ShiftedLevel that of the last two hours' (25 means).
	LongLevel
	ShiftedLevel
	// Season is the distance of a mean from what the daily and the weekly profile expect, ShiftedSeason that of the last two hours'.
	Season
	ShiftedSeason
	// Step is the distance of a mean from the one before, Restlessness how much more or less than usual the last two hours'
	// lie apart.
	Step
	Restlessness
	// Record is how far a mean lies outside the range of all others, ShiftedRecord the last two hours', and SeasonRecord
	// what the profiles leave of a mean.
	Record
	ShiftedRecord
	SeasonRecord
	// Silence is how much evidence there is that a rate of counted things has fallen to next to nothing.
	Silence
	// Statistics is their number.
	Statistics
)

var statisticNames = [Statistics]string{
	"point", "pair", "short_level", "long_level", "shifted_level", "season", "shifted_season", "step", "restlessness",
	"record", "shifted_record", "season_record", "silence",
}

// String returns the name as it stands in telemetry.
func (s Statistic) String() string {
	if s >= Statistics {
		return "unknown"
	}
	return statisticNames[s]
}

// Verdict is what the detector says about one point.
type Verdict struct {
	State State
	// Score is the probability that the series is abnormal.
	Score float64
	// Deviation is the signed distance from Expected in units of the series' normal spread.
	Deviation float64
	// Expected is the level, Lower and Upper the band in which 96 % of the points lie.
	Expected, Lower, Upper float64
	// Onset is the time, in nanoseconds, of the first point of the episode, or of this point when there is none.
	Onset int64
	// Adopted says that the level after this point is a new one.
	Adopted bool
	// Opened marks the first point of an episode.
	Opened bool
	// Contributions are the shares, which add up to 1, that the statistics have in the score. They are set from a score of
	// 0.3 on, else all 0.
	Contributions [Statistics]float32

	fast      [fastStatistics]float64 // chance of each
	silence   float64
	surprises [surprises]float32 // squares
	spike     bool               // an episode of a single point ended
}

// suspicious is the score from which on it is said what contributes.
const suspicious = 0.3
