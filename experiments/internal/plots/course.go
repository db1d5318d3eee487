package plots

import (
	"fmt"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"

	"github.com/paramedic-otel/paramedic/experiments/internal/result"
)

// course draws series below each other over the same time, with their marks as lines through all.
func course(series []result.Series) ([]byte, error) {
	low, high := series[0].Points[0][0], series[0].Points[0][0]
	for _, s := range series {
		for _, p := range s.Points {
			low, high = min(low, p[0]), max(high, p[0])
		}
	}
	var rows []*plot.Plot
	for i, s := range series {
		p := plot.New()
		p.X.Min, p.X.Max = low, high
		p.Y.Label.Text = fmt.Sprintf("%s, %s", s.Name, s.YUnit)
		if i == len(series)-1 {
			p.X.Label.Text = s.XUnit
		}
		points := make(plotter.XYs, len(s.Points))
		top := 0.0
		for j, xy := range s.Points {
			points[j] = plotter.XY{X: xy[0], Y: xy[1]}
			top = max(top, xy[1])
		}
		line, err := plotter.NewLine(points)
		if err != nil {
			return nil, err
		}
		line.Color, line.Width = colors[i%len(colors)], vg.Points(1.4)
		p.Y.Min, p.Y.Max = 0, 1.15*max(top, 1e-6)
		p.Add(plotter.NewGrid(), line)
		if err := marks(p, s.Marks, i == 0); err != nil {
			return nil, err
		}
		rows = append(rows, p)
	}
	return svg(vg.Points(760), vg.Points(float64(170*len(rows))), rows...)
}

// marks draws a line at each mark, and its name if it is wanted.
func marks(p *plot.Plot, marks []result.Mark, named bool) error {
	for i, m := range marks {
		line, err := plotter.NewLine(plotter.XYs{{X: m.X, Y: p.Y.Min}, {X: m.X, Y: p.Y.Max}})
		if err != nil {
			return err
		}
		line.Dashes = []vg.Length{vg.Points(3), vg.Points(2)}
		line.Color = colors[len(colors)-1]
		p.Add(line)
		if !named {
			continue
		}
		// One above the other, since they may be close together.
		height := p.Y.Max - float64(i+1)*0.075*(p.Y.Max-p.Y.Min)
		labels, err := plotter.NewLabels(plotter.XYLabels{XYs: plotter.XYs{{X: m.X, Y: height}}, Labels: []string{" " + m.Name}})
		if err != nil {
			return err
		}
		p.Add(labels)
	}
	return nil
}
