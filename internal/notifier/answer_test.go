package notifier_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/paramedic-otel/paramedic/internal/notifier"
)

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	for v, want := range map[string]time.Duration{
		"": 0, "x": 0, "-5": 0, "0": 0, "7": 7 * time.Second, "999999999999": 15 * time.Minute, "99999999999999999999": 0,
		"Sun, 01 Mar 2026 10:00:30 GMT": 30 * time.Second, "Sun, 01 Mar 2026 09:00:00 GMT": 0, "Mon, 02 Mar 2026 10:00:00 GMT": 15 * time.Minute,
	} {
		assert.Equal(t, want, notifier.RetryAfter(v, now), v)
	}
}

func TestJudge(t *testing.T) {
	for status, want := range map[int]string{
		200: "", 202: "", 204: "", 301: "refused", 400: "refused", 404: "refused", 408: "busy", 410: "gone", 425: "busy", 429: "busy", 500: "busy", 503: "busy",
	} {
		reply := notifier.Reply{Status: status, Body: []byte("no\n" + strings.Repeat("x", 1<<20))}
		got := ""
		switch err := notifier.Judge(reply, time.Now()).(type) { //nolint:errorlint // it is not wrapped
		case *notifier.Refused:
			got = "refused"
			if err.Gone {
				got = "gone"
			}
			assert.Less(t, len(err.Error()), 400)
			assert.Contains(t, err.Error(), `no\nxxx`)
		case *notifier.Busy:
			got = "busy"
		}
		assert.Equal(t, want, got, status)
	}
}
