package report

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/experiments/internal/result"
)

func TestMarkdown(t *testing.T) {
	r := &result.Result{
		Name: "labelled-cases", Number: 1, Title: "Labelled cases", About: "What was done.", Command: "go run ./experiments -only labelled-cases",
		Clock: result.Simulated, Machine: result.Machine{Cores: 2, CPU: "some CPU", System: "linux/amd64", Go: "go1.26"}, Seeds: []uint64{1, 2}, Took: 12,
		Tables: []result.Table{{Title: "By kind", Head: []string{"kind", "n"}, Rows: [][]string{{"a|b", "1"}}, Note: "Noted."}, {Title: "Empty", Head: []string{"x"}}},
	}
	r.AddFigure("recall", "%", result.Ours, "", 0.995, []float64{0.99, 1})
	r.AddFigure("recall", "%", result.Thresholds, "", 0.65, []float64{0.6, 0.7})
	r.AddFigure("only ours", "", result.Ours, "", 3, nil)
	r.AddSample("time to detect", "s", result.Ours, "crash", []float64{8, 9, 10}, 3)
	r.AddGoal(result.FromPaper, "recall", "%", ">=", 0.98, new(0.995), "")
	r.AddGoal(result.FromProject, "false ones a day", "", "<=", 1, new(9.0), "of overloads")
	r.AddGoal(result.FromProject, "median", "s", "<=", 45, nil, "it never came")
	r.Note("A note.")
	text := Markdown([]*result.Result{r}, []Picture{{"a.svg", "A picture"}})
	for _, want := range []string{
		"Machine: 2 cores, some CPU, linux/amd64, go1.26.",
		"1 of 3 are met.",
		"| 1. [Labelled cases](#1-labelled-cases) | recall | paper | >= 98 % | 99.5 % | met |",
		"| 1. [Labelled cases](#1-labelled-cases) | false ones a day | ours | <= 1 | 9 | missed |",
		"- Labelled cases: false ones a day <= 1, reached 9: of overloads.",
		"reached never: it never came.",
		"![A picture](a.svg)",
		"## 1. Labelled cases",
		"`go run ./experiments -only labelled-cases` (simulated time, seeds 1, 2, 12 s on 2 cores",
		"| recall | 99.5 % (99 to 100) | 65 % (60 to 70) |",
		"| only ours | 3 | – |",
		`| a\|b | 1 |`,
		"| time to detect, crash | ours | 6 | never | 9.25 |",
		"- A note.",
	} {
		assert.Contains(t, text, want)
	}
	assert.NotContains(t, text, "### Empty")
	assert.Equal(t, text, Markdown([]*result.Result{r}, []Picture{{"a.svg", "A picture"}}))
	require.NotContains(t, text, "quick subset")
	r.Quick = true
	assert.Contains(t, Markdown([]*result.Result{r}, nil), "This is the quick subset")
}

func TestNumbers(t *testing.T) {
	for _, tc := range []struct {
		v    float64
		unit string
		want string
	}{{0.9999, "%", "99.99 %"}, {1, "%", "100 %"}, {0, "%", "0 %"}, {0.0123, "%", "1.23 %"}, {12345.6, "s", "12346 s"}, {8, "s", "8 s"}, {0.1234, "", "0.123"}} {
		assert.Equal(t, tc.want, number(tc.v, tc.unit))
	}
}
