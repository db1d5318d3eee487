package control_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/paramedic-otel/paramedic/cmd/shop/internal/control"
	"github.com/paramedic-otel/paramedic/internal/shop"
	"github.com/paramedic-otel/paramedic/internal/standardwebhooks"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var now = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

type fixture struct {
	t    testing.TB
	shop *shop.Simulation
	keys []standardwebhooks.Key
	now  time.Time
	http.Handler
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	cfg := shop.DefaultConfig()
	cfg.Start = now
	s, err := shop.New(cfg)
	require.NoError(t, err)
	f := &fixture{t: t, shop: s, keys: []standardwebhooks.Key{key(t, "a secret of more than 24 bytes")}, now: now}
	f.Handler = control.NewHandler(s, f.keys, func() time.Time { return f.now }, func() any { return map[string]int{"sent": 3} })
	return f
}

func key(t testing.TB, raw string) standardwebhooks.Key {
	t.Helper()
	k, err := standardwebhooks.ParseKey("whsec_" + base64.StdEncoding.EncodeToString([]byte(raw)))
	require.NoError(t, err)
	return k
}

func (f *fixture) do(method, path, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(f.t.Context(), method, path, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	f.ServeHTTP(w, r)
	return w
}

func TestFaultsAndActions(t *testing.T) {
	for _, tc := range []struct {
		name, method, path, body string
		status                   int
		want                     string
	}{
		{"inject", "POST", "/faults", `{"kind":"crash","duration":"30s"}`, 201, `"service": "cart"`},
		{"inject elsewhere", "POST", "/faults", `{"kind":"crash","service":"user","severity":0.5}`, 201, `"service": "user"`},
		{"inject again", "POST", "/faults", `{"kind":"cpu-hog"}`, 409, "is in force as"},
		{"unknown kind", "POST", "/faults", `{"kind":"flood"}`, 400, "kind must be one of"},
		{"wrong severity", "POST", "/faults", `{"kind":"crash","severity":-1}`, 400, "severity must be above 0"},
		{"wrong duration", "POST", "/faults", `{"kind":"crash","duration":"soon"}`, 400, "duration must be a duration"},
		{"unknown field", "POST", "/faults", `{"sort":"crash"}`, 400, "unknown field"},
		{"not JSON", "POST", "/faults", `crash`, 400, "body must be a JSON object"},
		{"more than JSON", "POST", "/faults", `{"kind":"crash"}{}`, 400, "something after the object"},
		{"too long", "POST", "/faults", `{"kind":"` + strings.Repeat("x", 300_000) + `"}`, 413, "at most 262144 bytes"},
		{"clear", "DELETE", "/faults", "", 200, `"ended": "cleared"`},
		{"clear one", "DELETE", "/faults?id=fault-1", "", 200, `"id": "fault-1"`},
		{"clear none", "DELETE", "/faults?id=fault-9", "", 404, "no active fault"},
		{"cure", "POST", "/actions/restart", `{"service":"search"}`, 200, `"ended": "cured by restart"`},
		{"no cure", "POST", "/actions/scale", `{"service":"search","replicas":4}`, 200, `"cured": []`},
		{"flush", "POST", "/actions/flush-cache", ``, 200, "flushed cache"},
		{"shed", "POST", "/actions/shed", `{"service":"search","fraction":0.4}`, 200, "40 %"},
		{"rollback", "POST", "/actions/rollback", `{"service":"search"}`, 200, "from 2.7.1 to 2.7.0"},
		{"unknown action", "POST", "/actions/reboot", `{"service":"search"}`, 400, "action must be one of"},
		{"unknown service", "POST", "/actions/restart", `{"service":"nowhere"}`, 400, "service must be one of"},
		{"state", "GET", "/state", "", 200, `"sent": 3`},
		{"wrong method", "PUT", "/faults", "", 405, ""},
		{"unknown path", "GET", "/", "", 404, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := newFixture(t)
			_, err := f.shop.Inject(shop.Fault{Kind: shop.CPUHog})
			require.NoError(t, err)
			w := f.do(tc.method, tc.path, tc.body)
			assert.Equal(t, tc.status, w.Code, w.Body)
			assert.Contains(t, w.Body.String(), tc.want)
		})
	}
}

