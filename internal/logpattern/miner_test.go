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
		"at 1:02:03 PM on 4 PM":                   "at <*> on <*> PM",
		"client ::1 at GET /a/b?c=1&d=2.":         "client <*> at GET <*>.",
		"uid=- tty=5":                             "uid=<*> tty=<*>",
		"用户123登录":                                 "用户<*>登录",
		"main.go:17 failed":                       "main.go:<*> failed",
		"took 1,234 ms":                           "took <*>,<*> ms",
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
		"a.long.name.of.a.setting.that.holds.a.password = %s",
		`{"password":"%s"}`,
		`{"api_key": "%s", "x": 1}`,
		"Authorization: Bearer %s",
		"connect to postgres://user:%s@db/x",
		"X-Api-Key: %s",
		"access_token=%s&x=1",
		"secret-token %s1 was refused",
		"Cookie: session=%s; lang=en; other=%s",
		"Authorization: Digest username=\"x\", response=\"%s\"",
		`map[Authorization:[Bearer %s] Host:[x]]`,
		"mysqldump --password %s --all",
		`{"headers":{"Set-Cookie":"a=%s; Path=/"},"n":1}`,
		`password="%s and a cut`,
		"user=bob pass=%s", `{"auth":{"pass":"%s"}}`, "jwt=%s", "otp: %s", "PIN=%s",
	} {
		for _, secret := range []string{"hunter2", "correcthorse", "s3cr.et/x+y", "eyJhbGciOiJI.eyJzdWIiOiIx.SflKxwRJSM"} {
			assert.NotContains(t, templateOf(strings.ReplaceAll(line, "%s", secret)), secret, "%s", line)
		}
	}
	for _, secret := range []string{"AKIAIOSFODNN7EXAMPLE", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjMifQ.SflKxwRJSMeKKF2QT4fwp", "ghp_16C7e42F292c6912E7710c838347Ae178B4a"} {
		assert.NotContains(t, templateOf("got "+secret+" here"), secret)
	}
	assert.Equal(t, `password="<*>" ok`, templateOf(`password="my long pass phrase" ok`))
	assert.NotContains(t, templateOf(`password="my long pass`), "long", "cut off before the quote")
	assert.Equal(t, `{"Authorization":"<*>","n":<*>}`, templateOf(`{"Authorization":"Bearer a b","n":1}`))
	assert.Equal(t, "Server=x;Password=<*>;Pwd=<*>", templateOf("Server=x;Password=Abc Def;Pwd=foo"))
	assert.NotContains(t, templateOf("-----BEGIN RSA PRIVATE KEY----- MIIEpAIBAAKCAQEA MIIX -----END"), "MII")
	assert.NotContains(t, templateOf("-----BEGIN PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\nMIIX"), "MII")
	assert.Equal(t, "bypass: on, spin: left", templateOf("bypass: on, spin: left"))
	assert.Equal(t, "Failed password for root", templateOf("Failed password for root"))
}

func TestBudgets(t *testing.T) {
	m := New(Settings{MaxBytes: 64, MaxTokens: 4, MaxTemplates: 100})
	p, _ := m.Match(strings.Repeat("x", 1<<20), 1)
	assert.LessOrEqual(t, len(p.Template), 64+len(Wildcard)+1)
	assert.Equal(t, Stats{Lines: 1, Truncated: 1, New: 1}, m.Stats())
	p, _ = m.Match("a b c d e f g", 1)
	assert.Equal(t, "a b c d <*>", p.Template)
	assert.EqualValues(t, 2, m.Stats().Truncated)
	p, _ = m.Match("a b c d", 1)
	assert.Equal(t, "a b c d", p.Template)
	p, _ = m.Match("bad \xff\xfe bytes", 1)
	assert.Equal(t, "bad \uFFFD bytes", p.Template)
	assert.EqualValues(t, 1, m.Stats().InvalidUTF8)
	for _, junk := range []string{"\x00\x01\x02\x03abc", "\xff\x00\x80\x81", "\x00\x01\x02\x03abc"} {
		p, _ = m.Match(junk, 1)
		assert.Equal(t, "<binary>", p.Template)
	}
	assert.EqualValues(t, 3, m.Stats().Binary)
	assert.EqualValues(t, 3, p.Count)
	p, _ = New(DefaultSettings()).Match(strings.Repeat(`{"a":[`, 100_000), 1)
	assert.LessOrEqual(t, len(p.Template), DefaultSettings().MaxBytes*2)
	assert.Equal(t, "red <*> blue", templateOf("\x1b[31mred\x1b[0m 7 \x1b[1;34mblue\x1b[0m"))
}

func TestLeastRecentlySeenMakeRoom(t *testing.T) {
	m := New(Settings{MaxTemplates: 32})
	for i := range 1000 {
		m.Match("the one that stays", int64(i+1))
		m.Match(fmt.Sprintf("only%s once%s here%s", spelled(i), spelled(i), spelled(i)), int64(i+1))
		require.LessOrEqual(t, m.Len(), 32)
	}
	assert.Positive(t, m.Stats().Evicted)
	p, novelty := m.Match("the one that stays", 1001)
	assert.Equal(t, KnownPattern, novelty)
	assert.EqualValues(t, 1001, p.Count)
	assert.Less(t, len(m.slots)+len(m.soft)+len(m.masks)+len(m.lists)+len(m.byID), 32*8, "the indices have no more than the templates")
}

// spelled returns a number in letters.
func spelled(i int) string {
	var b []byte
	for ; i > 0; i /= 10 {
		b = append(b, "abcdefghij"[i%10])
	}
	return string(b)
}

