package nabscore

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func stampsOf(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("2014-01-01 %02d:%02d:00", i/60, i%60)
	}
	return all
}

// series makes a file of 100 rows that alarms in the given ones, with windows from row to row.
func series(t *testing.T, windows [][2]int, alarms ...int) *Series {
	t.Helper()
	stamps := stampsOf(100)
	scores := make([]float64, len(stamps))
	for _, i := range alarms {
		scores[i] = 0.9
	}
	var labels []Window
	for _, w := range windows {
		// Labels are spelt with a fraction of a second, data are not.
		labels = append(labels, Window{stamps[w[0]] + ".000000", stamps[w[1]] + ".000000"})
	}
	s, err := NewSeries("g", stamps, scores, labels)
	require.NoError(t, err)
	return s
}

func TestKnownAnswers(t *testing.T) {
	one := [][2]int{{50, 59}}
	for name, tt := range map[string]struct {
		windows [][2]int
		alarms  []int
		want    [3]float64 // standard, low FP, low FN
		hit     int
		falses  int
		runs    int
	}{
		"silence":                     {one, nil, [3]float64{0, 0, 0}, 0, 0, 0},
		"the first row of the window": {one, []int{50}, [3]float64{100, 100, 100}, 1, 0, 0},
		// 2/(1+exp(-0.5))-1 = 0.244919 of 2/(1+exp(-5))-1 = 0.986614 is 0.248242
		"its last row":                          {one, []int{59}, [3]float64{62.4121, 62.4121, 74.9414}, 1, 0, 0},
		"only the best alarm of a window":       {one, []int{50, 51, 59}, [3]float64{100, 100, 100}, 1, 0, 0},
		"a false alarm before every window":     {one, []int{20, 50}, [3]float64{94.5, 89, 96.3333}, 1, 1, 1},
		"two false alarms in one run":           {one, []int{20, 21, 50}, [3]float64{89, 78, 92.6667}, 1, 2, 1},
		"a third of a width after it":           {one, []int{50, 62}, [3]float64{96.2476, 92.4951, 97.4984}, 1, 1, 1},
		"more than three widths after it":       {one, []int{50, 90}, [3]float64{94.5, 89, 96.3333}, 1, 1, 1},
		"the last row of the probation":         {one, []int{14, 50}, [3]float64{100, 100, 100}, 1, 0, 0},
		"the first row after it":                {one, []int{15, 50}, [3]float64{94.5, 89, 96.3333}, 1, 1, 1},
		"missed and a false alarm":              {one, []int{20}, [3]float64{-5.5, -11, -3.6667}, 0, 1, 1},
		"one of two windows":                    {[][2]int{{30, 39}, {50, 59}}, []int{50}, [3]float64{50, 50, 50}, 1, 0, 0},
		"a window that is all probation, quiet": {[][2]int{{2, 9}, {50, 59}}, []int{50}, [3]float64{66.6667, 66.6667, 75}, 1, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := series(t, tt.windows, tt.alarms...)
			for i, p := range Profiles() {
				r := s.At(p, 0.9)
				assert.InDelta(t, tt.want[i], r.Score(), 0.001, p.Name)
				assert.Equal(t, []int{tt.hit, tt.falses, tt.runs}, []int{r.Hit, r.FalseAlarms, r.FalseRuns}, p.Name)
			}
			for _, p := range Profiles() {
				assert.Zero(t, s.At(p, math.Inf(1)).Hit, "no row reaches an infinite threshold")
			}
		})
	}
}

func TestTotalsAddRawScoresNotPercentages(t *testing.T) {
	a, b := series(t, [][2]int{{50, 59}}, 50), series(t, [][2]int{{30, 39}, {50, 59}}, 20)
	none := series(t, nil, 20)
	b.Group, none.Group = "h", "none"
	total, groups := Totals([]*Series{a, b, none}, Profiles()[0], 0.5)
	assert.InDelta(t, 100*(1-2-0.22+3)/6, total.Score(), 1e-9)
	assert.InDelta(t, 100.0, groups["g"].Score(), 1e-9)
	assert.InDelta(t, 100*-0.11/4, groups["h"].Score(), 1e-9)
	assert.True(t, math.IsNaN(groups["none"].Score()), "without windows there is no scale")
	assert.Equal(t, 3, total.Files)
}

func TestARepeatedTimestampMeansItsFirstRow(t *testing.T) {
	stamps := stampsOf(100)
	stamps[51] = stamps[50]
	s, err := NewSeries("g", stamps, make([]float64, 100), []Window{{stamps[50], stamps[59]}})
	require.NoError(t, err)
	s.rows[50-15].score = 1
	assert.InDelta(t, 100.0, s.At(Profiles()[0], 1).Score(), 1e-9)
}

func TestWhatCannotBeScored(t *testing.T) {
	stamps := stampsOf(20)
	scores := make([]float64, 20)
	for want, call := range map[string]func() error{
		"every row must have a score, got 19 scores for 20 rows": func() error {
			_, err := NewSeries("g", stamps, scores[1:], nil)
			return err
		},
		"score of row 1 must be a number": func() error {
			_, err := NewSeries("g", stamps[:2], []float64{0, math.NaN()}, nil)
			return err
		},
		"window x to 2014-01-01 00:05:00 must begin and end at timestamps of the file": func() error {
			_, err := NewSeries("g", stamps, scores, []Window{{"x", stamps[5]}})
			return err
		},
		"windows must not overlap": func() error {
			_, err := NewSeries("g", stamps, scores, []Window{{stamps[5], stamps[9]}, {stamps[8], stamps[12]}})
			return err
		},
	} {
		assert.EqualError(t, call(), want)
	}
}
