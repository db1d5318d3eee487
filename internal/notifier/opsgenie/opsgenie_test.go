package opsgenie_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/paramedic-otel/paramedic/internal/notifier"
	"github.com/paramedic-otel/paramedic/internal/notifier/notifiertest"
	"github.com/paramedic-otel/paramedic/internal/notifier/opsgenie"
	"github.com/paramedic-otel/paramedic/semconv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newDestination(t testing.TB, url string, client *http.Client, change ...func(*opsgenie.Config)) notifier.Destination {
	t.Helper()
	cfg := opsgenie.DefaultConfig()
	cfg.Endpoint, cfg.APIKey, cfg.StatusDelay = url, apiKey, 0
	for _, f := range change {
		f(&cfg)
	}
	require.NoError(t, cfg.Validate())
	d, err := opsgenie.New(&cfg, client)
	require.NoError(t, err)
	return d
}

func jsm(c *opsgenie.Config) { c.TagsAndPriority = opsgenie.DefaultJSMConfig().TagsAndPriority }

func suite(isJSM bool) *notifiertest.Suite {
	return &notifiertest.Suite{
		System: func() (func(*notifiertest.Request) notifiertest.Answer, func() int) {
			s := newSystem()
			s.jsm = isJSM
			return s.answer, s.open
		},
		New: func(t testing.TB, url string, client *http.Client) notifier.Destination {
			if isJSM {
				return newDestination(t, url, client, jsm)
			}
			return newDestination(t, url, client)
		},
		Traits:  opsgenie.Traits,
		Secrets: []string{apiKey},
	}
}

func TestSuite(t *testing.T) {
	t.Run("opsgenie", suite(false).Run)
	t.Run("jsm", suite(true).Run)
}

func FuzzDeliver(f *testing.F) { suite(false).Fuzz(f) }

// talk is a destination with the system that it talks to.
type talk struct {
	*notifiertest.Talk
	t *testing.T
	s *system
}

func begin(t *testing.T, change ...func(*opsgenie.Config)) *talk {
	s := newSystem()
	return beginWith(t, s, s.answer, change...)
}

func beginWith(t *testing.T, s *system, answer func(*notifiertest.Request) notifiertest.Answer, change ...func(*opsgenie.Config)) *talk {
	return &talk{t: t, s: s, Talk: notifiertest.NewTalk(t, answer, func(url string, client *http.Client) notifier.Destination {
		return newDestination(t, url, client, change...)
	})}
}

// TestGolden shows what is sent for each type of event of an incident that is open, but for the requests that only look.
func TestGolden(t *testing.T) {
	for _, typ := range notifiertest.Types {
		name := notifiertest.Name(typ)
		t.Run(name, func(t *testing.T) {
			k := begin(t)
			if typ != semconv.EventTypeIncidentOpened {
				k.All(semconv.EventTypeIncidentOpened)
			}
			n := len(k.Server.Requests())
			if typ == semconv.EventTypeIncidentOpened {
				n = 0
			}
			k.All(typ)
			var sent []notifiertest.Request
			for _, q := range k.Server.Requests()[n:] {
				if q.Method != http.MethodGet {
					sent = append(sent, q)
				}
			}
			notifiertest.Golden(t, name, sent, "Authorization")
		})
	}
}

// TestLife follows one alert, by its id as soon as that is known.
func TestLife(t *testing.T) {
	k := begin(t)
	k.All(semconv.EventTypeIncidentOpened, semconv.EventTypeIncidentUpdated, semconv.EventTypeIncidentAcknowledged,
		semconv.EventTypeRemediationApprovalRequested, semconv.EventTypeRemediationSucceeded, semconv.EventTypeIncidentResolved,
		semconv.EventTypeRemediationRolledBack)
	require.Len(t, k.s.alerts, 1)
	a := k.s.alerts[0]
	assert.Equal(t, 1, a.count, "an update does not count as one more")
	assert.True(t, a.acked)
	assert.Len(t, a.notes, 4, "also of what comes after the end")
	assert.Contains(t, a.notes[1], "Approve: https://paramedic.example.com/approve?token=")
	assert.Contains(t, a.tags, "approval-wanted")
	assert.Contains(t, a.closing, "the symptoms are gone")
	for _, q := range k.Server.Requests()[2:] {
		assert.NotContains(t, q.Query, "alias", q.Path)
	}
	assert.Equal(t, notifier.Memory{"id": a.id, "state": "closed", "severity": "major"}, k.Memory)
	// It comes back.
	again := notifiertest.Message(semconv.EventTypeIncidentUpdated)
	again.Incident.Reopened = 1
	require.NoError(t, k.Deliver(again))
	require.Len(t, k.s.alerts, 2)
	assert.Equal(t, k.s.alerts[1].id, k.Memory["id"])
}

// TestSeverity lets the priority follow where that can be done.
func TestSeverity(t *testing.T) {
	for _, isJSM := range []bool{false, true} {
		k := begin(t, func(c *opsgenie.Config) { c.TagsAndPriority = !isJSM })
		k.s.jsm = isJSM
		k.All(semconv.EventTypeIncidentOpened)
		m := notifiertest.Message(semconv.EventTypeIncidentUpdated)
		m.Incident.Severity = semconv.SeverityCritical
		require.NoError(t, k.Deliver(m))
		require.NoError(t, k.Deliver(m))
		assert.Equal(t, map[bool]string{false: "P1", true: "P2"}[isJSM], k.s.alerts[0].priority)
		assert.Contains(t, k.s.alerts[0].notes[0], "Status: open, critical")
	}
}

