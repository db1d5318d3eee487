package notifier

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// Reply is an answer that was read; its zero value is that of a request without one.
type Reply struct {
	Status int
	Header http.Header
	Body   []byte
}

// Exchange sends a request, reads the answer up to [MaxAnswer], and judges it by the rules of HTTP; see [Judge]. The reply comes also
// with the error of that, so that a driver can tell more by its headers. An error does not quote the URL, whose path or query is often
// a secret.
func Exchange(client *http.Client, req *http.Request, now time.Time) (Reply, error) {
	resp, err := client.Do(req)
	if err != nil {
		return Reply{}, fmt.Errorf("send request to %s: %w", req.URL.Hostname(), WithoutURL(err))
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, MaxAnswer)) // the status decides; what is cut off is not missed
	reply := Reply{Status: resp.StatusCode, Header: resp.Header, Body: body}
	return reply, Judge(reply, now)
}

// WithoutURL returns the error of a client without the URL that it quotes.
func WithoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
