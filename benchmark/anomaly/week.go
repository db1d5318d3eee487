package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"go.opentelemetry.io/collector/pdata/pmetric"
)

// week counts alarms while the shop runs without a fault through its daily and weekly load.
func week(ctx context.Context, o *options, out io.Writer) (err error) {
	days := orDefault(o.days, 7)
	w, err := newWatcher(ctx, o, monday, 1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.processor.Close(ctx)) }()

	perHour := int64(time.Hour / w.interval)
	var series, streams, hours int64
	if err := w.run(ctx, time.Duration(days*24*float64(time.Hour)), func(md pmetric.Metrics) error {
		if w.exports%perHour != 0 {
			return nil
		}
		held, err := w.processor.Held()
		series += held
		streams += w.points / w.exports
		hours++
		return err
	}); err != nil {
		return err
	}
	if hours == 0 {
		return fmt.Errorf("-days must be at least an hour, got %v", days)
	}

	seriesDays, streamDays := float64(series)/24, float64(streams)/24
	fmt.Fprintf(out, "fault-free shop, %g days from %s, %g requests/s, a point every %s, %d points\n",
		days, w.sim.Now().Add(-time.Duration(days*24*float64(time.Hour))).Format("Mon 2 Jan"), o.rate, w.interval, w.points)
	t := table(out)
	fmt.Fprintf(t, "\tmean number\talarms\tper 1,000 and day\t\n")
	fmt.Fprintf(t, "series (signals)\t%.0f\t%d\t%.2f\t\n", float64(series)/float64(hours), len(w.alarms), rate(len(w.alarms), seriesDays))
	fmt.Fprintf(t, "streams (points of an export)\t%.0f\t%d\t%.2f\t\n", float64(streams)/float64(hours), len(w.alarms), rate(len(w.alarms), streamDays))
	t.Flush()
	tally(out, "by day", w.alarms, 0, func(a *alarm) string { return a.at.Format("2006-01-02 Mon") })
	tally(out, "by metric and signal", w.alarms, 0, func(a *alarm) string { return a.metric + " " + a.signal })
	tally(out, "worst series", w.alarms, o.worst, (*alarm).series)
	return nil
}

func rate(alarms int, seriesDays float64) float64 { return 1000 * float64(alarms) / seriesDays }

// tally prints how many alarms each name has: the most important ones, or by name when all are printed.
func tally(out io.Writer, title string, alarms []alarm, most int, name func(*alarm) string) {
	if len(alarms) == 0 {
		return
	}
	counts := map[string]int{}
	for i := range alarms {
		counts[name(&alarms[i])]++
	}
	names := slices.Sorted(maps.Keys(counts))
	if most > 0 {
		slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(counts[b], counts[a]) })
		names = names[:min(most, len(names))]
	}
	t := table(out)
	fmt.Fprintf(t, "%s\talarms\t\n", title)
	for _, n := range names {
		fmt.Fprintf(t, "%s\t%d\t\n", n, counts[n])
	}
	t.Flush()
}
