package incidentconnector

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/paramedic-otel/paramedic/internal/excess"
	"github.com/paramedic-otel/paramedic/internal/logtemplate"
	"github.com/paramedic-otel/paramedic/semconv"
)

// strongEvent and weakEvent are how many spreads the events of Kubernetes are taken to be out, for they have none: the weak
// ones also happen to what only suffers, and in every roll-out.
const (
	strongEvent = 10
	weakEvent   = 3
)

// eventRule says what events with a reason, and a word in the message, show.
type eventRule struct {
	word    string
	kind    semconv.CauseKind
	spreads float64
}

// eventRules are the rules of each reason; the first whose word is in the message, in lower case, counts.
var eventRules = map[string][]eventRule{
	"OOMKilled":       {{kind: semconv.CauseMemory, spreads: strongEvent}},
	"OOMKilling":      {{kind: semconv.CauseMemory, spreads: strongEvent}},
	"SystemOOM":       {{kind: semconv.CauseMemory, spreads: strongEvent}},
	"BackOff":         {{word: "image", kind: semconv.CauseChange, spreads: strongEvent}, {kind: semconv.CauseCrash, spreads: strongEvent}},
	"Failed":          {{word: "image", kind: semconv.CauseChange, spreads: strongEvent}, {kind: semconv.CauseCrash, spreads: weakEvent}},
	"InspectFailed":   {{kind: semconv.CauseChange, spreads: strongEvent}},
	"ErrImagePull":    {{kind: semconv.CauseChange, spreads: strongEvent}},
	"Unhealthy":       {{kind: semconv.CauseCrash, spreads: weakEvent}},
	"ProbeWarning":    {{kind: semconv.CauseCrash, spreads: weakEvent}},
	"Killing":         {{kind: semconv.CauseCrash, spreads: weakEvent}},
	"NodeNotReady":    {{kind: semconv.CauseCrash, spreads: strongEvent}},
	"KubeletNotReady": {{kind: semconv.CauseCrash, spreads: strongEvent}},
	"Rebooted":        {{kind: semconv.CauseCrash, spreads: strongEvent}},
	"FailedScheduling": {
		{word: "insufficient cpu", kind: semconv.CauseCPU, spreads: weakEvent},
		{word: "insufficient memory", kind: semconv.CauseMemory, spreads: weakEvent},
		{word: "volume", kind: semconv.CauseDisk, spreads: weakEvent},
		{kind: semconv.CauseUnknown, spreads: weakEvent},
	},
	"Evicted": {
		{word: "ephemeral-storage", kind: semconv.CauseDisk, spreads: strongEvent},
		{word: "inode", kind: semconv.CauseDisk, spreads: strongEvent},
		{word: "disk", kind: semconv.CauseDisk, spreads: strongEvent},
		{word: "memory", kind: semconv.CauseMemory, spreads: strongEvent},
		{kind: semconv.CauseCrash, spreads: strongEvent},
	},
	"EvictionThresholdMet": {
		{word: "memory", kind: semconv.CauseMemory, spreads: strongEvent}, {kind: semconv.CauseDisk, spreads: strongEvent},
	},
	"Preempted":                 {{kind: semconv.CauseCrash, spreads: weakEvent}},
	"TaintManagerEviction":      {{kind: semconv.CauseCrash, spreads: weakEvent}},
	"NodeHasDiskPressure":       {{kind: semconv.CauseDisk, spreads: strongEvent}},
	"FreeDiskSpaceFailed":       {{kind: semconv.CauseDisk, spreads: strongEvent}},
	"ImageGCFailed":             {{kind: semconv.CauseDisk, spreads: weakEvent}},
	"NodeHasInsufficientMemory": {{kind: semconv.CauseMemory, spreads: strongEvent}},
	"NodeHasInsufficientPID":    {{kind: semconv.CauseSaturation, spreads: strongEvent}},
	"FailedMount":               {{kind: semconv.CauseDisk, spreads: weakEvent}},
	"FailedMapVolume":           {{kind: semconv.CauseDisk, spreads: weakEvent}},
	"FailedAttachVolume":        {{kind: semconv.CauseDisk, spreads: weakEvent}},
	"VolumeResizeFailed":        {{kind: semconv.CauseDisk, spreads: weakEvent}},
	"ProvisioningFailed":        {{kind: semconv.CauseDisk, spreads: weakEvent}},
	"NetworkNotReady":           {{kind: semconv.CauseNetwork, spreads: strongEvent}},
	"FailedCreatePodSandBox":    {{kind: semconv.CauseNetwork, spreads: weakEvent}},
	"FailedCreate":              {{kind: semconv.CauseCrash, spreads: weakEvent}},
	"BackoffLimitExceeded":      {{kind: semconv.CauseCrash, spreads: weakEvent}},
}

// sameReasons are other names for some reasons, as the states of containers have them.
var sameReasons = map[string]string{"CrashLoopBackOff": "BackOff", "ImagePullBackOff": "ErrImagePull", "ContainerCannotRun": "Failed", "CreateContainerConfigError": "Failed"}

func ruleOfEvent(reason, message string) (eventRule, bool) {
	if same := sameReasons[reason]; same != "" {
		reason = same
	}
	message = strings.ToLower(message)
	for _, rule := range eventRules[reason] {
		if strings.Contains(message, rule.word) {
			return rule, true
		}
	}
	return eventRule{}, false
}

// happenings holds the events of Kubernetes that are evidence.
type happenings struct {
	limit int
	// seen is how often the events were said to have happened, for receivers tell of the same one again.
	seen map[string]seenEvent
	held map[happeningKey]*happening
}

type seenEvent struct {
	count int64
	at    time.Time
}

