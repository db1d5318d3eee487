package notifier

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// Call sends v as JSON, or no body if it is nil, and judges the answer; see [Exchange].
func Call(ctx context.Context, client *http.Client, method, url string, header http.Header, v any, now time.Time) (Reply, error) {
	var body []byte
	if v != nil {
		var err error
		if body, err = json.Marshal(v); err != nil {
			return Reply{}, &Refused{Reason: fmt.Sprintf("encode request: %v", err)}
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return Reply{}, &Refused{Reason: fmt.Sprintf("make request: %v", WithoutURL(err))}
	}
	for name, values := range header {
		req.Header[name] = values
	}
	req.Header.Set("Accept", "application/json")
	if v != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return Exchange(client, req, now)
}

// Unclear is the error of an answer that should say that a message was taken, and says something else: what it was that answered is
// not the system, or is not well.
func Unclear(r Reply) error {
	return &Busy{Status: r.Status, Reason: "not what the system documents: " + Quote(r.Body)}
}
