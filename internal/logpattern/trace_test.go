package logpattern

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestStackTraces(t *testing.T) {
	for name, tc := range map[string]struct{ line, want string }{
		"java": {
			"Request 17 failed\njava.lang.IllegalStateException: no room for 5\n\tat com.x.Foo.bar(Foo.java:17)\n\tat com.x.Baz$Proxy12.qux(Native Method)\n" +
				"\tat com.x.A.b(A.java:1)\n\tat com.x.C.d(C.java:2)\nCaused by: java.io.IOException: disk 7\n\t... 12 more",
			"Request <*> failed java.lang.IllegalStateException: <*> at com.x.Foo.bar at com.x.Baz$Proxy<*>.qux at com.x.A.b caused by java.io.IOException",
		},
		"json": {
			`{"msg":"x","stack":"java.lang.NullPointerException: y is null\n\tat com.x.Foo.bar(Foo.java:17)\n\tat com.x.A.b(A.java:3)"}`,
			`{"msg":"x","stack":"java.lang.NullPointerException: <*> at com.x.Foo.bar at com.x.A.b`,
		},
		"javascript": {
			"TypeError: x is undefined\n    at Object.foo (/app/x.js:10:5)\n    at async bar (/app/y.js:3:1)",
			"TypeError: <*> at Object.foo at bar",
		},
		"python": {
			"failed\nTraceback (most recent call last):\n  File \"/a/b.py\", line 12, in run\n    go()\n  File \"/a/c.py\", line 3, in go\n    raise\nValueError: 17 is odd",
			"failed ValueError at c.py:go at b.py:run",
		},
		"go": {
			"panic: runtime error: index out of range [5] with length 3\n\ngoroutine 1 [running]:\nmain.f(0xc000, 0x3)\n\t/a/main.go:12 +0x1d\nmain.main()\n\t/a/main.go:5 +0x20",
			"panic: runtime error: index out of range [<*>] with length <*> at main.f at main.main",
		},
		"ruby": {
			"x.rb:3: oops (RuntimeError)\n\tfrom /a/x.rb:12:in `foo'\n\tfrom /a/y.rb:1:in `bar'",
			"x.rb:<*>: oops (RuntimeError) at x.rb:foo at y.rb:bar",
		},
		"no trace": {"first line\n  second line 7", "first line second line <*>"},
	} {
		t.Run(name, func(t *testing.T) { assert.Equal(t, tc.want, templateOf(tc.line)) })
	}
}

func TestFramesNeverBecomeValues(t *testing.T) {
	m := New(DefaultSettings())
	for _, f := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		m.Match("java.lang.IllegalStateException: x\n\tat com.x.Foo."+f+"(Foo.java:17)", 1)
	}
	assert.Equal(t, 8, m.Len())
}