// TestNotCarriedOut is seen, though the request was accepted.
func TestNotCarriedOut(t *testing.T) {
	k := begin(t)
	k.s.fails = "Integration is \x1bdisabled"
	err := k.Deliver(notifiertest.Message(semconv.EventTypeIncidentOpened))
	var refused *notifier.Refused
	require.ErrorAs(t, err, &refused)
	assert.Equal(t, `refused: accepted, and then not carried out: "Integration is \x1bdisabled"`, err.Error())
}

// TestGoneByHand takes it for done when what is to be closed or acknowledged is closed or gone.
func TestGoneByHand(t *testing.T) {
	k := begin(t)
	k.All(semconv.EventTypeIncidentOpened)
	k.s.alerts[0].open = false
	k.All(semconv.EventTypeIncidentResolved)
	k = begin(t)
	k.All(semconv.EventTypeIncidentOpened)
	k.s.alerts = nil
	k.All(semconv.EventTypeIncidentAcknowledged, semconv.EventTypeIncidentResolved)
}

// TestSlowStatus asks again, without making the request again, and in the end believes that it was carried out.
func TestSlowStatus(t *testing.T) {
	k := begin(t)
	k.s.lag = 1
	err := k.Deliver(notifiertest.Message(semconv.EventTypeIncidentOpened))
	var busy *notifier.Busy
	require.ErrorAs(t, err, &busy)
	assert.Equal(t, 5*time.Second, busy.After)
	assert.NotEmpty(t, k.Memory["request"])
	k.All(semconv.EventTypeIncidentOpened)
	assert.Equal(t, 1, k.s.alerts[0].count)
	assert.Len(t, k.Server.Requests(), 3)
	// A note of which nobody ever says what became of it.
	k.s.lag = 100
	for range 2 {
		require.ErrorAs(t, k.Deliver(notifiertest.Message(semconv.EventTypeIncidentUpdated)), &busy)
	}
	k.All(semconv.EventTypeIncidentUpdated)
	assert.Len(t, k.s.alerts[0].notes, 1)
	assert.NotContains(t, k.Memory, "request")
}

// TestNoReadAccess works with a key that must not look.
func TestNoReadAccess(t *testing.T) {
	s := newSystem()
	k := beginWith(t, s, func(q *notifiertest.Request) notifiertest.Answer {
		if q.Method == http.MethodGet {
			return notifiertest.JSON(403, `{"message":"no read access","code":40301}`)
		}
		return s.answer(q)
	})
	k.All(semconv.EventTypeIncidentOpened, semconv.EventTypeIncidentUpdated, semconv.EventTypeRemediationSucceeded, semconv.EventTypeIncidentResolved)
	assert.Zero(t, s.open())
	assert.Len(t, s.alerts[0].notes, 2)
	// Without an id nothing can be found that is closed.
	k.All(semconv.EventTypeRemediationRolledBack)
	assert.Len(t, s.alerts[0].notes, 2)
}

// TestThrottled waits as long as the system's own header says, and goes on where it was.
func TestThrottled(t *testing.T) {
	k := begin(t)
	k.All(semconv.EventTypeIncidentOpened)
	k.s.left = 2 // the note gets through, the tag does not
	err := k.Deliver(notifiertest.Message(semconv.EventTypeRemediationEscalated))
	var busy *notifier.Busy
	require.ErrorAs(t, err, &busy)
	assert.Equal(t, time.Minute, busy.After)
	k.s.left = -1
	k.All(semconv.EventTypeRemediationEscalated)
	assert.Len(t, k.s.alerts[0].notes, 1)
	assert.Contains(t, k.s.alerts[0].tags, "escalated")
}

func TestUnclear(t *testing.T) {
	for name, c := range map[string]struct {
		answer notifiertest.Answer
		busy   bool
	}{
		"200 with an error": {notifiertest.JSON(200, `{"message":"error `+apiKey+`"}`), true},
		"202 of a proxy":    {notifiertest.Answer{Status: 202, Body: "<html>"}, true},
		"501":               {notifiertest.JSON(501, `{"message":"`+apiKey+`"}`), false},
		"402":               {notifiertest.JSON(402, `{}`), false},
		"422":               {notifiertest.JSON(422, `{"message":"Request body is not processable."}`), false},
	} {
		k := beginWith(t, nil, func(*notifiertest.Request) notifiertest.Answer { return c.answer })
		err := k.Deliver(notifiertest.Message(semconv.EventTypeIncidentOpened))
		var busy *notifier.Busy
		var refused *notifier.Refused
		if c.busy {
			require.ErrorAs(t, err, &busy, name)
		} else {
			require.ErrorAs(t, err, &refused, name)
		}
		assert.NotContains(t, err.Error(), apiKey, name)
	}
}

// TestStatusDelay waits between a request and the look at it, and no longer than it may.
func TestStatusDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem()
		client := &http.Client{Transport: &local{s: s}}
		d := newDestination(t, "http://opsgenie", client, func(c *opsgenie.Config) { c.StatusDelay = 3 * time.Second })
		start := time.Now()
		_, err := d.Deliver(t.Context(), notifiertest.Message(semconv.EventTypeIncidentOpened))
		require.NoError(t, err)
		assert.Equal(t, 3*time.Second, time.Since(start))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = d.Deliver(ctx, notifiertest.Message(semconv.EventTypeIncidentOpened))
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}