func TestContentTypeOfRequests(t *testing.T) {
	f := newFixture(t)
	w := f.do("POST", "/faults", `{"kind":"crash"}`, "Content-Type", "text/plain")
	assert.Equal(t, http.StatusBadRequest, w.Code, "a form of another site cannot post faults")
	w = f.do("POST", "/faults", `{"kind":"crash"}`, "Content-Type", "application/json; charset=utf-8")
	assert.Equal(t, http.StatusCreated, w.Code)
}

func TestPagesOfOtherSitesAreRefused(t *testing.T) {
	f := newFixture(t)
	assert.Equal(t, http.StatusForbidden, f.do("POST", "/actions/flush-cache", "", "Sec-Fetch-Site", "cross-site").Code)
	assert.Equal(t, http.StatusForbidden, f.do("DELETE", "/faults", "", "Origin", "https://elsewhere.example").Code)
}

func TestState(t *testing.T) {
	f := newFixture(t)
	for range 10 {
		f.shop.Tick()
	}
	var got shop.State
	require.NoError(t, json.Unmarshal(f.do("GET", "/state", "").Body.Bytes(), &got))
	assert.Equal(t, f.shop.State(), got)
	assert.Len(t, got.Services, 15)
}

// send posts a webhook with a right signature unless a header says otherwise.
func (f *fixture) send(id, body string, header ...string) *httptest.ResponseRecorder {
	timestamp := strconv.FormatInt(f.now.Unix(), 10)
	all := []string{
		"Content-Type", "application/cloudevents+json; charset=UTF-8", "webhook-id", id, "webhook-timestamp", timestamp,
		"webhook-signature", standardwebhooks.Sign(f.keys, id, timestamp, []byte(body)),
	}
	return f.do("POST", "/webhook", body, append(all, header...)...)
}

func cloudEvent(kind, data string) string {
	return fmt.Sprintf(`{"specversion":"1.0","id":"e-1","source":"/paramedic","type":%q,"data":%s}`, kind, data)
}

const (
	opened  = "io.github.paramedic-otel.incident.opened.v1"
	causes  = `"incident":{"id":"inc-1","causes":[{"entity":{"type":"service","name":"shop/search"}}]}`
	restart = `{` + causes + `,"action":{"name":"restart"}}`
)

func TestWebhookSignature(t *testing.T) {
	at := func(d time.Duration) string { return strconv.FormatInt(now.Add(d).Unix(), 10) }
	f := newFixture(t)
	body := cloudEvent(opened, restart)
	sign := func(id, timestamp string) string { return standardwebhooks.Sign(f.keys, id, timestamp, []byte(body)) }
	other := standardwebhooks.Sign([]standardwebhooks.Key{key(t, "quite another secret of 30 byt")}, "m", at(0), []byte(body))
	for _, tc := range []struct {
		name   string
		header []string
		status int
		want   string
	}{
		{"right", nil, 200, "restarted 2 pods of search"},
		{"one of several", []string{"webhook-signature", "v1,AAAA v1a,BBBB " + sign("m", at(0))}, 200, "restarted"},
		{"old but tolerable", []string{"webhook-timestamp", at(-299 * time.Second), "webhook-signature", sign("m", at(-299*time.Second))}, 200, "restarted"},
		{"too old", []string{"webhook-timestamp", at(-301 * time.Second), "webhook-signature", sign("m", at(-301*time.Second))}, 401, "outside the tolerance"},
		{"from the future", []string{"webhook-timestamp", at(301 * time.Second), "webhook-signature", sign("m", at(301*time.Second))}, 401, "outside the tolerance"},
		{"far future", []string{"webhook-timestamp", "9223372036854775807"}, 401, "outside the tolerance"},
		{"far past", []string{"webhook-timestamp", "-9223372036854775808"}, 401, "outside the tolerance"},
		{"no timestamp", []string{"webhook-timestamp", ""}, 401, "webhook-timestamp is missing"},
		{"no id", []string{"webhook-id", ""}, 401, "webhook-id must have"},
		{"long id", []string{"webhook-id", strings.Repeat("x", 257)}, 401, "webhook-id must have"},
		{"other id", []string{"webhook-id", "n"}, 401, "no signature matches"},
		{"other timestamp", []string{"webhook-timestamp", at(time.Second)}, 401, "no signature matches"},
		{"other key", []string{"webhook-signature", other}, 401, "no signature matches"},
		{"other version", []string{"webhook-signature", strings.Replace(sign("m", at(0)), "v1,", "v2,", 1)}, 401, "no signature matches"},
		{"no signature", []string{"webhook-signature", ""}, 401, "no signature matches"},
		{"content type", []string{"Content-Type", "application/json"}, 415, "application/cloudevents+json"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := newFixture(t)
			w := f.send("m", body, tc.header...)
			assert.Equal(t, tc.status, w.Code)
			assert.Contains(t, w.Body.String(), tc.want)
			list := f.do("GET", "/webhooks", "").Body.String()
			assert.Contains(t, list, fmt.Sprintf(`"verified": %t`, tc.status == 200))
		})
	}
}

