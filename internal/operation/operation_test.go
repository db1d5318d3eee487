package operation

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestAppend(t *testing.T) {
	for _, tc := range []struct {
		name string
		f    Fields
		want string
	}{
		{"nothing", Fields{}, ""},
		{"rpc", Fields{Name: "x", RPCService: "shop.Cart", RPCMethod: "AddItem"}, "shop.Cart/AddItem"},
		{"rpc by newer names", Fields{RPCMethod: "shop.Cart/AddItem", HTTPMethod: "POST", HTTPRoute: "/x"}, "shop.Cart/AddItem"},
		{"http", Fields{Name: "GET", HTTPMethod: "GET", HTTPRoute: "/items/{id}"}, "GET /items/{id}"},
		{"http without a method", Fields{HTTPRoute: "/items/{id}"}, "/items/{id}"},
		{"http without a route", Fields{Name: "GET /items/7?q=1", HTTPMethod: "GET"}, "GET /items/{}"},
		{
			"messaging",
			Fields{Name: "x", Messaging: true, MessagingOperation: "process", Destination: "orders"},
			"process orders",
		},
		{
			"messaging to a reply queue",
			Fields{Messaging: true, MessagingOperation: "send", Destination: "reply-6f1e2d3c4b5a"},
			"send reply-{}",
		},
		{"messaging without an operation", Fields{Messaging: true, Destination: "orders"}, "orders"},
		{"messaging without anything", Fields{Messaging: true, Name: "consume"}, "consume"},
		{
			"database",
			Fields{Name: "x", Database: true, DBOperation: "SELECT", DBCollection: "orders", DBSummary: "y"},
			"SELECT orders",
		},
		{"database without a collection", Fields{Database: true, DBOperation: "GET"}, "GET"},
		{"database by its summary", Fields{Database: true, DBSummary: "SELECT orders"}, "SELECT orders"},
		{"database by the text of a query", Fields{Database: true, Name: "SELECT secret FROM users WHERE id = 5"}, "SELECT"},
		{"database without a word", Fields{Database: true, Name: "{}"}, ""},
		{"name", Fields{Name: "checkout"}, "checkout"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			assert.Equal(t, tc.want, string(Append(nil, &tc.f)))
		})
	}
}

func TestAppendNormal(t *testing.T) {
	for in, want := range map[string]string{
		"GET /items/{id}":       "GET /items/{id}",
		"GET /api/v1/users/123": "GET /api/v1/users/{}",
		"GET /users/6ba7b810-9dad-11d1-80b4-00c04fd430c8/cart": "GET /users/{}/cart",
		"https://example.com/a/7?token=secret":                 "/a/{}",
		"https://example.com":                                  "{}",
		"GET /a#7":                                             "GET /a",
		"/users/me@example.com":                                "/users/{}",
		"/search/a%20b":                                        "/search/{}",
		"/q/a=b":                                               "/q/{}",
		"order-12345":                                          "order-{}",
		"oauth2.Token":                                         "oauth2.Token",
		"s3.PutObject":                                         "s3.PutObject",
		"/commits/deadbeef01":                                  "/commits/{}",
		"/feedbeef":                                            "/feedbeef",
		"/t/dGhpcyBpcyBhIHRva2Vu1":                             "/t/{}",
		"a\nb\t7":                                              "a b {}",
		"ünïcödé 5":                                            "ünïcödé {}",
		strings.Repeat("a", 200):                               "{}",
		"":                                                     "",
	} {
		assert.Equal(t, want, string(AppendNormal(nil, in)), in)
	}
}

func TestAppendDoesNotAllocate(t *testing.T) {
	buf := make([]byte, 0, 256)
	f := Fields{Name: "GET /items/{id}", HTTPMethod: "GET", HTTPRoute: "/items/{id}"}
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		buf = Append(buf[:0], &f)
		buf = AppendNormal(buf[:0], "GET /items/{id}")
	}))
}

// FuzzAppendNormal checks that no number and nothing of a query comes through.
func FuzzAppendNormal(f *testing.F) {
	f.Add("GET https://example.com/users/123?q=secret")
	f.Add("a/b//c/ 7")
	f.Add("\xff\x00://?")
	f.Fuzz(func(t *testing.T, name string) {
		got := string(AppendNormal(nil, name))
		assert.LessOrEqual(t, len(got), 2*len(name)+len(placeholder))
		assert.False(t, strings.ContainsAny(got, "?#@%="))
		for _, word := range strings.FieldsFunc(got, func(r rune) bool { return r < 0x80 && !isAlphanumeric(byte(r)) }) {
			assert.NotEmpty(t, strings.Trim(word, "0123456789"), "number")
		}
		fields := Fields{Name: name, Database: true}
		assert.NotContains(t, string(Append(nil, &fields)), " ")
	})
}
