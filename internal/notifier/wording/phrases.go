package wording

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/paramedic-otel/paramedic/internal/eventdata"
	"github.com/paramedic-otel/paramedic/internal/notifier"
	"github.com/paramedic-otel/paramedic/semconv"
)

// Cause names the first cause of an incident as in "memory of service shop/cart", or returns "".
func Cause(inc *eventdata.Incident) string {
	if c := firstCause(inc); c != nil {
		return nameCause(c.Kind, c.Entity)
	}
	return ""
}

func firstCause(inc *eventdata.Incident) *eventdata.Cause {
	if inc == nil || len(inc.Causes) == 0 {
		return nil
	}
	return &inc.Causes[0]
}

func nameCause(kind semconv.CauseKind, e eventdata.Entity) string {
	if kind == "" || kind == semconv.CauseUnknown {
		return nameEntity(e)
	}
	return notifier.Line(string(kind)+" of "+nameEntity(e), maxName)
}

func nameEntity(e eventdata.Entity) string {
	kind := cmp.Or(notifier.Line(string(e.Type), maxName), "entity")
	if name := notifier.Line(e.Name, maxName); name != "" {
		return notifier.Line(kind+" "+name, maxName)
	}
	return notifier.Line("unnamed "+kind, maxName)
}

func sayCause(c *eventdata.Cause) string {
	return nameCause(c.Kind, c.Entity) + " (" + percent(min(c.Confidence, 1)) + " sure)"
}

func sayEvidence(e *eventdata.Evidence) string {
	text := cmp.Or(notifier.Line(e.Summary, maxText), notifier.Line(e.Signal, maxText))
	if text != "" && e.Entity != nil {
		text = nameEntity(*e.Entity) + ": " + text
	}
	return text
}

// Change says in one line what was changed, and when.
func Change(m *notifier.Message, c *eventdata.Change) string { return marked(m, sayChange(c)) }

func sayChange(c *eventdata.Change) string {
	text := nameEntity(c.Entity)
	if kind := notifier.Line(c.Kind, maxName); kind != "" {
		text = kind + " of " + text
	}
	if summary := notifier.Line(c.Summary, maxName); summary != "" {
		text += ": " + summary
	}
	if c.Time != nil {
		text += " (" + moment(c.Time) + ")"
	}
	return notifier.Line(text, maxText)
}

func impact(i *eventdata.Impact) string {
	var parts []string
	if n := len(i.Services); n > 0 {
		text := count(n, "service", "services")
		if i.Ratio > 0 {
			text += " (" + percent(min(i.Ratio, 1)) + " of all)"
		}
		parts = append(parts, text+": "+names(i.Services))
	}
	if i.FailureRatio > 0 {
		parts = append(parts, percent(min(i.FailureRatio, 1))+" of requests fail")
	}
	return strings.Join(parts, "; ")
}

func sayObjective(o *eventdata.Objective) string {
	return fmt.Sprintf("%s of %s burns %.3g times too fast, %s used up",
		notifier.Line(o.Objective, maxName), notifier.Line(o.Service, maxName), o.BurnRate, percent(o.BudgetConsumed))
}

func sayEntry(t *eventdata.TimelineEntry) string {
	if t.Time == nil {
		return t.Text
	}
	return t.Time.UTC().Format(time.TimeOnly) + " " + t.Text
}

// names joins the first names and says how many more there are.
func names(all []string) string {
	first := sayFirst(all, maxNames, func(s *string) string { return notifier.Line(*s, maxName) })
	text := strings.Join(first, ", ")
	if more := len(all) - maxNames; more > 0 {
		text += " and " + strconv.Itoa(more) + " more"
	}
	return text
}

func percent(f float64) string {
	if f > 0 && f < 0.01 {
		return "under 1 %"
	}
	return strconv.FormatFloat(max(f, 0)*100, 'f', 0, 64) + " %"
}

func moment(t *time.Time) string {
	if t == nil || t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}

func lasted(d time.Duration) string {
	if d < time.Minute {
		return d.Round(100 * time.Millisecond).String()
	}
	text := d.Round(time.Second).String()
	for _, zero := range []struct{ of, unit string }{{"m", "0s"}, {"h", "0m"}} {
		if strings.HasSuffix(text, zero.of+zero.unit) {
			text = strings.TrimSuffix(text, zero.unit)
		}
	}
	return text
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}
