package plots

import (
	"image/color"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/paramedic-otel/paramedic/experiments/internal/result"
)

// bands are the shares of errors by which points are coloured; contours lie between them.
var bands = []struct {
	from  float64
	name  string
	color color.RGBA
}{
	{0, "below 0.5 % errors", color.RGBA{0x3c, 0x8d, 0x40, 0xff}},
	{0.005, "0.5 to 5 %", color.RGBA{0xd9, 0xb3, 0x1f, 0xff}},
	{0.05, "5 to 25 %", color.RGBA{0xd9, 0x63, 0x1f, 0xff}},
	{0.25, "above 25 %", color.RGBA{0x9b, 0x1b, 0x30, 0xff}},
}

// safety draws points of request rate and latency, coloured by errors, with the contours of the errors.
func safety(s result.Series) ([]byte, error) {
	p := plot.New()
	p.Title.Text = s.Name
	p.X.Label.Text = s.XUnit
	p.Y.Label.Text = s.YUnit
	p.Y.Scale = plot.LogScale{}
	p.Y.Tick.Marker = seconds{}
	p.Legend.Top, p.Legend.Left = true, true
	byBand := make([]plotter.XYs, len(bands))
	for _, xyz := range s.Points {
		band := 0
		for i, b := range bands {
			if xyz[2] >= b.from {
				band = i
			}
		}
		byBand[band] = append(byBand[band], plotter.XY{X: xyz[0], Y: xyz[1]})
	}
	p.Add(plotter.NewGrid())
	for i, points := range byBand {
		if len(points) == 0 {
			continue
		}
		scatter, err := plotter.NewScatter(points)
		if err != nil {
			return nil, err
		}
		scatter.GlyphStyle = draw.GlyphStyle{Color: bands[i].color, Radius: vg.Points(1.6), Shape: draw.CircleGlyph{}}
		p.Add(scatter)
		p.Legend.Add(bands[i].name, scatter)
	}
	f := newField(s.Points)
	for _, b := range bands[1:] {
		p.Add(&contour{segments: f.contour(math.Log10(b.from)), style: draw.LineStyle{Color: b.color, Width: vg.Points(1.6)}})
	}
	if err := marks(p, s.Marks, true); err != nil {
		return nil, err
	}
	return svg(vg.Points(760), vg.Points(470), p)
}

// field is the logarithm of the share of errors over rate and latency, smoothed by a Gaussian kernel (Nadaraya and Watson, 1964) and only
// where there are points near.
type field struct {
	xs, ys []float64
	z      [][]float64
}

const (
	fieldSize = 60
	bandwidth = 0.045 // of either axis
	floor     = 1e-4  // share of errors that stands for none
)

func newField(points [][]float64) *field {
	low, high := []float64{math.Inf(1), math.Inf(1)}, []float64{math.Inf(-1), math.Inf(-1)}
	at := func(p []float64) [2]float64 { return [2]float64{p[0], math.Log10(p[1])} }
	for _, p := range points {
		for i, v := range at(p) {
			low[i], high[i] = min(low[i], v), max(high[i], v)
		}
	}
	f := &field{z: make([][]float64, fieldSize)}
	size := [2]float64{max(high[0]-low[0], 1e-9), max(high[1]-low[1], 1e-9)}
	for i := range fieldSize {
		share := float64(i) / (fieldSize - 1)
		f.xs = append(f.xs, low[0]+share*size[0])
		f.ys = append(f.ys, low[1]+share*size[1])
	}
	for r, y := range f.ys {
		f.z[r] = make([]float64, fieldSize)
		for c, x := range f.xs {
			var sum, weight float64
			for _, p := range points {
				v := at(p)
				dx, dy := (v[0]-x)/size[0]/bandwidth, (v[1]-y)/size[1]/bandwidth
				w := math.Exp(-(dx*dx + dy*dy) / 2)
				sum += w * math.Log10(max(p[2], floor))
				weight += w
			}
			f.z[r][c] = math.NaN()
			if weight > 0.05 {
				f.z[r][c] = sum / weight
			}
		}
	}
	return f
}

// segment is a piece of a contour.
type segment struct{ a, b plotter.XY }

// contour returns where the field has a level, by marching squares: in each cell of the grid one or two straight pieces between the
// places on its sides where the level is crossed. Cells with a corner of which nothing is known have none. (plotter.Contour draws the same in another
// order each time, and knows no gaps.)
func (f *field) contour(level float64) []segment {
	var out []segment
	for r := range fieldSize - 1 {
		for c := range fieldSize - 1 {
			corners := [4][2]int{{c, r}, {c + 1, r}, {c + 1, r + 1}, {c, r + 1}}
			known := true
			var crossings []plotter.XY
			for i, from := range corners {
				to := corners[(i+1)%len(corners)]
				low, high := f.z[from[1]][from[0]], f.z[to[1]][to[0]]
				known = known && !math.IsNaN(low) && !math.IsNaN(high)
				if (low < level) == (high < level) {
					continue
				}
				share := (level - low) / (high - low)
				crossings = append(crossings, plotter.XY{
					X: f.xs[from[0]] + share*(f.xs[to[0]]-f.xs[from[0]]), Y: math.Pow(10, f.ys[from[1]]+share*(f.ys[to[1]]-f.ys[from[1]])),
				})
			}
			for i := 0; known && i+1 < len(crossings); i += 2 {
				out = append(out, segment{crossings[i], crossings[i+1]})
			}
		}
	}
	return out
}

// contour draws segments.
type contour struct {
	segments []segment
	style    draw.LineStyle
}

// Plot implements plot.Plotter.
func (l *contour) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	for _, s := range l.segments {
		c.StrokeLine2(l.style, x(s.a.X), y(s.a.Y), x(s.b.X), y(s.b.Y))
	}
}
