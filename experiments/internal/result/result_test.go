package result

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func sample() *Result {
	r := &Result{
		Name: "labelled-cases", Number: 1, Title: "Labelled cases", About: "What was done.",
		Command: "go run ./experiments -only labelled-cases", Clock: Simulated, Machine: ThisMachine(), Seeds: []uint64{1, 2},
	}
	r.AddFigure("recall", "%", Ours, "", 0.991234567, []float64{0.98, 1})
	r.AddSample("time to detect", "s", Ours, "crash", []float64{3, 1, 2}, 2)
	r.AddGoal(FromPaper, "detected", "%", ">=", 0.98, new(0.991), "unused")
	r.AddGoal(FromProject, "harmful actions", "", "=", 0, new(1.0), "one action was late")
	return r
}

func TestSaveAndLoad(t *testing.T) {
	folder := t.TempDir()
	r := sample()
	require.NoError(t, r.Save(folder))
	got, err := Load(folder)
	require.NoError(t, err)
	require.Equal(t, []*Result{r}, got)

	text, err := os.ReadFile(filepath.Join(folder, "labelled-cases.json"))
	require.NoError(t, err)
	assert.Contains(t, string(text), `"values": [3,1,2]`, "numbers of a list stand in one line")
	assert.Contains(t, string(text), `"value": 0.991235`, "six digits")
}

func TestSummarise(t *testing.T) {
	// Five cases of which two never came: 1, 2, 3, never, never.
	s := Summarise([]float64{3, 1, 2}, 2)
	assert.Equal(t, Summary{N: 5, Min: new(1.0), Q1: new(2.0), Median: new(3.0)}, s)
	assert.Equal(t, 1.5, *Summarise([]float64{1, 2}, 0).Median)
	assert.Nil(t, Summarise([]float64{1}, 1).Median, "between a value and never is never")
	assert.Equal(t, Summary{}, Summarise(nil, 0))
}

func TestGoals(t *testing.T) {
	r := sample()
	assert.True(t, r.Goals[0].Met)
	assert.Empty(t, r.Goals[0].Why)
	assert.False(t, r.Goals[1].Met)
	assert.Equal(t, "one action was late", r.Goals[1].Why)
	r.AddGoal(FromProject, "median", "s", "<=", 10, nil, "nothing was detected")
	assert.False(t, r.Goals[2].Met, "what never came meets nothing")
}

func TestValidate(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*Result)
		want   string
	}{
		"name":     {func(r *Result) { r.Name = "Labelled Cases" }, `name must be lower case with hyphens, got "Labelled Cases"`},
		"title":    {func(r *Result) { r.Title = "" }, "number, title and about must be set"},
		"command":  {func(r *Result) { r.Command = "echo" }, `command must begin with go run ./experiments, got "echo"`},
		"clock":    {func(r *Result) { r.Clock = "sun" }, `clock must be simulated or real, got "sun"`},
		"seeds":    {func(r *Result) { r.Seeds = nil }, "seeds must not be empty"},
		"rows":     {func(r *Result) { r.Tables = []Table{{Title: "t", Head: []string{"a"}, Rows: [][]string{{"b", "c"}}}} }, `table "t" must have 1 cells in each row, got 2`},
		"why":      {func(r *Result) { r.Goals[1].Why = "" }, `goal "harmful actions" is not met and must say why`},
		"relation": {func(r *Result) { r.Goals[0].Relation = "~" }, `relation of goal "detected" must be <=, >= or =, got "~"`},
	} {
		t.Run(name, func(t *testing.T) {
			r := sample()
			tc.change(r)
			require.EqualError(t, r.Validate(), tc.want)
			require.Error(t, r.Save(t.TempDir()))
		})
	}
}

func TestMachine(t *testing.T) {
	m := ThisMachine()
	assert.Positive(t, m.Cores)
	assert.NotEmpty(t, m.CPU)
	assert.Equal(t, "unknown", processor(filepath.Join(t.TempDir(), "none")))
}
