package alertmanager

import (
	"maps"
	"strings"
	"time"

	"github.com/paramedic-otel/paramedic/internal/notifier"
	"github.com/paramedic-otel/paramedic/semconv"
)

// What is remembered of an incident: the labels of its alert, and when which of its alerts ended.
const (
	keyStarts   = "starts"
	keySeverity = "severity"
	keyService  = "service"
	keyEnded    = "ended"
	keyWas      = "was"
	// keyAsked, with an intent, is when its approval was asked for.
	keyAsked = "asked/"
	// maxMemory bounds the entries.
	maxMemory = 16
)

// memory is a notifier.Memory, read.
type memory struct {
	starts, ended time.Time
	severity      semconv.Severity
	service       string
	was           []formerly
}

// formerly is an alert that ended when another with a graver severity began.
type formerly struct {
	severity semconv.Severity
	ended    time.Time
}

func decode(m notifier.Memory) memory {
	var out memory
	// What cannot be read is as good as not there.
	out.starts, _ = time.Parse(time.RFC3339Nano, m[keyStarts])
	out.ended, _ = time.Parse(time.RFC3339Nano, m[keyEnded])
	out.severity, out.service = semconv.Severity(m[keySeverity]), m[keyService]
	for entry := range strings.SplitSeq(m[keyWas], ",") {
		severity, at, _ := strings.Cut(entry, "@")
		if ended, err := time.Parse(time.RFC3339Nano, at); err == nil {
			out.was = append(out.was, formerly{semconv.Severity(severity), ended})
		}
	}
	return out
}

// encode puts what is remembered beside what else there is.
func (m *memory) encode(beside notifier.Memory) notifier.Memory {
	out := maps.Clone(beside)
	if out == nil {
		out = notifier.Memory{}
	}
	var was []string
	for _, f := range m.was {
		was = append(was, string(f.severity)+"@"+f.ended.UTC().Format(time.RFC3339Nano))
	}
	ended := ""
	if !m.ended.IsZero() {
		ended = m.ended.UTC().Format(time.RFC3339Nano)
	}
	for name, value := range map[string]string{
		keyStarts: m.starts.UTC().Format(time.RFC3339Nano), keySeverity: string(m.severity), keyService: m.service,
		keyEnded: ended, keyWas: strings.Join(was, ","),
	} {
		if value == "" {
			delete(out, name)
		} else {
			out[name] = value
		}
	}
	return out
}
