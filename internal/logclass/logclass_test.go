package logclass

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// examples has, for each category, templates that tell of it and templates that look like it and do not.
var examples = map[string]struct{ yes, no []string }{
	"connection_refused": {
		[]string{"dial tcp <*>: connect: connection refused", "java.net.ConnectException: Connection refused (Connection refused)", "Error: connect ECONNREFUSED <*>"},
		[]string{"connection established to <*>", "the user refused the offer"},
	},
	"connection_reset": {
		[]string{"read tcp <*>: connection reset by peer", "write: broken pipe", "Software caused connection abort", "Connection closed unexpectedly by <*>"},
		[]string{"resetting the counter", "Connection closed by <*> [preauth]"},
	},
	"unreachable": {
		[]string{"java.net.NoRouteToHostException: <*>", "connect: network is unreachable"},
		[]string{"route <*> added", "goal reached"},
	},
	"timeout": {
		[]string{"request to <*> timed out after <*>", "context deadline exceeded", "java.net.SocketTimeoutException: Read timed out", "upstream request timeout"},
		[]string{"timeout set to <*>", "read timeout seconds is <*>", "timer started"},
	},
	"out_of_memory": {
		[]string{"java.lang.OutOfMemoryError: Java heap space", "Container <*> was OOMKilled", "fork: Cannot allocate memory", "Out of memory: Killed process <*>"},
		[]string{"memory usage <*>", "allocated <*> bytes", "oom_score_adj is <*>"},
	},
	"disk_full": {
		[]string{"write <*>: no space left on device", "Disk quota exceeded", "disk is full"},
		[]string{"disk /dev/sda mounted", "space <*> freed"},
	},
	"authentication": {
		[]string{"Failed password for <*> from <*> port <*>", "authentication failure; user=<*>", "FATAL: password authentication failed for user <*>", "Invalid user <*> from <*>"},
		[]string{"Accepted password for <*>", "authentication disabled", "user <*> logged in"},
	},
	"authorization": {
		[]string{"open <*>: permission denied", "Access denied for user <*>", "pods is forbidden", "HTTP 403 from <*>"},
		[]string{"permission granted to <*>", "method not allowed is not permitted"},
	},
	"lock": {
		[]string{"Deadlock found when trying to get lock", "Lock wait timeout exceeded; try restarting transaction", "database is locked", "could not serialize access due to concurrent update"},
		[]string{"door locked", "acquired lock <*>", "released lock <*>"},
	},
	"throttling": {
		[]string{"429 Too Many Requests", "ThrottlingException: Rate exceeded", "rate limit reached for <*>", "RejectedExecutionException: <*>", "FATAL: sorry, too many connections"},
		[]string{"request rate is <*>", "Disk quota exceeded", "throttling disabled"},
	},
	"null_dereference": {
		[]string{"java.lang.NullPointerException: <*>", "invalid memory address or nil pointer dereference", "TypeError: Cannot read properties of undefined", "AttributeError: 'NoneType' object has no attribute <*>"},
		[]string{"value is null", "pointer moved to <*>"},
	},
	"configuration": {
		[]string{"invalid configuration: <*>", "environment variable DB_HOST is not set", "unknown flag: <*>", "Failed to load configuration from <*>"},
		[]string{"configuration loaded from <*>", "Object reference not set to an instance of an object"},
	},
	"certificate": {
		[]string{"x509: certificate signed by unknown authority", "certificate has expired", "PKIX path building failed", "remote error: tls: bad certificate"},
		[]string{"certificate renewed for <*>", "TLS handshake completed"},
	},
	"dns": {
		[]string{"lookup <*>: no such host", "java.net.UnknownHostException: <*>", "Temporary failure in name resolution", "getaddrinfo ENOTFOUND <*>"},
		[]string{"resolved <*> to <*>", "could not resolve placeholder <*>"},
	},
	"unavailable": {
		[]string{"503 Service Unavailable", "no healthy upstream", "circuit breaker <*> is open", "Process <*> has died"},
		[]string{"service is available", "data ready"},
	},
	"corruption": {
		[]string{"corrupted block <*>", "checksum mismatch in <*>", "instruction cache parity error corrected", "Input/output error"},
		[]string{"checksum ok", "no corruption found"},
	},
	"file_descriptors": {
		[]string{"accept tcp <*>: too many open files", "java.io.IOException: Too many open files", "EMFILE"},
		[]string{"opened file <*>", "closing <*> files"},
	},
	"resource_exhausted": {
		[]string{"unable to create new native thread", "java.lang.StackOverflowError", "fork: Resource temporarily unavailable"},
		[]string{"thread started", "stack pushed"},
	},
	"address_in_use": {
		[]string{"listen tcp <*>: bind: address already in use", "Error: listen EADDRINUSE"},
		[]string{"listening on address <*>", "port <*> is open"},
	},
	"not_found": {
		[]string{"open <*>: no such file or directory", "java.io.FileNotFoundException: <*>", "relation \"<*>\" does not exist", "ModuleNotFoundError: No module named <*>"},
		[]string{"found child <*>", "file <*> read"},
	},
	"crash": {
		[]string{"panic: runtime error: index out of range [<*>]", "Segmentation fault (core dumped)", "Uncaught exception in thread <*>"},
		[]string{"signal quality is <*>", "core started"},
	},
}

