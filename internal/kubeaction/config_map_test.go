package kubeaction

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/paramedic-otel/paramedic/internal/kubetest"
)

func setFlag(key, value string) Step {
	return Step{PatchConfigMap: &PatchConfigMap{Name: "flags", Key: key, Value: value}}
}

func TestPatchConfigMapValidate(t *testing.T) {
	flag := setFlag("checkout", "off")
	require.NoError(t, flag.Validate())
	err := (&Step{PatchConfigMap: &PatchConfigMap{Name: "UPPER", Key: "a/b", Value: strings.Repeat("x", 4097)}}).Validate()
	require.ErrorContains(t, err, `name must be that of a config map, got "UPPER"`)
	require.ErrorContains(t, err, `key must be a key of a config map, got "a/b"`)
	require.ErrorContains(t, err, "value must be text of at most 4096 bytes, got 4097 bytes")
}

func TestConfigMapRules(t *testing.T) {
	rule := ConfigMapRule{Name: "flags", Keys: []string{"a"}, Values: []string{"on"}, Pattern: "[0-9]{1,3}"}
	require.NoError(t, rule.Validate())
	for _, test := range []struct {
		name, key, value string
		want             bool
	}{
		{"flags", "a", "on", true},
		{"flags", "a", "120", true},
		{"flags", "a", "1200", false},
		{"flags", "a", "120\nx", false},
		{"flags", "a", "off", false},
		{"flags", "b", "on", false},
		{"other", "a", "on", false},
	} {
		assert.Equal(t, test.want, rule.allows(test.name, test.key, "", test.value), "%+v", test)
	}
	assert.False(t, (&ConfigMapRule{Name: "flags", Keys: []string{"a"}, Values: []string{"on"}}).allows("flags", "a", "", ""))
	either := ConfigMapRule{Name: "flags", Keys: []string{"a"}, Pattern: "on|off"}
	assert.True(t, either.allows("flags", "a", "", "off"))
	assert.False(t, either.allows("flags", "a", "", "online"), "the whole value")
	inside := ConfigMapRule{Name: "flags", Keys: []string{"a"}, Paths: []string{"/x"}, Values: []string{"on"}}
	require.NoError(t, inside.Validate())
	assert.True(t, inside.allows("flags", "a", "/x", "on"))
	assert.False(t, inside.allows("flags", "a", "/y", "on"))
	assert.False(t, inside.allows("flags", "a", "", "on"), "never the whole text")
	assert.False(t, rule.allows("flags", "a", "/x", "on"))
	require.ErrorContains(t, (&ConfigMapRule{Name: "flags", Keys: []string{"a"}, Paths: []string{"x"}, Values: []string{"on"}}).Validate(), `paths must be JSON pointers of at most 512 bytes such as /flags/checkout/state, got "x"`)
	err := (&ConfigMapRule{Name: "-", Keys: []string{"a b"}, Pattern: "("}).Validate()
	require.ErrorContains(t, err, "name must be")
	require.ErrorContains(t, err, "keys must be keys")
	require.ErrorContains(t, err, "pattern must be a regular expression")
	err = (&ConfigMapRule{Name: "flags"}).Validate()
	require.EqualError(t, err, "keys must name at least one key, got none\nvalues or pattern must say what may be set, got neither")
}

