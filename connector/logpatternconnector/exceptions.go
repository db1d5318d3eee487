package logpatternconnector

import (
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/paramedic-otel/paramedic/internal/logpattern"
	"github.com/paramedic-otel/paramedic/semconv"
)

// otherException counts those that find no room.
var otherException = exceptionKey{name: semconv.LogPatternOther}

// countException counts an exception that a record's attributes tell of, and returns it; nil when there is none.
func (e *engine) countException(s *service, x *exceptionValues, interval int64) *exceptionCount {
	if x.name == "" && x.stack == "" {
		return nil
	}
	key := exceptionKey{name: x.name}
	if x.stack != "" {
		p, _ := e.traces.Match(x.stack, 0)
		if found, ok := exceptionOf(p.Template); ok {
			key.frame = found.frame
			if key.name == "" {
				key.name = found.name
			}
		}
	}
	if key.name == "" {
		return nil
	}
	key.name = key.name[:min(len(key.name), maxName)]
	count := e.exceptionIn(s, key)
	count.open[interval&1]++
	count.last = max(count.last, interval)
	return count
}

// exceptionIn returns the counter of an exception of a service.
func (e *engine) exceptionIn(s *service, key exceptionKey) *exceptionCount {
	if found := s.exceptions[key]; found != nil {
		return found
	}
	if len(s.exceptions) >= e.cfg.Limits.Exceptions {
		e.stats.merged[mergedExceptions]++
		key = otherException
		if found := s.exceptions[key]; found != nil {
			return found
		}
	}
	key = exceptionKey{strings.Clone(key.name), strings.Clone(key.frame)}
	found := &exceptionCount{exceptionKey: key}
	s.exceptions[key] = found
	return found
}

// put tells of an exception.
func (k *exceptionKey) put(attributes pcommon.Map) {
	attributes.PutStr(semconv.AttrExceptionType, k.name)
	if k.frame != "" {
		attributes.PutStr(semconv.AttrCodeFunctionName, k.frame)
	}
}

// exceptionOf reads an exception's type and top frame from the template of a stack trace.
func exceptionOf(template string) (key exceptionKey, ok bool) {
	const at = " at "
	head, frames, found := strings.Cut(template, ": "+logpattern.Wildcard+at)
	if !found {
		if head, frames, found = strings.Cut(template, at); !found {
			return key, false
		}
	}
	name := head[strings.LastIndexByte(head, ' ')+1:]
	short := name[strings.LastIndexByte(name, '.')+1:]
	if !strings.HasSuffix(short, "Exception") && !strings.HasSuffix(short, "Error") && !strings.HasSuffix(short, "Fault") &&
		!strings.HasSuffix(short, "Interrupt") && !strings.HasSuffix(short, "Exit") && !strings.HasSuffix(short, "Throwable") {
		return key, false
	}
	for _, end := range []string{at, " caused by "} {
		frames, _, _ = strings.Cut(frames, end)
	}
	if frames == "" || strings.ContainsRune(frames, ' ') {
		return key, false
	}
	return exceptionKey{name[:min(len(name), maxName)], frames[:min(len(frames), maxName)]}, true
}
