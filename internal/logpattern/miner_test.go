package logpattern

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// template returns the template that a line has in a new miner.
func templateOf(line string) string {
	p, _ := New(DefaultSettings()).Match(line, 1)
	return p.Template
}

func TestTemplates(t *testing.T) {
	for line, want := range map[string]string{
		"":                                        "",
		"hello world":                             "hello world",
		"took 15 ms":                              "took <*> ms",
		"took 15.5ms, or -3 or +4":                "took <*>, or <*> or <*>",
		"at 0x1f and deadbeef and 12ab":           "at <*> and <*> and <*>",
		"from 10.0.0.1:8080 to [fe80::1:2:3]":     "from <*> to [<*>]",
		"mail to jane@example.com failed":         "mail to <*> failed",
		"mac 00:1a:2b:3c:4d:5e up":                "mac <*> up",
		"id 123e4567-e89b-12d3-a456-426614174000": "id <*>",
		"open /var/log/x.log: no such file":       "open <*>: no such file",
		`open C:\Users\x\y.txt now`:               "open <*> now",
		"GET https://u:p@h.example/p?q=1&r=2 ok":  "GET https://<*> ok",
		"size 5.2 KB, free 17 GB":                 "size <*>, free <*>",
		"at Fri Jun 17 07:07:00 2005 done":        "at <*> done",
		"2024-01-02T03:04:05.678Z start":          "<*> start",
		"can't open the file":                     "can't open the file",
		"jk2_init() found child 17":               "jk2_init() found child <*>",
		"node17 is up":                            "node<*> is up",
		"pid=17 uid=\"3\" ok=true":                "pid=<*> uid=\"<*>\" ok=true",
		`{"level":"error","code":17,"at":[1,2]}`:  `{"level":"error","code":<*>,"at":[<*>,<*>]}`,
		"host () is gone":                         "host (<*>) is gone",
		"enabled......1":                          "enabled......<*>",
		"  many   spaces\there  ":                 "many spaces here",
	} {
		assert.Equal(t, want, templateOf(line), "%q", line)
	}
}

func TestSecretsNeverShow(t *testing.T) {
	for _, line := range []string{
		"login with password=%s failed",
		"password: %s",
		"db_passwd='%s' rejected",
		`{"password":"%s"}`,
		`{"api_key": "%s", "x": 1}`,
		"Authorization: Bearer %s",
		"connect to postgres://user:%s@db/x",
		"X-Api-Key: %s",
		"access_token=%s&x=1",
		"secret-token %s1 was refused",
	} {
		for _, secret := range []string{"hunter2", "correcthorse", "s3cr.et/x+y", "eyJhbGciOiJI.eyJzdWIiOiIx.SflKxwRJSM"} {
			assert.NotContains(t, templateOf(fmt.Sprintf(line, secret)), secret, "%s", line)
		}
	}
	for _, secret := range []string{"AKIAIOSFODNN7EXAMPLE", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjMifQ.SflKxwRJSMeKKF2QT4fwp", "ghp_16C7e42F292c6912E7710c838347Ae178B4a"} {
		assert.NotContains(t, templateOf("got "+secret+" here"), secret)
	}
	assert.Equal(t, `password="<*>" ok`, templateOf(`password="my long pass phrase" ok`))
	assert.Equal(t, "Failed password for root", templateOf("Failed password for root"))
}

func TestWordsBecomeValues(t *testing.T) {
	m := New(DefaultSettings())
	var last Pattern
	var ids []ID
	for i, name := range []string{"root", "news", "cyrus", "test"} {
		p, novelty := m.Match("session opened for user "+name, int64(i+1))
		ids = append(ids, p.ID)
		last = p
		switch {
		case i < 2:
			assert.Equal(t, NewPattern, novelty)
		case i == 2:
			assert.Equal(t, GeneralizedPattern, novelty)
		default:
			assert.Equal(t, KnownPattern, novelty)
		}
	}
	assert.Equal(t, "session opened for user <*>", last.Template)
	assert.EqualValues(t, 4, last.Count)
	assert.EqualValues(t, 1, last.First)
	assert.EqualValues(t, 4, last.Last)
	for _, id := range ids {
		assert.Equal(t, last.ID, m.Resolve(id))
	}
	assert.Contains(t, last.Aliases, ids[0])
	assert.Contains(t, last.Aliases, ids[1])
	require.Len(t, m.Patterns(), 1)
	p, ok := m.Lookup(ids[0])
	require.True(t, ok)
	assert.Equal(t, last, p)
	// A line with nothing but what varies is no template.
	for _, name := range strings.Fields("open close start stop wait run go read write sync") {
		m.Match(name, 1)
	}
	assert.Equal(t, 11, m.Len())
}

