package notifier

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	// MaxAnswer bounds, in bytes, what is read of an answer, and maxQuoted what of it an error quotes.
	MaxAnswer = 64 << 10
	maxQuoted = 256
	// MaxRetryAfter bounds how long a system can make us wait.
	MaxRetryAfter = 15 * time.Minute
)

// Judge turns an answer by the rules of HTTP into nil, a [*Refused] or a [*Busy]: 2xx is taken; 408, 425, 429 and 5xx are to be
// tried again; 410 is gone; all else, redirects too, is refused.
func Judge(r Reply, now time.Time) error {
	switch s := r.Status; {
	case s >= 200 && s < 300:
		return nil
	case s == http.StatusRequestTimeout, s == http.StatusTooEarly, s == http.StatusTooManyRequests, s >= 500:
		return &Busy{Status: s, Reason: Quote(r.Body), After: RetryAfter(r.Header.Get("Retry-After"), now)}
	default:
		return &Refused{Status: s, Reason: Quote(r.Body), Gone: s == http.StatusGone}
	}
}

// Quote is what an error shows of an answer, which is hostile input: its beginning, escaped.
func Quote(body []byte) string {
	s := strings.ToValidUTF8(string(body[:min(len(body), maxQuoted)]), "\uFFFD")
	return fmt.Sprintf("%q", s)
}

// RetryAfter reads the header's two forms, seconds and a date, up to [MaxRetryAfter]; 0 for anything else.
func RetryAfter(v string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseInt(v, 10, 64); err == nil {
		return time.Duration(min(max(seconds, 0), int64(MaxRetryAfter/time.Second))) * time.Second
	}
	if at, err := http.ParseTime(v); err == nil {
		return min(max(at.Sub(now), 0), MaxRetryAfter)
	}
	return 0
}