func TestCategories(t *testing.T) {
	c, err := New()
	require.NoError(t, err)
	rules, err := Embedded()
	require.NoError(t, err)
	for _, r := range rules {
		assert.NotEmpty(t, r.About, r.Category)
		e, ok := examples[r.Category]
		require.True(t, ok, "%s has no examples", r.Category)
		assert.GreaterOrEqual(t, len(e.yes), 2, r.Category)
		assert.GreaterOrEqual(t, len(e.no), 2, r.Category)
		for _, line := range e.yes {
			assert.Contains(t, c.Categories(line), r.Category, line)
		}
		for _, line := range e.no {
			assert.NotContains(t, c.Categories(line), r.Category, line)
		}
	}
	assert.Empty(t, c.Categories("request <*> took <*> ms"))
	assert.Empty(t, c.Categories(""))
}

func TestRulesOfUsers(t *testing.T) {
	extra, err := Parse([]byte(`
- category: payment
  about: a card was refused
  any: [card .. declined, psp-error*]
  none: [card declined test]
- category: crash
  any: [went bang]
  replace: true
`))
	require.NoError(t, err)
	c, err := New(extra...)
	require.NoError(t, err)
	assert.Equal(t, []string{"payment"}, c.Categories("card <*> of customer was declined"))
	assert.Equal(t, []string{"payment", "timeout"}, c.Categories("PSP-Errors: timed out"))
	assert.Empty(t, c.Categories("card declined test"))
	assert.Empty(t, c.Categories("card a b c d e declined"))
	assert.Equal(t, []string{"crash"}, c.Categories("it went bang"))
	assert.NotContains(t, c.Categories("panic: oops"), "crash")
}

func TestWrongRulesAreNamed(t *testing.T) {
	for text, want := range map[string]string{
		"- any: [x]":                           `rules[0].category must be letters, digits and '_', at most 64, got ""`,
		"- category: A b\n  any: [x]":          `got "A b"`,
		"- category: a":                        "rules[0].any must have a phrase",
		"- {category: a, any: ['.. x']}":       "between them",
		"- {category: a, any: ['x*y']}":        `only at their end, got "x*y"`,
		"- {category: a, any: ['!!']}":         "must have letters",
		"- {category: a, any: [x], some: [y]}": "field some not found",
		"x":                                    "read classification rules",
	} {
		_, err := Parse([]byte(text))
		require.ErrorContains(t, err, want, text)
	}
	_, err := New(Rule{Category: "a"})
	require.Error(t, err)
}

func TestWords(t *testing.T) {
	for text, want := range map[string]string{
		"java.lang.OutOfMemoryError: x": "java lang out of memory error x",
		"OOMKilled HTTPServer":          "oom killed http server",
		"can't <*> x=1":                 "can't x 1",
		"ECONNREFUSED":                  "econnrefused",
		"":                              "",
	} {
		assert.Equal(t, want, strings.Join(Words(text), " "))
	}
	assert.Len(t, Words(strings.Repeat("a ", 5000)), maxWords)
}

func TestClusters(t *testing.T) {
	c := NewClusters(3, 0.6)
	assert.Equal(t, "1", c.Add("1", "connect to orders at <*> failed: connection refused", []string{"connection_refused"}))
	assert.Equal(t, "1", c.Add("2", "connect to orders <*> failed: connection refused", []string{"connection_refused"}))
	assert.Equal(t, "1", c.Add("1", "connect to orders at <*> failed: connection refused", []string{"connection_refused"}))
	assert.Equal(t, "3", c.Add("3", "connect to orders at <*> failed: connection refused", []string{"timeout"}), "another category")
	assert.Equal(t, "4", c.Add("4", "something else altogether", nil))
	assert.Equal(t, 3, c.Len())
	c.Add("1", "", nil)
	assert.Equal(t, "5", c.Add("5", "a fifth thing", nil))
	assert.Equal(t, 3, c.Len(), "the oldest made room")
	assert.Equal(t, "6", c.Add("6", "connect to orders at <*> failed: connection refused", []string{"timeout"}))
	assert.Equal(t, "7", NewClusters(0, 0.5).Add("7", "", nil))
}

func FuzzCategories(f *testing.F) {
	f.Add("java.lang.OutOfMemoryError: <*>")
	f.Add("É timed out ÀBc")
	c, err := New()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		seen := map[string]bool{}
		for _, category := range c.Categories(text) {
			require.False(t, seen[category])
			seen[category] = true
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add("- {category: a, any: ['x .. y*'], none: [z]}")
	f.Fuzz(func(_ *testing.T, text string) {
		rules, err := Parse([]byte(text))
		if err != nil {
			return
		}
		c, err := New(rules...)
		if err != nil {
			panic(err)
		}
		c.Categories(text)
	})
}

func BenchmarkCategories(b *testing.B) {
	c, err := New()
	require.NoError(b, err)
	line := "java.net.SocketTimeoutException: call <*> to orders timed out after <*> at com.x.Foo.bar at com.x.Baz.qux"
	b.ReportAllocs()
	for b.Loop() {
		c.Categories(line)
	}
}

func ExampleClassifier() {
	c, _ := New()
	fmt.Println(c.Categories("dial tcp <*>: connect: connection refused"))
	// Output: [connection_refused]
}
