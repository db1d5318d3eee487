package kubeaction

import (
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The README names every action with its class, every parameter it promises to name, every setting and its default.
func TestReadmeIsComplete(t *testing.T) {
	text, err := os.ReadFile("README.md")
	require.NoError(t, err)
	readme := string(text)
	row := func(start string) string {
		for line := range strings.Lines(readme) {
			if first, _, _ := strings.Cut(strings.TrimPrefix(line, "| "), " |"); strings.HasPrefix(line, "| ") && strings.Contains(first, "`"+start+"`") {
				return line
			}
		}
		return ""
	}
	for _, act := range actions {
		assert.Contains(t, row(act.name()), "| "+string(act.class())+" |", act.name())
	}
	for _, act := range []action{&Scale{}, &Rollback{}, &Shed{}, &Restore{}, &PatchConfigMap{}, &DeletePod{}, &EvictPod{}, &Cordon{}, &Uncordon{}, &Drain{}, &Isolate{}, &RunJob{}} {
		for _, field := range reflect.VisibleFields(reflect.TypeOf(act).Elem()) {
			parameter := field.Tag.Get("mapstructure")
			assert.True(t, row(act.name()+"::"+parameter) != "" || strings.Contains(row(act.name()+"::"+firstParameter(act)), "`"+parameter+"`"), act.name()+"::"+parameter)
		}
	}
	defaults := reflect.ValueOf(DefaultSettings())
	for i := range defaults.NumField() {
		name := defaults.Type().Field(i).Tag.Get("mapstructure")
		line := row(name)
		require.NotEmpty(t, line, name)
		value := defaults.Field(i)
		switch {
		case value.IsZero():
		case value.Kind() == reflect.Slice:
			for j := range value.Len() {
				assert.Contains(t, line, fmt.Sprintf("`%v`", value.Index(j)), name)
			}
		default:
			assert.Contains(t, line, fmt.Sprint(value.Interface()), name)
		}
	}
	for _, annotation := range []string{annotationIntent, annotationUndone, annotationIncident, annotationPrevious, labelShed, annotationLeft, annotationLeftAt, annotationCordoned, annotationDraining, annotationDrained, annotationIsolates, annotationExpires, labelIsolated, annotationTemplate} {
		assert.NotEmpty(t, row(annotation), annotation)
	}
	for name, value := range map[string]time.Duration{
		"evict_pod::deadline": defaultEvictDeadline, "drain::deadline": defaultDrainDeadline, "isolate::expires_after": defaultIsolation,
		"run_job::deadline": defaultJobDeadline, "run_job::ttl": defaultJobTTL,
	} {
		_, cell, _ := strings.Cut(row(name), "| duration, ")
		cell, _, _ = strings.Cut(cell, " |")
		told, err := time.ParseDuration(cell)
		require.NoError(t, err, name)
		assert.Equal(t, value, told, name)
	}
	assert.Contains(t, row("drain::max_pods"), fmt.Sprintf("int, %d ", defaultMaxPods))
	assert.Contains(t, row("cordon::min_ready_nodes"), fmt.Sprintf("int, %d ", defaultMinReadyNodes))
	assert.Contains(t, row("rollback::max_age"), "24h")
	assert.Equal(t, "24h0m0s", DefaultRollbackMaxAge.String())
	assert.Equal(t, "24h0m0s", DefaultRollbackPingPong.String())
}

func firstParameter(act action) string {
	return reflect.TypeOf(act).Elem().Field(0).Tag.Get("mapstructure")
}
