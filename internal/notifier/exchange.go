package notifier

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
)

// Exchange sends a request and reads the answer, whose body it closes, and returns what [Judge] needs. Its errors do not quote the
// URL, whose path or query is often a secret.
func Exchange(client *http.Client, req *http.Request) (*http.Response, []byte, error) {
	resp, err := client.Do(req)
	if err != nil {
		return nil, nil, fmt.Errorf("send request to %s: %w", req.URL.Hostname(), WithoutURL(err))
	}
	return resp, Read(resp), nil
}

// WithoutURL returns the error of a client without the URL that it quotes.
func WithoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