func TestIDsAreTheSameEverywhere(t *testing.T) {
	// A replica that sees the lines in another order has the same templates with the same IDs in the end.
	lines := sampleLines(300)
	a, b := New(DefaultSettings()), New(DefaultSettings())
	for _, l := range lines {
		a.Match(l, 1)
	}
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
	for _, l := range lines {
		b.Match(l, 1)
	}
	pa, pb := a.Patterns(), b.Patterns()
	require.Len(t, pb, len(pa))
	for i := range pa {
		assert.Equal(t, pa[i].ID, pb[i].ID)
		assert.Equal(t, pa[i].Template, pb[i].Template)
		assert.Equal(t, pa[i].Count, pb[i].Count)
	}
}

// sampleLines are lines of a few templates with words and numbers for values.
func sampleLines(n int) []string {
	r := rand.New(rand.NewPCG(7, 7))
	names := strings.Fields("root news cyrus test admin guest oracle jane")
	var lines []string
	for i := range n {
		switch r.IntN(4) {
		case 0:
			lines = append(lines, "session opened for user "+names[r.IntN(len(names))])
		case 1:
			lines = append(lines, fmt.Sprintf("request %d took %d ms", i, r.IntN(900)))
		case 2:
			lines = append(lines, fmt.Sprintf("level=info msg=\"done\" host=%s n=%d", names[r.IntN(len(names))], i))
		default:
			lines = append(lines, fmt.Sprintf("disk /dev/sd%c is %d%% full", 'a'+rune(r.IntN(4)), r.IntN(100)))
		}
	}
	return lines
}

func TestMergeAddsUp(t *testing.T) {
	lines := sampleLines(400)
	whole, left, right := New(DefaultSettings()), New(DefaultSettings()), New(DefaultSettings())
	for i, l := range lines {
		whole.Match(l, int64(i+1))
		if i < 200 {
			left.Match(l, int64(i+1))
		} else {
			right.Match(l, int64(i+1))
		}
	}
	left.Merge(right)
	for i, p := range whole.Patterns() {
		q := left.Patterns()[i]
		assert.Equal(t, p.ID, q.ID)
		assert.Equal(t, p.Template, q.Template)
		assert.Equal(t, p.Count, q.Count)
		assert.Equal(t, p.First, q.First)
		assert.Equal(t, p.Last, q.Last)
	}
	// What one of them knows in general and the other not yet.
	a, b := New(DefaultSettings()), New(DefaultSettings())
	for _, n := range []string{"x", "y", "z"} {
		a.Match("session for user "+n, 1)
	}
	old, _ := b.Match("session for user bob", 2)
	a.Merge(b)
	require.Equal(t, 1, a.Len())
	p, ok := a.Lookup(old.ID)
	require.True(t, ok)
	assert.EqualValues(t, 4, p.Count)
	b.Merge(a)
	q, ok := b.Lookup(old.ID)
	require.True(t, ok)
	assert.Equal(t, p.ID, q.ID)
}

func TestStateRoundTrip(t *testing.T) {
	m := New(DefaultSettings())
	for i, l := range append(sampleLines(200), "x é \xff y", "a (b) [] \"c\" 7", " ... tail ...") {
		m.Match(l, int64(i+1))
	}
	state := m.AppendState(nil)
	n, err := Decode(state, DefaultSettings())
	require.NoError(t, err)
	require.Equal(t, m.Patterns(), n.Patterns())
	assert.Equal(t, state, n.AppendState(nil))
	for _, l := range append(sampleLines(200), "x é \xff y", "a (b) [] \"c\" 7", " ... tail ...") {
		p, novelty := n.Match(l, 999)
		assert.Equal(t, KnownPattern, novelty, "%q", l)
		q, _ := m.Match(l, 999)
		assert.Equal(t, q, p)
	}
	_, err = Decode(nil, DefaultSettings())
	require.Error(t, err)
	_, err = Decode([]byte{99}, DefaultSettings())
	require.ErrorContains(t, err, "version")
	_, err = Decode(state[:len(state)/2], DefaultSettings())
	require.Error(t, err)
}
