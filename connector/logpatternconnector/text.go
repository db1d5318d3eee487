package logpatternconnector

import (
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/paramedic-otel/paramedic/semconv"
)

// maxFields is how many fields of a structured body without a message are read.
const maxFields = 32

// textOf returns the text of a body: a string, bytes, the first message field of a map, or else its fields as in logfmt.
func (e *engine) textOf(body pcommon.Value) string {
	switch body.Type() {
	case pcommon.ValueTypeStr:
		return body.Str()
	case pcommon.ValueTypeBytes:
		e.buf = e.appendBytes(e.buf[:0], body.Bytes())
		return string(e.buf)
	case pcommon.ValueTypeMap:
		for _, name := range e.cfg.MessageFields {
			if v, ok := body.Map().Get(name); ok && v.Type() == pcommon.ValueTypeStr && v.Str() != "" {
				return v.Str()
			}
		}
		e.buf = e.appendFields(e.buf[:0], body.Map())
		return string(e.buf)
	case pcommon.ValueTypeEmpty, pcommon.ValueTypeSlice:
		return ""
	default:
		return body.AsString()
	}
}

func (e *engine) appendBytes(dst []byte, from pcommon.ByteSlice) []byte {
	for i := range min(from.Len(), e.cfg.Limits.LineBytes+1) {
		dst = append(dst, from.At(i))
	}
	return dst
}

// appendFields appends the scalar fields of a map, and the names of the others.
func (e *engine) appendFields(dst []byte, from pcommon.Map) []byte {
	n := 0
	for name, v := range from.All() {
		if n++; n > maxFields || len(dst) > e.cfg.Limits.LineBytes {
			break
		}
		if len(dst) > 0 {
			dst = append(dst, ' ')
		}
		dst = append(dst, name[:min(len(name), maxName)]...)
		switch v.Type() {
		case pcommon.ValueTypeMap, pcommon.ValueTypeSlice, pcommon.ValueTypeBytes, pcommon.ValueTypeEmpty:
		case pcommon.ValueTypeStr:
			text := v.Str()
			dst = append(append(dst, '='), text[:min(len(text), e.cfg.Limits.LineBytes)]...)
		default:
			dst = append(append(dst, '='), v.AsString()...)
		}
	}
	return dst
}

// severityOf returns the severity of a record: its number, or else its text, or else what the line says itself. An exception
// without any is an error.
func severityOf(lr plog.LogRecord, exception *exceptionValues, line string) severityClass {
	if n := lr.SeverityNumber(); n > plog.SeverityNumberUnspecified {
		return severityClass((min(n, plog.SeverityNumberFatal4) + 3) / 4) //nolint:gosec // 1 to 6
	}
	if text := lr.SeverityText(); text != "" {
		if class := levelOf(text); class != classUnspecified {
			return class
		}
	}
	if class := levelIn(line); class != classUnspecified {
		return class
	}
	if exception.name != "" {
		return classError
	}
	return classUnspecified
}

// levelBytes is within how many bytes of a line its level is looked for.
const levelBytes = 80

// levelIn returns the level that a line names near its beginning, in capitals or in brackets, or behind "level=".
func levelIn(line string) severityClass {
	line = line[:min(len(line), levelBytes)]
	for start := 0; start < len(line); {
		if !isLetter(line[start]) {
			start++
			continue
		}
		end := start + 1
		for end < len(line) && isLetter(line[end]) {
			end++
		}
		word := line[start:end]
		if len(word) >= 3 && len(word) <= 9 {
			bracketed := start > 0 && end < len(line) && line[start-1] == '[' && line[end] == ']'
			named := start > 0 && line[start-1] == '=' && (strings.HasSuffix(line[:start], "level=") || strings.HasSuffix(line[:start], "severity="))
			if bracketed || named || isUpper(word) {
				if class := levelOf(word); class != classUnspecified {
					return class
				}
			}
		}
		start = end
	}
	return classUnspecified
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

func isUpper(word string) bool {
	for i := range len(word) {
		if word[i]&0x20 != 0 {
			return false
		}
	}
	return true
}

// levels are the names of levels in common use.
var levels = []struct {
	name  string
	class severityClass
}{
	{"info", classInfo},
	{"error", classError},
	{"warn", classWarn},
	{"warning", classWarn},
	{"debug", classDebug},
	{"trace", classTrace},
	{"notice", classInfo},
	{"err", classError},
	{"severe", classError},
	{"fatal", classFatal},
	{"critical", classFatal},
	{"crit", classFatal},
	{"alert", classFatal},
	{"emerg", classFatal},
	{"emergency", classFatal},
	{"panic", classFatal},
}

// levelOf returns the class of a level's name; digits behind it, as in "ERROR2", do not matter.
func levelOf(name string) severityClass {
	name = strings.TrimRight(name, "1234")
	for i := range levels {
		if len(levels[i].name) == len(name) && strings.EqualFold(levels[i].name, name) {
			return levels[i].class
		}
	}
	return classUnspecified
}

// exceptionValues are the attributes of a record that tell of an exception.
type exceptionValues struct{ name, message, stack string }

func exceptionAttributes(attributes pcommon.Map) (x exceptionValues) {
	if attributes.Len() == 0 {
		return x
	}
	for name, v := range attributes.All() {
		if len(name) < len(semconv.AttrExceptionType) || name[0] != 'e' || v.Type() != pcommon.ValueTypeStr {
			continue
		}
		switch name {
		case semconv.AttrExceptionType:
			x.name = v.Str()
		case semconv.AttrExceptionMessage:
			x.message = v.Str()
		case semconv.AttrExceptionStacktrace:
			x.stack = v.Str()
		}
	}
	return x
}

// text returns what stands for the text of a record whose body has none.
func (x *exceptionValues) text() string {
	switch {
	case x.stack != "":
		return x.stack
	case x.name != "" && x.message != "":
		return x.name + ": " + x.message
	default:
		return x.name
	}
}
