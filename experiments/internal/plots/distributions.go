package plots

import (
	"fmt"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"

	"github.com/paramedic-otel/paramedic/experiments/internal/result"
)

// distributions draws a box for each sample of a name: quartiles, median, and whiskers to what is not far off. It returns nil if there is
// none.
func distributions(results []*result.Result, name, title string) ([]byte, error) {
	p := plot.New()
	p.Title.Text = title
	p.X.Label.Text = "seconds"
	p.X.Scale = plot.LogScale{}
	p.X.Tick.Marker = seconds{}
	p.Add(plotter.NewGrid())
	var names []string
	var systems []string
	var boxes []*plotter.BoxPlot
	for _, r := range slices.Backward(results) {
		for _, s := range slices.Backward(r.Samples) {
			if s.Name != name || len(s.Values) == 0 {
				continue
			}
			values := make(plotter.Values, len(s.Values))
			for i, v := range s.Values {
				values[i] = max(v, least)
			}
			b, err := plotter.NewBoxPlot(vg.Points(9), float64(len(boxes)), values)
			if err != nil {
				return nil, err
			}
			b.Horizontal = true
			b.GlyphStyle.Radius = vg.Points(1)
			if !slices.Contains(systems, s.System) {
				systems = append(systems, s.System)
			}
			b.FillColor = colors[slices.Index(systems, s.System)%len(colors)]
			boxes = append(boxes, b)
			label := fmt.Sprintf("%s: %s", r.Name, s.System)
			if s.Group != "" {
				label += ", " + s.Group
			}
			if s.Never > 0 {
				label += fmt.Sprintf(" (%d never)", s.Never)
			}
			names = append(names, label)
			p.Add(b)
		}
	}
	if len(boxes) == 0 {
		return nil, nil
	}
	p.NominalY(names...)
	return svg(vg.Points(760), vg.Points(float64(90+16*len(boxes))), p)
}

// least is the shortest time that a logarithmic axis shows, in seconds.
const least = 0.1

// seconds are ticks of a logarithmic axis of seconds.
type seconds struct{}

// Ticks implements plot.Ticker.
func (seconds) Ticks(low, high float64) []plot.Tick {
	var ticks []plot.Tick
	for _, s := range []struct {
		at    float64
		label string
	}{
		{0.01, "0.01"},
		{0.03, "0.03"},
		{0.1, "0.1"},
		{0.3, "0.3"},
		{1, "1"},
		{3, "3"},
		{5, "5"},
		{10, "10"},
		{20, "20"},
		{30, "30"},
		{60, "1 min"},
		{120, "2 min"},
		{300, "5 min"},
		{600, "10 min"},
		{1200, "20 min"},
		{3600, "1 h"},
		{7200, "2 h"},
		{6 * 3600, "6 h"},
		{24 * 3600, "1 d"},
	} {
		if s.at >= low*0.999 && s.at <= high*1.001 {
			ticks = append(ticks, plot.Tick{Value: s.at, Label: s.label})
		}
	}
	return ticks
}