func TestWebhookActs(t *testing.T) {
	for _, tc := range []struct {
		name, kind, data string
		status           int
		want             string
	}{
		{"cause", opened, restart, 200, "restarted 2 pods of search"},
		{"parameter", opened, `{` + causes + `,"action":{"name":"restart","parameters":{"service":"shop/user"}}}`, 200, "of user"},
		{"numbers", opened, `{` + causes + `,"action":{"name":"scale","parameters":{"replicas":4}}}`, 200, "search from 2 to 4"},
		{"numbers as text", opened, `{` + causes + `,"action":{"name":"scale","parameters":{"replicas":"4","other":[]}}}`, 200, "search from 2 to 4"},
		{"fraction", opened, `{` + causes + `,"action":{"name":"shed","parameters":{"fraction":"0.5"}}}`, 200, "50 %"},
		{"pod", opened, `{"incident":{"causes":[{"entity":{"type":"k8s.pod","name":"cart-abc-xyz"},"resource":{"service.name":"cart"}}]},"action":{"name":"restart"}}`, 200, "of cart"},
		{"node", opened, `{"incident":{"causes":[{"entity":{"type":"k8s.node","name":"node-1"}}]},"action":{"name":"restart"}}`, 400, "service must be one of"},
		{"database", opened, `{"incident":{"causes":[{"entity":{"type":"database","name":"orders-db/orders"}}]},"action":{"name":"restart"}}`, 200, "of orders-db"},
		{"pod as parameter", opened, `{"action":{"name":"restart","parameters":{"service":"cache-0"}}}`, 200, "of cache"},
		{"other event that asks", "x.remediation.started.v1", restart, 200, "restarted"},
		{"no action", opened, `{` + causes + `}`, 202, "no action asked for"},
		{"resolved", "x.incident.resolved.v1", restart, 202, "no action asked for"},
		{"no cause", opened, `{"action":{"name":"restart"}}`, 400, "service must be one of"},
		{"unknown service", opened, `{"action":{"name":"restart","parameters":{"service":"nowhere"}}}`, 400, "service must be one of"},
		{"unknown action", opened, `{` + causes + `,"action":{"name":"reboot"}}`, 400, "action must be one of"},
		{"wrong parameter", opened, `{` + causes + `,"action":{"name":"scale","parameters":{"replicas":"many"}}}`, 400, "right type"},
		{"refused action", opened, `{"action":{"name":"rollback","parameters":{"service":"cache"}}}`, 400, "cannot be rolled back"},
		{"no type", "", restart, 400, "id, source and type"},
		{"wrong data", opened, `{"incident":7}`, 400, "must be a CloudEvent"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := newFixture(t)
			w := f.send("m", cloudEvent(tc.kind, tc.data))
			assert.Equal(t, tc.status, w.Code)
			assert.Contains(t, w.Body.String(), tc.want)
		})
	}
	f := newFixture(t)
	assert.Contains(t, f.send("m", `{"specversion":"0.3"}`).Body.String(), "specversion must be 1.0")
	assert.Equal(t, http.StatusRequestEntityTooLarge, f.send("m", strings.Repeat(" ", 300_000)).Code)
}