func TestKubernetesPatchConfigMap(t *testing.T) {
	t.Parallel()
	b := newBench(t, &PatchConfigMap{Name: "flags"})
	flags := kubetest.ConfigMap(b.ns, "flags", map[string]string{"checkout": "on", "other": "stays", "long": strings.Repeat("x", 5000)})
	flags.BinaryData = map[string][]byte{"binary": {0xff}}
	web := kubetest.Deployment(b.ns, "web", 2)
	web.Labels["service.criticality"] = "critical"
	web.Spec.Template.Spec.Containers[0].EnvFrom = []corev1.EnvFromSource{{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "flags"}}}}
	b.lab.Create(t, flags, web, kubetest.Deployment(b.ns, "else", 3))
	b.lab.WaitRolledOut(t, web)
	b.refused(b.order("a", setFlag("checkout", "off"), "", ""), ReasonOutOfScope, "no rule of config_maps")
	b.client.settings.ConfigMaps = []ConfigMapRule{{Name: "flags", Keys: []string{"checkout", "binary", "none", "long"}, Values: []string{"off", "on"}}}
	b.refused(b.order("a", setFlag("checkout", "broken"), "", ""), ReasonOutOfScope, "no rule of config_maps")
	b.refused(b.order("a", setFlag("other", "off"), "", ""), ReasonOutOfScope, "no rule of config_maps")
	b.refused(b.order("a", setFlag("binary", "off"), "", ""), ReasonUnsupported, "binary data")
	b.refused(b.order("a", setFlag("none", "off"), "", ""), ReasonTargetMissing, "no key")
	b.refused(b.order("a", setFlag("long", "off"), "", ""), ReasonBounds, "5000 bytes")

	p := b.prepare(b.order("off", setFlag("checkout", "off"), "", ""))
	assert.Equal(t, 2, p.Weight, "the pods that read it")
	assert.Equal(t, "critical", p.Criticality)
	assert.Equal(t, 5, p.Population)
	b.once(p, []string{"updated ConfigMap flags: data.checkout, metadata.annotations"},
		[]string{"updated ConfigMap flags: data.checkout, metadata.annotations.paramedic.io/undone"})
	b.apply(b.prepare(b.order("off-2", setFlag("checkout", "off"), "", "")))
	lost := b.prepare(b.order("off-2", setFlag("checkout", "off"), "", ""))
	assert.True(t, lost.NoOp)
	b.undo(b.apply(lost))
	b.lab.Refresh(t, flags)
	assert.Equal(t, "on", flags.Data["checkout"])
	b.writes(func() {
		none := b.prepare(b.order("on", setFlag("checkout", "on"), "", ""))
		assert.True(t, none.NoOp)
		assert.True(t, b.undo(b.apply(none)).NoOp)
	})

	p = b.prepare(b.order("off-3", setFlag("checkout", "off"), "", ""))
	b.lab.Patch(t, flags, `{"data":{"checkout":"half"}}`)
	b.writes(func() {
		_, err := b.client.Apply(permitted(t.Context()), p)
		b.refusal(err, ReasonTargetChanged, "somebody else has set key checkout")
	})
	b.lab.Patch(t, flags, `{"immutable":true}`)
	b.refused(b.order("a", setFlag("checkout", "off"), "", ""), ReasonUnsupported, "immutable")
}

// A flag in a JSON text, as flagd has them, is set without touching anything else of the text.
func TestKubernetesPatchConfigMapPath(t *testing.T) {
	t.Parallel()
	b := newBench(t, &PatchConfigMap{Name: "flags"})
	const text = "{\n  \"flags\": {\"fail\":  {\"state\":\"ENABLED\", \"share\": 0.5, \"on\":true}},\n \"z\": [1]\n}\n"
	flags := kubetest.ConfigMap(b.ns, "flags", map[string]string{"demo.json": text, "text": "on"})
	b.lab.Create(t, flags)
	b.client.settings.ConfigMaps = []ConfigMapRule{{
		Name: "flags", Keys: []string{"demo.json", "text"}, Paths: []string{"/flags/fail/state", "/flags/fail/share", "/flags/none"}, Pattern: "[A-Z]+|[0-9.]+",
	}}
	set := func(key, path, value string) Step {
		return Step{PatchConfigMap: &PatchConfigMap{Name: "flags", Key: key, Path: path, Value: value}}
	}
	b.refused(b.order("a", set("demo.json", "", "OFF"), "", ""), ReasonOutOfScope, "no rule")
	b.refused(b.order("a", set("demo.json", "/flags/fail/on", "OFF"), "", ""), ReasonOutOfScope, "no rule")
	b.refused(b.order("a", set("demo.json", "/flags/none", "OFF"), "", ""), ReasonTargetMissing, "there is no string")
	b.refused(b.order("a", set("demo.json", "/flags/fail/share", "OFF"), "", ""), ReasonBounds, "it is a number")
	b.refused(b.order("a", set("text", "/flags/none", "OFF"), "", ""), ReasonTargetMissing, "read JSON")

	r := b.once(b.prepare(b.order("off", set("demo.json", "/flags/fail/state", "DISABLED"), "", "")),
		[]string{"updated ConfigMap flags: data.demo.json, metadata.annotations"},
		[]string{"updated ConfigMap flags: data.demo.json, metadata.annotations.paramedic.io/undone"})
	h, err := b.client.Health(t.Context(), r)
	require.NoError(t, err)
	assert.True(t, h.Failed, "it was undone")
	b.lab.Refresh(t, flags)
	assert.Equal(t, text, flags.Data["demo.json"], "to the byte")

	b.apply(b.prepare(b.order("share", set("demo.json", "/flags/fail/share", "0.25"), "", "")))
	lost := b.prepare(b.order("share", set("demo.json", "/flags/fail/share", "0.25"), "", ""))
	b.lab.Refresh(t, flags)
	assert.Equal(t, strings.Replace(text, "0.5", "0.25", 1), flags.Data["demo.json"])
	b.undo(b.apply(lost))
	b.lab.Refresh(t, flags)
	assert.Equal(t, text, flags.Data["demo.json"])

	require.ErrorContains(t, (&Step{PatchConfigMap: &PatchConfigMap{Name: "flags", Key: "a", Path: "x"}}).Validate(), "path must be JSON pointers")
}
