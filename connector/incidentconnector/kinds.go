package incidentconnector

import (
	"strings"

	"github.com/paramedic-otel/paramedic/semconv"
)

// kindRule says what kind of trouble the metrics show whose names have all of the words.
type kindRule struct {
	words []string
	kind  semconv.CauseKind
	// failure is set where a rise is a failure whoever looks at it, so that it may open an incident.
	failure bool
	// counts is set where the value is how often something has happened: it stays when all is well again.
	counts bool
	// felt is set where others may be to blame as well, as for whoever waits for a slow answer.
	felt bool
}

// kindRules are asked in order; the first that fits counts. A name is in lower case, with dots for underscores and slashes
// and at both ends, so that ".gc." is a whole word.
var kindRules = []kindRule{
	{words: []string{"restart"}, kind: semconv.CauseCrash, failure: true, counts: true},
	{words: []string{".oom"}, kind: semconv.CauseCrash, failure: true, counts: true},
	{words: []string{"crash"}, kind: semconv.CauseCrash, failure: true},
	{words: []string{"k8s.deployment.available"}, kind: semconv.CauseCrash},
	{words: []string{"k8s.", ".ready"}, kind: semconv.CauseCrash},
	{words: []string{"k8s.pod.phase"}, kind: semconv.CauseCrash},
	{words: []string{"network", "error"}, kind: semconv.CauseNetwork, failure: true},
	{words: []string{"network", "drop"}, kind: semconv.CauseNetwork, failure: true},
	{words: []string{"packet", "drop"}, kind: semconv.CauseNetwork, failure: true},
	{words: []string{"packet", "los"}, kind: semconv.CauseNetwork, failure: true},
	{words: []string{"retrans"}, kind: semconv.CauseNetwork},
	{words: []string{"throttl"}, kind: semconv.CauseCPU},
	{words: []string{"error"}, kind: semconv.CauseErrors, failure: true},
	{words: []string{"fail"}, kind: semconv.CauseErrors, failure: true},
	{words: []string{"exception"}, kind: semconv.CauseErrors, failure: true},
	{words: []string{".gc."}, kind: semconv.CauseMemory},
	{words: []string{"garbage"}, kind: semconv.CauseMemory},
	{words: []string{"disk", "time"}, kind: semconv.CauseDisk},
	{words: []string{"duration"}, kind: semconv.CauseLatency, felt: true},
	{words: []string{"latency"}, kind: semconv.CauseLatency, felt: true},
	{words: []string{"descriptor"}, kind: semconv.CauseSaturation},
	{words: []string{".fds"}, kind: semconv.CauseSaturation},
	{words: []string{".handles"}, kind: semconv.CauseSaturation},
	{words: []string{"thread"}, kind: semconv.CauseSaturation},
	{words: []string{"goroutine"}, kind: semconv.CauseSaturation},
	{words: []string{"queue"}, kind: semconv.CauseSaturation, felt: true},
	{words: []string{"backlog"}, kind: semconv.CauseSaturation, felt: true},
	{words: []string{".lag"}, kind: semconv.CauseSaturation, felt: true},
	{words: []string{"pool"}, kind: semconv.CauseSaturation, felt: true},
	{words: []string{"pending"}, kind: semconv.CauseSaturation, felt: true},
	{words: []string{"rejected"}, kind: semconv.CauseSaturation, felt: true},
	{words: []string{"client.connection"}, kind: semconv.CauseSaturation, felt: true},
	{words: []string{"cpu"}, kind: semconv.CauseCPU},
	{words: []string{"load.average"}, kind: semconv.CauseCPU},
	{words: []string{"eventloop"}, kind: semconv.CauseCPU},
	{words: []string{"memory"}, kind: semconv.CauseMemory},
	{words: []string{"heap"}, kind: semconv.CauseMemory},
	{words: []string{"paging"}, kind: semconv.CauseMemory},
	{words: []string{"swap"}, kind: semconv.CauseMemory},
	{words: []string{"disk"}, kind: semconv.CauseDisk},
	{words: []string{"filesystem"}, kind: semconv.CauseDisk},
	{words: []string{"volume"}, kind: semconv.CauseDisk},
	{words: []string{"inode"}, kind: semconv.CauseDisk},
	{words: []string{"storage"}, kind: semconv.CauseDisk},
	{words: []string{"network"}, kind: semconv.CauseNetwork},
	{words: []string{"packet"}, kind: semconv.CauseNetwork},
	{words: []string{"socket"}, kind: semconv.CauseNetwork},
	{words: []string{"request"}, kind: semconv.CauseTraffic, felt: true},
	{words: []string{"connection"}, kind: semconv.CauseTraffic, felt: true},
}

// kindsOfUnits tell it for metrics whose names do not.
var kindsOfUnits = map[string]kindRule{
	"s":           {kind: semconv.CauseLatency, felt: true},
	"ms":          {kind: semconv.CauseLatency, felt: true},
	"us":          {kind: semconv.CauseLatency, felt: true},
	"ns":          {kind: semconv.CauseLatency, felt: true},
	"{restart}":   {kind: semconv.CauseCrash, failure: true, counts: true},
	"{error}":     {kind: semconv.CauseErrors, failure: true},
	"{exception}": {kind: semconv.CauseErrors, failure: true},
	"{failure}":   {kind: semconv.CauseErrors, failure: true},
	"{request}":   {kind: semconv.CauseTraffic, felt: true},
	"{message}":   {kind: semconv.CauseTraffic, felt: true},
	"{packet}":    {kind: semconv.CauseNetwork},
	"{thread}":    {kind: semconv.CauseSaturation},
	"{cpu}":       {kind: semconv.CauseCPU},
}

var wordBreaks = strings.NewReplacer("_", ".", "/", ".", "-", ".")

// kindOf says what kind of trouble a signal of a metric shows, by the words in its name or else by its unit, which is asked for
// only then.
func kindOf(metric string, unit func() string, signal string) kindRule {
	if signal == semconv.SignalMissing || signal == semconv.SignalEntity {
		// Why a series has stopped, or in which of its signals an entity is odd, no name tells. All signals together may
		// well show what others have done.
		return kindRule{kind: semconv.CauseUnknown, felt: signal == semconv.SignalEntity}
	}
	rule, ok := ruleOf(metric)
	if !ok {
		if rule, ok = kindsOfUnits[unit()]; !ok {
			return kindRule{kind: semconv.CauseUnknown}
		}
	}
	if rule.kind == semconv.CauseLatency && signal == semconv.SignalRate {
		// How often something is timed is how often it happens.
		rule.kind = semconv.CauseTraffic
	}
	rule.counts = rule.counts && signal == semconv.SignalValue
	return rule
}

func ruleOf(metric string) (kindRule, bool) {
	name := "." + wordBreaks.Replace(strings.ToLower(metric)) + "."
next:
	for _, rule := range kindRules {
		for _, word := range rule.words {
			if !strings.Contains(name, word) {
				continue next
			}
		}
		return rule, true
	}
	return kindRule{}, false
}