func TestWebhookCuresFault(t *testing.T) {
	f := newFixture(t)
	_, err := f.shop.Inject(shop.Fault{Kind: shop.CPUHog})
	require.NoError(t, err)
	w := f.send("m", cloudEvent(opened, restart))
	assert.Contains(t, w.Body.String(), "faults cured: 1")
	assert.Empty(t, f.shop.State().Faults)
}

func TestWebhookActsOnce(t *testing.T) {
	f := newFixture(t)
	body := cloudEvent(opened, `{`+causes+`,"action":{"name":"rollback"}}`)
	first := f.send("m-1", body)
	require.Equal(t, 200, first.Code)
	f.now = f.now.Add(time.Minute)
	again := f.send("m-1", body)
	assert.Equal(t, 200, again.Code, "a repetition is answered as the first time")
	assert.Contains(t, again.Body.String(), "repetition, nothing done")
	assert.Equal(t, 409, f.send("m-2", body).Code, "another webhook acts again, and there is no earlier version any more")

	var list struct{ Deliveries []map[string]any }
	require.NoError(t, json.Unmarshal(f.do("GET", "/webhooks", "").Body.Bytes(), &list))
	require.Len(t, list.Deliveries, 3)
	assert.Equal(t, map[string]any{
		"id": "m-1", "type": opened, "incident_id": "inc-1", "verified": true, "action": "rollback", "service": "search",
		"status": 200.0, "result": "rolled search back from 2.7.1 to 2.7.0; faults cured: 0", "time": "2026-03-02T12:00:00Z",
	}, list.Deliveries[0])
}

func TestWebhookMemoryIsBounded(t *testing.T) {
	f := newFixture(t)
	body := cloudEvent(opened, `{}`)
	for i := range 1500 {
		require.Equal(t, 202, f.send(strconv.Itoa(i), body).Code)
	}
	var list struct{ Deliveries []any }
	require.NoError(t, json.Unmarshal(f.do("GET", "/webhooks", "").Body.Bytes(), &list))
	assert.Len(t, list.Deliveries, 1000)
	assert.Contains(t, f.send("1499", body).Body.String(), "repetition")
	assert.NotContains(t, f.send("1", body).Body.String(), "repetition")
}

func TestWebhookNeedsSecret(t *testing.T) {
	f := newFixture(t)
	f.Handler = control.NewHandler(f.shop, nil, func() time.Time { return now }, func() any { return nil })
	w := f.send("m", cloudEvent(opened, restart))
	assert.Equal(t, http.StatusForbidden, w.Code)
}

func FuzzWebhook(f *testing.F) {
	f.Add(cloudEvent(opened, restart))
	f.Add(cloudEvent(opened, `{"action":{"name":"scale","parameters":{"replicas":"4"}}}`))
	f.Add(`{"specversion":"1.0","id":"1","source":"s","type":"t","data":{"action":{"name":"shed","parameters":{"fraction":"\""}}}}`)
	f.Add(`[]`)
	fx := newFixture(f)
	n := 0
	f.Fuzz(func(t *testing.T, body string) {
		n++
		fx.t = t
		w := fx.send(strconv.Itoa(n), body)
		switch w.Code {
		case 200, 202, 400, 409, 413:
		default:
			t.Errorf("status %d for %q: %s", w.Code, body, w.Body)
		}
		assert.True(t, json.Valid(w.Body.Bytes()))
		assert.Len(t, fx.shop.State().Services, 15)
	})
}
