package plots

import (
	"bytes"
	"fmt"
	"image/color"
	"os"
	"path/filepath"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"

	"github.com/paramedic-otel/paramedic/experiments/internal/report"
	"github.com/paramedic-otel/paramedic/experiments/internal/result"
)

// The names by which an experiment asks for a picture of its series; see [result.Series].
const (
	// FaultCourse has one series for each panel, over seconds.
	FaultCourse = "fault-course"
	// SafeOperation has points of (requests per second, seconds of latency, share of errors).
	SafeOperation = "safe-operation"
)

// The names of the samples whose distribution is drawn.
const (
	TimeToDetect  = "time to detect"
	TimeToRecover = "time to recover"
)

// colors tell systems and lines apart; they also differ in brightness, for who sees no hues.
var colors = []color.RGBA{{0x1b, 0x5e, 0x9b, 0xff}, {0xd9, 0x83, 0x1f, 0xff}, {0x3c, 0x8d, 0x40, 0xff}, {0x8b, 0x2f, 0x6b, 0xff}, {0x55, 0x55, 0x55, 0xff}}

// Draw writes all pictures that the results have data for, and returns them in the order of the report.
func Draw(folder string, results []*result.Result) ([]report.Picture, error) {
	var pictures []report.Picture
	save := func(file, title string, text []byte, err error) error {
		if err != nil {
			return fmt.Errorf("draw %s: %w", file, err)
		}
		if text == nil {
			return nil
		}
		pictures = append(pictures, report.Picture{File: file, Title: title})
		return os.WriteFile(filepath.Join(folder, file), text, 0o644) //nolint:gosec // a document
	}
	for _, d := range []struct{ sample, file, title string }{
		{TimeToDetect, "time-to-detect.svg", "Time to detect (MTTD), by experiment, system and kind of fault"},
		{TimeToRecover, "time-to-recover.svg", "Time to recover (MTTR), by experiment and system"},
	} {
		text, err := distributions(results, d.sample, d.title)
		if err := save(d.file, d.title, text, err); err != nil {
			return nil, err
		}
	}
	for _, r := range results {
		series := slices.DeleteFunc(slices.Clone(r.Series), func(s result.Series) bool { return s.Plot != FaultCourse })
		if len(series) > 0 {
			text, err := course(series)
			if err := save(FaultCourse+".svg", "Latency, CPU and memory through a fault and its cure", text, err); err != nil {
				return nil, err
			}
		}
		for _, s := range r.Series {
			if s.Plot != SafeOperation {
				continue
			}
			text, err := safety(s)
			if err := save(SafeOperation+".svg", "Where it is safe to operate: request rate against latency and errors", text, err); err != nil {
				return nil, err
			}
		}
	}
	return pictures, nil
}

// svg draws plots below each other on one canvas.
func svg(width, height vg.Length, rows ...*plot.Plot) ([]byte, error) {
	canvas := vgsvg.New(width, height)
	dc := draw.New(canvas)
	grid := make([][]*plot.Plot, len(rows))
	for i, p := range rows {
		grid[i] = []*plot.Plot{p}
	}
	tiles := draw.Tiles{Rows: len(rows), Cols: 1, PadTop: vg.Points(6), PadBottom: vg.Points(6), PadLeft: vg.Points(6), PadRight: vg.Points(14), PadY: vg.Points(8)}
	for i, row := range plot.Align(grid, tiles, dc) {
		rows[i].Draw(row[0])
	}
	var out bytes.Buffer
	if _, err := canvas.WriteTo(&out); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
