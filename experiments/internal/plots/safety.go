package plots

import (
	"image/color"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/palette"
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
	field := newField(s.Points)
	var levels []float64
	for _, b := range bands[1:] {
		levels = append(levels, math.Log10(b.from))
	}
	contour := plotter.NewContour(field, levels, nil)
	contour.LineStyles = nil
	for _, b := range bands[1:] {
		style := plotter.DefaultLineStyle
		style.Color, style.Width = b.color, vg.Points(1.6)
		contour.LineStyles = append(contour.LineStyles, style)
	}
	contour.Palette = steps{}
	p.Add(contour)
	if err := marks(p, s.Marks, true); err != nil {
		return nil, err
	}
	return svg(vg.Points(760), vg.Points(470), p)
}

// steps is a palette of the bands.
type steps struct{}

var _ palette.Palette = steps{}

// Colors implements palette.Palette.
func (steps) Colors() []color.Color {
	var out []color.Color
	for _, b := range bands[1:] {
		out = append(out, b.color)
	}
	return out
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

// Dims implements plotter.GridXYZ.
func (f *field) Dims() (c, r int) { return fieldSize, fieldSize }

// X implements plotter.GridXYZ.
func (f *field) X(c int) float64 { return f.xs[c] }

// Y implements plotter.GridXYZ.
func (f *field) Y(r int) float64 { return math.Pow(10, f.ys[r]) }

// Z implements plotter.GridXYZ.
func (f *field) Z(c, r int) float64 { return f.z[r][c] }

// Min and Max are for the contour, which knows no gaps.
func (f *field) Min() float64 { return math.Log10(floor) }

// Max is the most that errors can be.
func (f *field) Max() float64 { return 0 }
