package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/paramedic-otel/paramedic/benchmark/internal/nabscore"
	"github.com/paramedic-otel/paramedic/benchmark/internal/scoring"
	"github.com/paramedic-otel/paramedic/processor/anomalyprocessor"
	"github.com/paramedic-otel/paramedic/semconv"
)

// metricName says nothing about what is measured, so that no policy by name applies.
const metricName = "nab"

// detection is what the processor said: a score for every row of every file, in the corpus' order.
type detection struct {
	scores    [][]float64
	threshold float64
}

// config is the processor's default configuration. Only what is sent differs, not what is scored: the scores of all
// points, and no deviations.
func config() *anomalyprocessor.Config {
	cfg := scoring.DefaultConfig()
	cfg.EmitDeviation = false
	cfg.Explain.Metrics = []string{metricName}
	return cfg
}

// detectAll scores every file, each with a processor of its own: they are years apart.
func detectAll(ctx context.Context, c *corpus, shift time.Duration) (*detection, error) {
	d := &detection{scores: make([][]float64, len(c.files)), threshold: config().MinScore}
	errs := make([]error, len(c.files))
	work := make(chan int)
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := range work {
				d.scores[i], errs[i] = detect(ctx, &c.files[i], shift)
			}
		})
	}
	for i := range c.files {
		work <- i
	}
	close(work)
	wg.Wait()
	return d, errors.Join(errs...)
}

// detect feeds the rows of a file to a processor, each as it would come to a collector: alone and in time.
func detect(ctx context.Context, f *file, shift time.Duration) (scores []float64, err error) {
	cfg := config()
	var latest verdict
	var episode scoring.Episode
	p, err := scoring.New(ctx, cfg, latest.read)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.Close(ctx)) }()

	scores = make([]float64, len(f.rows))
	for i := range f.rows {
		latest = verdict{}
		if err := p.Consume(ctx, point(f, i, shift)); err != nil {
			return nil, fmt.Errorf("%s, row %d: %w", f.key, i+1, err)
		}
		scores[i] = latest.toWrite(&episode, cfg.MinScore)
	}
	return scores, nil
}

func point(f *file, i int, shift time.Duration) pmetric.Metrics {
	md := pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	rm.Resource().Attributes().PutStr(semconv.AttrServiceName, f.key)
	m := rm.ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
	m.SetName(metricName)
	x := m.SetEmptyGauge().DataPoints().AppendEmpty()
	x.SetTimestamp(pcommon.NewTimestampFromTime(f.rows[i].at.Add(shift)))
	x.SetDoubleValue(f.rows[i].value)
	return md
}

// verdict is what the processor sent for one point.
type verdict struct {
	// score is that of the point, sent or only explained; sent says which.
	score float64
	sent  bool
	onset time.Time
}

func (v *verdict) read(s scoring.Score) {
	// Scores of another signal, such as that of a series that has stopped, are none of this point.
	if s.Signal() != semconv.SignalValue {
		return
	}
	if s.Explains {
		v.score = max(v.score, s.Value())
		return
	}
	v.score, v.sent, v.onset = s.Value(), true, s.Onset()
}

// toWrite returns the score to write: as it is when the point opens an episode, else below the threshold and in the same
// order.
func (v *verdict) toWrite(e *scoring.Episode, threshold float64) float64 {
	if v.sent && e.Opens(v.score, v.onset, threshold) {
		return v.score
	}
	return v.score * threshold / 2
}

// write writes the result files and the threshold.
func (d *detection) write(dir string, c *corpus) error {
	for i := range c.files {
		if err := d.writeFile(filepath.Join(dir, filepath.FromSlash(c.files[i].key)), &c.files[i], d.scores[i]); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(dir, "threshold"), []byte(formatScore(d.threshold)+"\n"), 0o600)
}

func (d *detection) writeFile(path string, f *file, scores []float64) (err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	out, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	w := bufio.NewWriter(out)
	fmt.Fprintln(w, "timestamp,value,anomaly_score")
	for i := range f.rows {
		fmt.Fprintf(w, "%s,%s,%s\n", f.rows[i].stamp, f.rows[i].text, formatScore(scores[i]))
	}
	return w.Flush()
}

func formatScore(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

// prepare joins the scores with the labels; nil when there are none.
func (d *detection) prepare(c *corpus) ([]*nabscore.Series, error) {
	if !c.labelled {
		return nil, nil
	}
	var all []*nabscore.Series
	for i := range c.files {
		f := &c.files[i]
		windows, ok := c.windows[f.key]
		if !ok {
			continue
		}
		stamps := make([]string, len(f.rows))
		for j := range f.rows {
			stamps[j] = f.rows[j].stamp
		}
		s, err := nabscore.NewSeries(f.group(), stamps, d.scores[i], windows)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.key, err)
		}
		s.Name = f.key[len(s.Group)+1:]
		all = append(all, s)
	}
	return all, nil
}
