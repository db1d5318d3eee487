package otlpjsonl

import (
	"bytes"
	"errors"
	"fmt"

	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

var (
	errNoSignal  = errors.New("no resourceSpans, resourceMetrics or resourceLogs in it")
	errMixed     = errors.New("more than one of resourceSpans, resourceMetrics and resourceLogs in it")
	errNotObject = errors.New("not a JSON object")
	errTruncated = errors.New("the JSON object does not end")
	errTrailing  = errors.New("something follows the JSON object")
)

// Decode reads one line. Fields it does not know are skipped. The line is not kept.
func Decode(line []byte, maxDepth int) (Batch, error) {
	b := Batch{Bytes: len(line)}
	var err error
	if b.Signal, err = signalOf(line, maxDepth); err != nil {
		return Batch{}, err
	}
	switch b.Signal {
	case Traces:
		b.Traces, err = (&ptrace.JSONUnmarshaler{}).UnmarshalTraces(line)
	case Metrics:
		b.Metrics, err = (&pmetric.JSONUnmarshaler{}).UnmarshalMetrics(line)
	case Logs:
		b.Logs, err = (&plog.JSONUnmarshaler{}).UnmarshalLogs(line)
	}
	if err != nil {
		return Batch{}, fmt.Errorf("decode %s: %w", b.Signal, err)
	}
	b.measure()
	return b, nil
}

// signalOf finds out what the line is by the keys of its outermost object, wherever in it they
// stand, and checks what the unmarshalers leave unchecked: depth, and that nothing follows.
func signalOf(line []byte, maxDepth int) (Signal, error) {
	line = bytes.TrimSpace(line)
	if len(line) == 0 || line[0] != '{' {
		return 0, errNotObject
	}
	found := NumSignals
	depth := 0
	isKey := false // the next string in the outermost object is a key
	for i := 0; i < len(line); i++ {
		switch line[i] {
		case '"':
			end := stringEnd(line, i+1)
			if end < 0 {
				return 0, errTruncated
			}
			if depth == 1 && isKey {
				isKey = false
				if s := signalOfKey(line[i+1 : end]); s != NumSignals {
					if found != NumSignals && found != s {
						return 0, errMixed
					}
					found = s
				}
			}
			i = end
		case '{', '[':
			depth++
			if depth > maxDepth {
				return 0, fmt.Errorf("nested deeper than %d", maxDepth)
			}
			isKey = depth == 1
		case '}', ']':
			depth--
			if depth == 0 {
				if i != len(line)-1 {
					return 0, errTrailing
				}
				if found == NumSignals {
					return 0, errNoSignal
				}
				return found, nil
			}
		case ',':
			if depth == 1 {
				isKey = true
			}
		}
	}
	return 0, errTruncated
}

// stringEnd is the place of the quote that ends the string whose text starts at i, or -1.
func stringEnd(line []byte, i int) int {
	for {
		n := bytes.IndexByte(line[i:], '"')
		if n < 0 {
			return -1
		}
		i += n
		escapes := 0
		for line[i-1-escapes] == '\\' {
			escapes++
		}
		if escapes%2 == 0 {
			return i
		}
		i++
	}
}

func signalOfKey(key []byte) Signal {
	switch string(key) {
	case "resourceSpans", "resource_spans":
		return Traces
	case "resourceMetrics", "resource_metrics":
		return Metrics
	case "resourceLogs", "resource_logs":
		return Logs
	}
	return NumSignals
}
