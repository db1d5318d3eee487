package main

import (
	"reflect"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/exporter/remediationexporter"
)

// TestExampleHasEveryNotifier proves that the example is valid as it is, and leaves no driver and no destination out.
func TestExampleHasEveryNotifier(t *testing.T) {
	_, cfg, err := load(t.Context(), []string{"../../examples/notifiers/config.yaml"}, "")
	require.NoError(t, err)
	used := map[string]bool{}
	for _, n := range cfg.Notifiers {
		v := reflect.ValueOf(n.Drivers)
		for i := range v.NumField() {
			field := v.Field(i)
			pointer := reflect.New(field.Type())
			pointer.Elem().Set(field)
			if pointer.MethodByName("HasValue").Call(nil)[0].Bool() {
				used[v.Type().Field(i).Name] = true
			}
		}
	}
	drivers := reflect.TypeFor[remediationexporter.Drivers]()
	for i := range drivers.NumField() {
		assert.True(t, used[drivers.Field(i).Name], drivers.Field(i).Name)
	}
	routed := map[string]bool{}
	for _, r := range cfg.Routes {
		for _, name := range append(append(r.Notify, r.NotifyOutside...), r.EscalateTo...) {
			routed[name] = true
		}
	}
	for name := range cfg.Notifiers {
		assert.True(t, routed[name], "no route leads to %s", name)
	}
}
