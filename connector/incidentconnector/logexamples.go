package incidentconnector

import (
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/paramedic-otel/paramedic/internal/logtemplate"
)

const (
	// maxLogExamples is how many error records of a service are remembered with their trace, maxExampleBytes how much of
	// the text of each.
	maxLogExamples  = 16
	maxExampleBytes = 128
)

// logExamples are error records of a service with the traces that they were written in.
type logExamples struct {
	list []logExample
	next int
}

type logExample struct {
	text  string
	trace pcommon.TraceID
	at    time.Time
}

// add remembers a record, in place of the oldest one; but those of the newest bucket stay, so that a flood of errors costs
// nothing.
func (l *logExamples) add(text string, trace pcommon.TraceID, at time.Time, bucket time.Duration) {
	if trace.IsEmpty() {
		return
	}
	if len(l.list) == maxLogExamples && at.Sub(l.list[l.next].at) < bucket {
		return
	}
	if len(text) > maxExampleBytes {
		text = text[:maxExampleBytes]
	}
	example := logExample{strings.Clone(text), trace, at}
	if len(l.list) < maxLogExamples {
		l.list = append(l.list, example)
		return
	}
	l.list[l.next] = example
	l.next = (l.next + 1) % maxLogExamples
}

// of returns the traces since a time of the records that have a template, all when it is empty.
func (l *logExamples) of(template string, since time.Time) (out traces) {
	for _, x := range l.list {
		if !x.at.Before(since) && fits(template, x.text) {
			out.put(traceExample{id: x.trace, at: x.at}, since)
		}
	}
	return out
}

// fits reports whether a text, of which the end may be cut off, can have a template: whether what the template says between its
// wildcards is there in this order.
func fits(template, text string) bool {
	const enough = 3
	cut := len(text) >= maxExampleBytes
	parts := strings.FieldsFunc(strings.ReplaceAll(template, logtemplate.Wildcard, "\n"), func(r rune) bool { return r == '\n' || r == ' ' })
	for n, part := range parts {
		i := strings.Index(text, part)
		if i < 0 {
			return cut && n >= enough
		}
		text = text[i+len(part):]
	}
	return true
}