func TestLongLinesShareABudget(t *testing.T) {
	m := New(Settings{MaxMemory: 1 << 20})
	for i := range 2000 {
		var b strings.Builder
		for j := range 100 {
			b.WriteString(spelled(i*100+j+1) + "; ")
		}
		m.Match(b.String(), 1)
		require.LessOrEqual(t, m.Memory(), 1<<20)
	}
	assert.Greater(t, m.Len(), 40)
	assert.Less(t, m.Len(), 200)
	for _, p := range m.Patterns() {
		require.NotEmpty(t, p.Template)
	}
	assert.Zero(t, New(Settings{}).Memory())
}

func TestManyWordsAlone(t *testing.T) {
	// Lines of one word have nothing in common: no place of theirs may cost more with their number.
	m := New(Settings{MaxTemplates: 20_000})
	for i := range 60_000 {
		m.Match(spelled(i+1), 1)
	}
	assert.LessOrEqual(t, m.Len(), 20_000)
}

func TestLists(t *testing.T) {
	m := New(DefaultSettings())
	for _, l := range []string{"lost blocks 1, 2, 3 of disk", "lost blocks 4 of disk", "lost blocks 5, 6 of disk", "lost blocks 7, 8, 9, 10 of disk"} {
		m.Match(l, 1)
	}
	require.Equal(t, 1, m.Len())
	assert.Equal(t, "lost blocks <*> of disk", m.Patterns()[0].Template)
	assert.EqualValues(t, 4, m.Patterns()[0].Count)
	n, err := Decode(m.AppendState(nil), DefaultSettings())
	require.NoError(t, err)
	_, novelty := n.Match("lost blocks 1, 2, 3, 4, 5, 6 of disk", 1)
	assert.NotEqual(t, NewPattern, novelty)
	assert.Equal(t, 1, n.Len())
}

func TestSettings(t *testing.T) {
	distinct := func(s Settings, format string) int {
		m := New(s)
		for i := range 40 {
			m.Match(fmt.Sprintf(format, "x"+spelled(i+1)), 1)
			if m.Stats().Generalized > 0 {
				return i + 1
			}
		}
		return 0
	}
	assert.Equal(t, 3, distinct(Settings{}, "session of user=%s is open"))
	assert.Equal(t, 7, distinct(Settings{DistinctValues: 7}, "session of user=%s is open"))
	assert.Equal(t, 5, distinct(Settings{}, "session %s open again"))
	assert.Equal(t, 9, distinct(Settings{DistinctWords: 9}, "session %s open again"))
	assert.Equal(t, 16, distinct(Settings{}, "%s is open again"))
	assert.Equal(t, 4, distinct(Settings{DistinctSubjects: 4}, "%s is open again"))

	m := New(Settings{MaxAliases: 2, MaxPatternAliases: 1})
	var ids []ID
	for i := range 8 {
		p, _ := m.Match("user="+spelled(i+1)+" is open", 1)
		ids = append(ids, p.ID)
	}
	assert.Len(t, m.Patterns()[0].Aliases, 1)
	assert.Equal(t, ids[0], m.Resolve(ids[0]), "the oldest alias is forgotten")
	assert.Equal(t, m.Patterns()[0].ID, m.Resolve(ids[1]))
	assert.Equal(t, DefaultSettings(), Settings{}.bounded())
	assert.Equal(t, 128, Settings{MaxTokens: 1000}.bounded().MaxTokens)
}

func TestMatchDoesNotAllocate(t *testing.T) {
	m := New(DefaultSettings())
	lines := append(sampleLines(100), "yarn.client.max-cached-nodemanagers-proxies : 0", "a.long.name.of.a.setting.that.holds.a.password = 7",
		"token=Token{a 1} x", "ip 10.1.2.3:80, at Fri Jun 17 07:07:00 2005", "GET /a/b?c=1 http://x/y 5.2 KB")
	for i := range 600 {
		lines = append(lines, "key"+spelled(i+1)+"_of_something_that_is_long = 7")
	}
	for range 2 {
		for _, l := range lines {
			m.Match(l, 1)
		}
	}
	assert.Zero(t, testing.AllocsPerRun(10, func() {
		for _, l := range lines {
			m.Match(l, 2)
		}
	}))
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

func TestSeverityIsNoValue(t *testing.T) {
	m := New(DefaultSettings())
	for _, level := range []string{"debug", "info", "warn", "error", "fatal"} {
		m.Match("level="+level+" disk is slow", 1)
	}
	assert.Equal(t, 5, m.Len())
}

func TestStatesStayLongerThanValues(t *testing.T) {
	// Words in capitals are names that the program gave: they need more evidence, and never go by twos.
	m := New(DefaultSettings())
	for i, pair := range []string{"NEW to INIT", "INIT to SETUP", "SETUP to RUN", "RUN to DONE", "DONE to GONE", "RUN to DEAD"} {
		m.Match("the job went from "+pair, 1)
		assert.Equal(t, i+1, m.Len())
	}
}

func TestValuesThatVaryTogether(t *testing.T) {
	m := New(DefaultSettings())
	for i := range 12 {
		m.Match(fmt.Sprintf("mail sent from %s to %s again", "a"+spelled(i+1), "b"+spelled(i+1)), 1)
	}
	require.Equal(t, 1, m.Len())
	assert.Equal(t, "mail sent from <*> to <*> again", m.Patterns()[0].Template)
	assert.EqualValues(t, 12, m.Patterns()[0].Count)
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
