package kubeaction

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestScalarAt(t *testing.T) {
	const text = `{ "flags" : {"a/b": {"state":"ENABLED", "n" : -1.5e3 , "on":true,"none":null}, "list":["x", "y"], "a~b":"t"}, "dup":1, "dup":2}`
	for pointer, want := range map[string]string{
		"/flags/a~1b/state": `"ENABLED"`, "/flags/a~1b/n": "-1.5e3", "/flags/a~1b/on": "true", "/flags/a~1b/none": "null",
		"/flags/list/1": `"y"`, "/flags/a~0b": `"t"`,
	} {
		start, end, err := scalarAt(text, pointer)
		require.NoError(t, err, pointer)
		assert.Equal(t, want, text[start:end])
	}
	for pointer, text := range map[string]string{
		"/flags": text, "/none": text, "/dup": text, "": `{}`, "/a": `{"a":1} 2`, "/b": `{"b":`, "/c": strings.Repeat("[", 50),
	} {
		_, _, err := scalarAt(text, pointer)
		assert.Error(t, err, pointer)
	}
	start, end, err := scalarAt(" 7 ", "")
	require.NoError(t, err)
	assert.Equal(t, []int{1, 2}, []int{start, end})
}

func TestLiteralKeepsTheType(t *testing.T) {
	for _, test := range []struct{ text, like, want string }{
		{`o"ff`, `"on"`, `"o\"ff"`}, {"false", "true", "false"}, {"off", "true", ""}, {"2.5", "1", "2.5"}, {"x", "1", ""}, {`"2"`, "1", ""}, {"null", "1", ""}, {"1", "null", ""},
	} {
		got, err := literal(test.text, test.like)
		assert.Equal(t, test.want, got, "%+v", test)
		assert.Equal(t, test.want == "", err != nil, "%+v", test)
	}
}

// Whatever the text, what is found is a scalar, and replacing it leaves JSON behind.
func FuzzScalarAt(f *testing.F) {
	f.Add(`{"a":{"b":[1,"x",true,null]}}`)
	f.Add(` "x" `)
	f.Fuzz(func(t *testing.T, text string) {
		if eachScalar(text, func(string, int, int) {}) != nil {
			return
		}
		_ = eachScalar(text, func(pointer string, start, end int) {
			if !json.Valid([]byte(text[start:end])) || strings.ContainsAny(text[start:start+1], "{[ ") {
				t.Fatalf("%q is no scalar", text[start:end])
			}
			if replaced := text[:start] + "7" + text[end:]; json.Valid([]byte(text)) && !json.Valid([]byte(replaced)) {
				t.Fatalf("%q becomes %q", text, replaced)
			}
		})
	})
}
