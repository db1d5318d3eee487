package availability

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing/synctest"
	"time"

	"github.com/paramedic-otel/paramedic/experiments/internal/bubble"
	"github.com/paramedic-otel/paramedic/experiments/internal/experiment"
	"github.com/paramedic-otel/paramedic/experiments/internal/plots"
	"github.com/paramedic-otel/paramedic/experiments/internal/result"
	"github.com/paramedic-otel/paramedic/experiments/internal/stage"
	"github.com/paramedic-otel/paramedic/internal/shop"
	"github.com/paramedic-otel/paramedic/semconv"
)

// CourseName is the name of the experiment that follows one fault.
const CourseName = "fault-course"

const (
	// The picture begins before the fault and ends after the cure.
	courseBefore, courseAfter = time.Minute, 4 * time.Minute
	courseStep                = 5 * time.Second
)

// courseFault shows in all three lines: memory fills, the collection of garbage takes CPU, requests wait.
var courseFault = shop.Fault{Kind: shop.MemoryLeak, Service: "recommendation", Severity: 1.5}

// course is what happened to one fault; times are seconds since the injection.
type course struct {
	Times, Latency, CPU, Memory     []float64
	Detected, Acted, Cured, Settled *float64
}

func init() {
	bubble.Register(CourseName, func(ctx context.Context, input []byte) ([]byte, error) {
		var seed uint64
		if err := json.Unmarshal(input, &seed); err != nil {
			return nil, err
		}
		c, err := follow(ctx, seed)
		if err != nil {
			return nil, err
		}
		return json.Marshal(c)
	})
}

// Course is the experiment that follows one fault through its cure.
func Course() experiment.Experiment {
	return experiment.Experiment{Name: CourseName, Clock: result.Simulated, Run: func(ctx context.Context, o experiment.Options) (*result.Result, error) {
		courses := make([]course, len(o.Seeds))
		if err := experiment.Each(ctx, o.Parallel, len(o.Seeds), func(ctx context.Context, i int) error {
			input, err := json.Marshal(o.Seeds[i])
			if err != nil {
				return err
			}
			output, err := bubble.Call(ctx, CourseName, input)
			if err != nil {
				return err
			}
			return json.Unmarshal(output, &courses[i])
		}); err != nil {
			return nil, err
		}
		return describe(o.Seeds, courses), nil
	}}
}

func describe(seeds []uint64, courses []course) *result.Result {
	r := &result.Result{
		Name: CourseName, Number: 9, Title: "The course of a fault and its cure", Clock: result.Simulated, Seeds: seeds,
		About: fmt.Sprintf("One %s of severity %g with the whole loop as in the month of experiment 6: tracegraph, anomaly, incident and remediation are real, on a fake "+
			"clock. The picture shows the first seed: the 99th percentile of the latency of recommendations that users ask for, over %s, and the mean CPU and memory of "+
			"the service's pods.", courseFault, courseFault.Severity, courseStep),
	}
	for _, s := range []struct {
		name string
		of   func(*course) *float64
	}{
		{"time to detect", func(c *course) *float64 { return c.Detected }},
		{"time to the first action", func(c *course) *float64 { return c.Acted }},
		{"time until the fault is gone", func(c *course) *float64 { return c.Cured }},
		{"time until the incident is resolved", func(c *course) *float64 { return c.Settled }},
	} {
		var values []float64
		never := 0
		for i := range courses {
			if v := s.of(&courses[i]); v != nil {
				values = append(values, *v)
			} else {
				never++
			}
		}
		r.AddSample(s.name, "s", result.Ours, string(courseFault.Kind), values, never)
	}
	first := &courses[0]
	var marks []result.Mark
	marks = append(marks, result.Mark{Name: "fault"})
	for _, m := range []struct {
		name string
		at   *float64
	}{{"incident opened", first.Detected}, {"restart", first.Acted}, {"incident resolved", first.Settled}} {
		if m.at != nil {
			marks = append(marks, result.Mark{Name: m.name, X: *m.at})
		}
	}
	for _, line := range []struct {
		name, unit string
		values     []float64
	}{{"latency, p99", "s", first.Latency}, {"CPU", "share of limit", first.CPU}, {"memory", "share of limit", first.Memory}} {
		series := result.Series{Plot: plots.FaultCourse, Name: line.name, XUnit: "seconds since the fault", YUnit: line.unit, Marks: marks}
		for i, v := range line.values {
			series.Points = append(series.Points, []float64{first.Times[i], v})
		}
		r.Series = append(r.Series, series)
	}
	return r
}

// follow lives through one fault, in a bubble.
func follow(ctx context.Context, seed uint64) (c *course, err error) {
	cfg := shop.DefaultConfig()
	cfg.Seed, cfg.Start = seed, bubbleStart
	const journey = "recommendations"
	st, err := stage.New(ctx, stage.Config{Shop: cfg})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, st.Close(ctx)) }()
	h, err := newHealer(ctx, st.Shop, func() bool { return false })
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, h.Shutdown(ctx)) }()
	c = &course{}
	var start time.Time
	since := func(now time.Time) *float64 {
		s := now.Sub(start).Seconds()
		return &s
	}
	see := func(n stage.News) error {
		if err := h.tell(ctx, n.Events); err != nil {
			return err
		}
		for _, e := range n.Events {
			if start.IsZero() {
				continue
			}
			if e.Name == semconv.EventIncidentOpened && c.Detected == nil {
				c.Detected = since(n.Now)
			}
			if e.Name == semconv.EventIncidentResolved && c.Settled == nil {
				c.Settled = since(n.Now)
			}
		}
		time.Sleep(shop.TickLength)
		synctest.Wait()
		for _, news := range h.listen() {
			if news.action != nil && c.Acted == nil && !start.IsZero() {
				c.Acted = since(n.Now)
			}
		}
		return nil
	}
	pass := func(d time.Duration, each func(time.Time)) error {
		for range int(d / shop.TickLength) {
			n, err := st.Tick(ctx)
			if err != nil {
				return err
			}
			if err := see(n); err != nil {
				return err
			}
			if each != nil {
				each(n.Now)
			}
		}
		return nil
	}
	if err := pass(learn, nil); err != nil {
		return nil, err
	}
	st.Users.Learnt(2)
	injected := st.Shop.Now().Add(courseBefore)
	var took []float64
	note := func(now time.Time) {
		took = append(took, st.Users.TakeDurations(journey)...)
		if c.Cured == nil && now.After(injected) && len(st.Shop.State().Faults) == 0 {
			c.Cured = since(now)
		}
		if now.Sub(injected)%courseStep != 0 {
			return
		}
		state := st.Shop.State()
		i := slices.IndexFunc(state.Services, func(s shop.ServiceState) bool { return s.Name == courseFault.Service })
		p99 := 0.0
		if slices.Sort(took); len(took) > 0 {
			p99 = took[len(took)*99/100]
		} else if n := len(c.Latency); n > 0 {
			p99 = c.Latency[n-1]
		}
		took = took[:0]
		c.Times = append(c.Times, now.Sub(injected).Seconds())
		c.Latency, c.CPU, c.Memory = append(c.Latency, p99), append(c.CPU, state.Services[i].CPU), append(c.Memory, state.Services[i].Memory)
	}
	st.Users.KeepDurations(journey)
	if err := pass(courseBefore, note); err != nil {
		return nil, err
	}
	start = st.Shop.Now()
	if _, err := st.Shop.Inject(courseFault); err != nil {
		return nil, err
	}
	if err := pass(courseAfter, note); err != nil {
		return nil, err
	}
	return c, nil
}
