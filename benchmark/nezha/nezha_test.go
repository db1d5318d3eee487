package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/paramedic-otel/paramedic/semconv"
)

func TestNamesPlace(t *testing.T) {
	const log = semconv.AttrLogRecordTemplate
	for name, c := range map[string]struct {
		label, signal, summary string
		want                   bool
	}{
		"metric":                {"CpuUsageRate(%)", "k8s.container.cpu_limit_utilization", "", true},
		"other metric":          {"CpuUsageRate(%)", "container.memory.usage", "", false},
		"waiting":               {"NetworkP90(ms)", "traces_service_graph_request_client", "", true},
		"missing step":          {"a.b.C#31_a.b.C#34", log, `after "a.b.C#31 x" the usual "a.b.C#34 y" is missing`, true},
		"place between":         {"a.b.C#31_a.b.C#40", log, `error "a.b.C#37 x" logged 5 times`, true},
		"place behind":          {"a.b.C#31_a.b.C#40", log, `error "a.b.C#41 x" logged 5 times`, false},
		"other file":            {"a.b.C#31_a.b.C#40", log, `error "a.b.D#37 x" logged 5 times`, false},
		"span and place":        {"C.query start_a.b.C#46", log, `what is missing is "a.b.C#46 x"`, true},
		"right place, no log":   {"a.b.C#31_a.b.C#34", "impact", "a.b.C#31", false},
		"text without a place":  {"Start charge card_Charge successfully", log, `after "Start charge card" the usual "Charged" is missing`, true},
		"other text":            {"Start charge card_Charge successfully", log, `error "no route"`, false},
		"label without a place": {"", log, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			r := result{Label: c.label, Evidence: []evidence{{Signal: c.signal, Summary: c.summary}, {Signal: "cpu"}}}
			assert.Equal(t, c.want, r.namesPlace())
		})
	}
	assert.False(t, (&result{Label: "CpuUsageRate(%)"}).namesPlace(), "no evidence")
}

func TestSeen(t *testing.T) {
	at := func(s int) time.Time { return time.Unix(int64(s), 0) }
	d := &day{recorded: []window{{at(0), at(60)}, {at(300), at(360)}}}
	assert.Equal(t, 20*time.Second, d.seen(at(10), at(30)))
	assert.Equal(t, 60*time.Second, d.seen(at(30), at(330)), "a gap does not count")
	assert.Equal(t, -5*time.Second, d.seen(at(10), at(5)))
	assert.Zero(t, d.seen(at(100), at(200)))
}

func TestThresholdText(t *testing.T) {
	assert.Equal(t, "8", thresholdText(1<<55))
	assert.Equal(t, "0", thresholdText(0))
	assert.Equal(t, "c4", thresholdText(0xc4<<48))
}

func TestChosen(t *testing.T) {
	s := &settings{seed: "1"}
	n := 0
	for i := range 1000 {
		if s.chosen(time.Duration(i).String(), 0.2) {
			n++
		}
	}
	assert.InDelta(t, 200, n, 40)
}
