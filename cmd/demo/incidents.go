package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/paramedic-otel/paramedic/semconv"
)

// maxLine bounds what is kept of a line that does not end.
const maxLine = 8 << 20

// seenEvent is an incident event with the wall time at which we saw it.
type seenEvent struct {
	semconv.IncidentEvent
	seen time.Time
}

// incidentTail follows the file into which the collector writes incident events, one export request a line.
type incidentTail struct {
	path   string
	offset int64
	rest   []byte // the beginning of a line whose end is not there yet
}

// next returns the events that were written since the last call. A line that cannot be decoded is reported and passed over.
func (t *incidentTail) next(now time.Time) ([]seenEvent, error) {
	f, err := os.Open(t.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.NewSectionReader(f, t.offset, maxLine))
	if err != nil {
		return nil, err
	}
	t.offset += int64(len(data))
	t.rest = append(t.rest, data...)

	var events []seenEvent
	var errs []error
	for {
		line, rest, found := bytes.Cut(t.rest, []byte{'\n'})
		if !found {
			break
		}
		t.rest = rest
		decoded, err := decodeLine(line)
		if err != nil {
			errs = append(errs, err)
		}
		for _, e := range decoded {
			events = append(events, seenEvent{e, now})
		}
	}
	if len(t.rest) > maxLine {
		t.rest = nil
		errs = append(errs, fmt.Errorf("a line of the incidents file is longer than %d bytes", maxLine))
	}
	return events, errors.Join(errs...)
}

// decodeLine returns the incident events of one line of OTLP JSON.
func decodeLine(line []byte) ([]semconv.IncidentEvent, error) {
	if len(bytes.TrimSpace(line)) == 0 {
		return nil, nil
	}
	var unmarshaler plog.JSONUnmarshaler
	logs, err := unmarshaler.UnmarshalLogs(line)
	if err != nil {
		return nil, fmt.Errorf("incidents file: %w", err)
	}
	var events []semconv.IncidentEvent
	var errs []error
	for _, rl := range logs.ResourceLogs().All() {
		for _, sl := range rl.ScopeLogs().All() {
			for _, lr := range sl.LogRecords().All() {
				if !semconv.IsIncidentEvent(lr) {
					continue
				}
				e, err := semconv.DecodeIncidentEvent(lr)
				if err != nil {
					errs = append(errs, err)
					continue
				}
				events = append(events, e)
			}
		}
	}
	return events, errors.Join(errs...)
}
