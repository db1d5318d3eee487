package main

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/paramedic-otel/paramedic/semconv"
)

// maxEvidence is how many pieces of evidence an answer is written down with.
const maxEvidence = 3

// evidence is what is said against a service.
type evidence struct {
	Signal  string `json:"signal"`
	Summary string `json:"summary"`
}

// evidenceAgainst returns the first pieces of evidence against a service.
func evidenceAgainst(e semconv.IncidentEvent, service string) []evidence {
	out := []evidence{}
	for _, c := range e.Incident.Causes {
		if c.Entity.Type != semconv.EntityService || bare(c.Entity.Name) != service {
			continue
		}
		for _, ev := range c.Evidence[:min(len(c.Evidence), maxEvidence)] {
			out = append(out, evidence{Signal: ev.Signal, Summary: ev.Summary})
		}
	}
	return out
}

// metricWords say by which words of a metric's name the metrics are known that the source names as causes.
var metricWords = map[string][]string{
	"CpuUsageRate(%)":    {"cpu"},
	"MemoryUsageRate(%)": {"memory"},
	"NetworkP90(ms)":     {"network", "traces_service_graph_request_client"},
}

// namesPlace reports whether the first piece of evidence names what the source names as the cause inside the service: its
// metric, or a log record between the two places where the code was changed. Of log records, what counts is the place at
// which the sequence changed: the record that is missing or new, or the one after which another is missing.
func (r *result) namesPlace() bool {
	if len(r.Evidence) == 0 {
		return false
	}
	first := r.Evidence[0]
	if words, isMetric := metricWords[r.Label]; isMetric {
		for _, word := range words {
			if strings.Contains(first.Signal, word) {
				return true
			}
		}
		return false
	}
	if first.Signal != semconv.AttrLogRecordTemplate {
		return false
	}
	from, to, ok := strings.Cut(r.Label, "_")
	if !ok {
		return false
	}
	return strings.Contains(first.Summary, from) || strings.Contains(first.Summary, to) || lineBetween(first.Summary, from, to)
}

var codePlace = regexp.MustCompile(`([\w.$]+)#(\d+)`)

// lineBetween reports whether a text names a place in the code between two places of one file.
func lineBetween(text, from, to string) bool {
	a, b := codePlace.FindStringSubmatch(from), codePlace.FindStringSubmatch(to)
	if a == nil || b == nil || a[1] != b[1] {
		return false
	}
	first, _ := strconv.Atoi(a[2])
	last, _ := strconv.Atoi(b[2])
	for _, place := range codePlace.FindAllStringSubmatch(text, -1) {
		line, _ := strconv.Atoi(place[2])
		if place[1] == a[1] && first <= line && line <= last {
			return true
		}
	}
	return false
}