type happeningKey struct {
	entity semconv.Entity
	reason string
}

// happening is what goes on with an entity according to its events.
type happening struct {
	rule    eventRule
	subject semconv.Entity
	message string
	count   int64
	// told is the last time of which there has been a symptom.
	first, last, told time.Time
	target            map[string]string
}

func newHappenings(limit int) *happenings {
	return &happenings{limit: limit, seen: map[string]seenEvent{}, held: map[happeningKey]*happening{}}
}

func (h *happenings) len() int { return len(h.seen) + len(h.held) }

// news returns how often an event has happened since it was last seen; false when there is no room to know that later.
func (h *happenings) news(ev *kubeEvent, at time.Time) (int64, bool) {
	if ev.uid == "" {
		return 1, true
	}
	seen, known := h.seen[ev.uid]
	if !known && h.len() >= h.limit {
		return 0, false
	}
	h.seen[ev.uid] = seenEvent{max(ev.count, seen.count), at}
	if !known {
		return 1, true
	}
	return max(0, ev.count-seen.count), true
}

func (h *happenings) forget(before time.Time) {
	for uid, seen := range h.seen {
		if seen.at.Before(before) {
			delete(h.seen, uid)
		}
	}
}

// observeEvent takes an event of Kubernetes in, that was told at a time.
func (e *engine) observeEvent(at time.Time, ev kubeEvent) {
	entity, ok := ev.entity()
	if !ok {
		return
	}
	n, room := e.happenings.news(&ev, at)
	if !room {
		e.refusals.limit++
	}
	if ev.at.IsZero() || ev.at.After(at) {
		ev.at = at
	}
	if n == 0 || at.Sub(ev.at) > e.cfg.GroupWindow {
		// It was told before, or it is from a list of what has happened lately.
		return
	}
	if kind, summary, ok := e.changeOfEvent(entity, &ev); ok {
		e.noteChange(ev.at, entity, kind, summary, false)
		return
	}
	rule, ok := ruleOfEvent(ev.reason, ev.message)
	if !ok {
		return
	}
	key := happeningKey{entity, ev.reason}
	held := e.happenings.held[key]
	if held == nil {
		if e.happenings.len() >= e.happenings.limit {
			e.refusals.limit++
			return
		}
		held = &happening{first: ev.at}
		e.happenings.held[key] = held
	}
	held.rule, held.message, held.target = rule, masked(ev.message), ev.target()
	held.count += n
	if ev.at.After(held.last) {
		held.last = ev.at
	}
}

// changeOfEvent says what was changed, for events that tell of a change.
func (e *engine) changeOfEvent(entity semconv.Entity, ev *kubeEvent) (kind, summary string, ok bool) {
	switch ev.reason {
	case "ScalingReplicaSet":
		if name := replicaSetIn(ev.message); name != "" && e.objects.newReplicaSet(entity, name) {
			return semconv.ChangeVersion, "rolled out as replica set " + excerpt(name), true
		}
		return semconv.ChangeScaling, masked(ev.message), true
	case "SuccessfulRescale":
		return semconv.ChangeScaling, masked(ev.message), true
	case "DeploymentRollback":
		return semconv.ChangeRollback, masked(ev.message), true
	default:
		return "", "", false
	}
}

// replicaSetIn returns the replica set that the deployment controller says it has scaled up.
func replicaSetIn(message string) string {
	rest, ok := strings.CutPrefix(message, "Scaled up replica set ")
	if !ok {
		return ""
	}
	name, _, _ := strings.Cut(rest, " ")
	return bounded(name)
}

// masked returns the template of a message from Kubernetes: names of pods, addresses and times vary and say nothing.
func masked(message string) string {
	miner := logtemplate.NewMiner(logtemplate.Limits{MaxTemplates: 2, MaxChildren: 2, MaxTokens: 24, MaxBytes: maxNameBytes})
	return miner.Text(miner.Match(message))
}

// noteHappenings turns events of Kubernetes into symptoms. One that is not repeated for stale_after is over.
func (e *engine) noteHappenings(now time.Time) {
	keys := make([]happeningKey, 0, len(e.happenings.held))
	for key := range e.happenings.held {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b happeningKey) int {
		return cmp.Or(cmp.Compare(a.entity.Type, b.entity.Type), cmp.Compare(a.entity.Name, b.entity.Name), cmp.Compare(a.reason, b.reason))
	})
	for _, key := range keys {
		h := e.happenings.held[key]
		if !h.first.Before(now) {
			continue
		}
		if h.subject == (semconv.Entity{}) {
			h.subject = e.subject(key.entity)
		}
		sk := symptomKey{classEvent, h.subject, key.reason + "\x00" + key.entity.String()}
		if e.gaps.elapsed(h.last, now) > e.cfg.StaleAfter {
			if known := e.symptoms[sk]; known != nil {
				e.quiet(known, now)
			}
			delete(e.happenings.held, key)
			continue
		}
		if !h.last.After(h.told) {
			continue
		}
		h.told = h.last
		times := ""
		if h.count > 1 {
			times = fmt.Sprintf(" %d times", h.count)
		}
		e.note(now, observation{trend: excess.Persisting, symptom: symptom{
			key: sk, kind: h.rule.kind, signal: "k8s.event " + key.reason, onset: h.first, resource: h.target, origin: key.entity,
			surprise: minSurprise + float64(h.count)/eventsPerSurprise, spreads: h.rule.spreads, score: scoreOf(minSurprise),
			summary: fmt.Sprintf("Kubernetes says %s%s: %q", excerpt(key.reason), times, excerpt(h.message)),
		}})
	}
}

// eventsPerSurprise lets a symptom that is repeated say how often, without it weighing much more.
const eventsPerSurprise = 1e6
