package kubetest

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"sync"

	"k8s.io/client-go/rest"
)

// transport is an HTTP transport that can be closed with everything that goes on in it: a test's goroutines end with it.
// client-go otherwise keeps one per configuration for good.
type transport struct {
	*http.Transport

	mu sync.Mutex
	// mu guards everything below.
	open map[*connection]struct{}
}

// connection tells its transport when it is closed.
type connection struct {
	net.Conn
	of *transport
}

func (c *connection) Close() error {
	c.of.mu.Lock()
	delete(c.of.open, c)
	c.of.mu.Unlock()
	return c.Conn.Close()
}

func newTransport(secure *tls.Config) *transport {
	t := &transport{Transport: http.DefaultTransport.(*http.Transport).Clone(), open: map[*connection]struct{}{}}
	t.Proxy, t.TLSClientConfig, t.MaxIdleConnsPerHost = nil, secure, 64
	t.DialContext = t.dial
	return t
}

func (t *transport) dial(ctx context.Context, network, address string) (net.Conn, error) {
	dialed, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	c := &connection{Conn: dialed, of: t}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.open[c] = struct{}{}
	return c, nil
}

// close ends all connections, whatever goes on in them. A later request dials anew.
func (t *transport) close() {
	t.CloseIdleConnections()
	t.mu.Lock()
	left := make([]*connection, 0, len(t.open))
	for c := range t.open {
		left = append(left, c)
	}
	t.mu.Unlock()
	for _, c := range left {
		_ = c.Close()
	}
}

// ownTransport returns the configuration with a transport that nobody else uses.
func ownTransport(config *rest.Config) (*rest.Config, *transport, error) {
	secure, err := rest.TLSConfigFor(config)
	if err != nil {
		return nil, nil, fmt.Errorf("read the certificates of the lab: %w", err)
	}
	t := newTransport(secure)
	own := rest.CopyConfig(config)
	own.TLSClientConfig = rest.TLSClientConfig{}
	own.Transport = t
	own.QPS = -1 // the client's own rate limit would only slow tests down
	return own, t, nil
}
