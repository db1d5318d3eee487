package incidentconnector

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/paramedic-otel/paramedic/semconv"
)

const (
	// maxVersionKeys is how many attributes of how many containers are watched of a service, maxVersions how many values of
	// each are known: a roll-out has two.
	maxVersionKeys = 16
	maxVersions    = 8
	// maxVersionChanges is how many new values within change_window are believed to be versions: more than that are no
	// versions, but something that every process makes up.
	maxVersionChanges = 4
)

// versions are what was running of a service, as its resources say.
type versions struct {
	// since is when it was first looked at: what shows soon after was there before.
	since time.Time
	// last is when it was last looked at.
	last   time.Time
	values map[versionKey]*versionValues
}

type versionKey struct{ attribute, container string }

type versionValues struct {
	seen []versionSeen
	// changed is when the newest changes were.
	changed []time.Time
}

type versionSeen struct {
	value string
	last  time.Time
}

// versionAttributes say what is running, with the kind of change that another value is.
var versionAttributes = []struct{ attribute, kind string }{
	{semconv.AttrServiceVersion, semconv.ChangeVersion},
	{semconv.AttrContainerImageTag, semconv.ChangeImage},
	{semconv.AttrContainerImageTags, semconv.ChangeImage},
	{semconv.AttrDeploymentID, semconv.ChangeVersion},
}

// noteVersions finds out from a resource whether another version of a service is running than before.
func (e *engine) noteVersions(service string, at time.Time, resource pcommon.Map) {
	for _, v := range versionAttributes {
		value := text(resource, v.attribute)
		if value == "" {
			continue
		}
		key := versionKey{attribute: v.attribute}
		if v.kind == semconv.ChangeImage {
			key.container = bounded(str(resource, semconv.AttrK8sContainerName))
		}
		e.noteVersion(service, key, v.kind, value, at)
	}
}

// noteVersion takes a value that says what is running of a service. The first sighting of another one than before is a
// change. During a roll-out both are seen, which is none; one that comes back after it was gone is a rollback.
func (e *engine) noteVersion(service string, key versionKey, kind, value string, at time.Time) {
	if at.IsZero() {
		return
	}
	known := e.directory.versions[service]
	if known == nil {
		if len(e.directory.versions) >= e.cfg.Limits.Services {
			e.refusals.limit++
			return
		}
		known = &versions{since: at, values: map[versionKey]*versionValues{}}
		e.directory.versions[service] = known
	}
	known.last = latest(known.last, at)
	values := known.values[key]
	if values == nil {
		if len(known.values) >= maxVersionKeys {
			return
		}
		values = &versionValues{}
		known.values[key] = values
	}
	before, change := values.see(value, at, e.cfg.StaleAfter)
	if change == "" || at.Sub(known.since) < e.cfg.GroupWindow {
		return
	}
	if change != semconv.ChangeRollback {
		change = kind
	}
	values.changed = slices.DeleteFunc(values.changed, func(t time.Time) bool { return at.Sub(t) > e.cfg.ChangeWindow })
	if len(values.changed) >= maxVersionChanges {
		return
	}
	values.changed = append(values.changed, at)
	what := key.attribute
	if key.container != "" {
		what += " of container " + key.container
	}
	e.noteChange(at, semconv.Entity{Type: semconv.EntityService, Name: service}, change,
		fmt.Sprintf("%s %s → %s", what, excerpt(before), excerpt(value)), false)
}

// see takes a value in. It returns what ran before, and what sort of change it is: none, a rollback, or any other.
func (v *versionValues) see(value string, at time.Time, gone time.Duration) (before, kind string) {
	newest, mine, oldest := -1, -1, 0
	for i, s := range v.seen {
		if s.value == value {
			mine = i
		} else if newest < 0 || s.last.After(v.seen[newest].last) {
			newest = i
		}
		if s.last.Before(v.seen[oldest].last) {
			oldest = i
		}
	}
	if mine >= 0 {
		last := v.seen[mine].last
		if at.After(last) {
			v.seen[mine].last = at
		}
		if newest >= 0 && v.seen[newest].last.Sub(last) > gone {
			return v.seen[newest].value, semconv.ChangeRollback
		}
		return "", ""
	}
	if newest >= 0 {
		before, kind = v.seen[newest].value, semconv.ChangeVersion
	}
	if len(v.seen) >= maxVersions {
		v.seen[oldest] = versionSeen{value, at}
	} else {
		v.seen = append(v.seen, versionSeen{value, at})
	}
	return before, kind
}

// text returns the value of an attribute that is text or a list of texts, bounded.
func text(m pcommon.Map, key string) string {
	v, ok := m.Get(key)
	if !ok {
		return ""
	}
	switch v.Type() {
	case pcommon.ValueTypeStr:
		return bounded(v.Str())
	case pcommon.ValueTypeSlice:
		var parts []string
		for i := range min(v.Slice().Len(), maxVersions) {
			if part := v.Slice().At(i); part.Type() == pcommon.ValueTypeStr {
				parts = append(parts, bounded(part.Str()))
			}
		}
		return bounded(strings.Join(parts, ","))
	default:
		return ""
	}
}
