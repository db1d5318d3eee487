package main

import (
	"fmt"
	"time"

	"github.com/paramedic-otel/paramedic/internal/anomalystate"
	"github.com/paramedic-otel/paramedic/internal/baseline"
)

// profile is what was learnt of one series, for people.
type profile struct {
	Stream     string         `json:"stream"`
	Workload   string         `json:"workload,omitempty"`
	Resource   map[string]any `json:"resource,omitempty"`
	Metric     string         `json:"metric,omitempty"`
	Attributes map[string]any `json:"attributes,omitempty"`
	Kind       string         `json:"kind"`
	Signal     string         `json:"signal"`
	LastPoint  string         `json:"last_point"`
	// Expected, Lower and Upper are the level and the band in which 96 % of the points lie, at the time of the last point.
	Expected float64 `json:"expected"`
	Lower    float64 `json:"lower"`
	Upper    float64 `json:"upper"`
	Abnormal bool    `json:"abnormal"`
	// Since is the onset of the open episode, or the end of the last one.
	Since string `json:"since,omitempty"`
	Error string `json:"error,omitempty"`
}

func newProfile(s *anomalystate.Stream, sig *anomalystate.Signal) profile {
	metric, attributes, _ := s.Describe()
	p := profile{
		Stream: s.Key.String(), Resource: s.Resource.Describe().AsRaw(), Metric: metric, Attributes: attributes.AsRaw(),
		Kind: anomalystate.Kind(s.Kind).String(), Signal: sig.Name,
	}
	if s.Workload != 0 {
		p.Workload = fmt.Sprintf("%016x", s.Workload)
	}
	if sig.Turned != 0 {
		p.Since = stamp(sig.Turned)
	}
	var series baseline.Series
	if err := series.UnmarshalBinary(sig.State); err != nil {
		p.Error = err.Error()
		return p
	}
	p.LastPoint, p.Abnormal = stamp(series.Last()), series.Abnormal()
	// What the detector expects of a next point is what it has learnt; the point itself is never kept.
	params := baseline.Params{WarmUpPoints: 1, Memory: time.Hour, LevelShiftAfter: time.Hour, AnomaliesPerDay: 1, MinScore: 0.95}
	v := params.Observe(&series, series.Last()+int64(time.Second), 0, &baseline.Limits{}, 0)
	p.Expected, p.Lower, p.Upper = v.Expected, v.Lower, v.Upper
	return p
}
