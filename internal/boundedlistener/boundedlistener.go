// Package boundedlistener listens for HTTP as confighttp does, for a bounded number of connections at the same time.
package boundedlistener

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"

	"go.opentelemetry.io/collector/config/confighttp"
	"golang.org/x/net/netutil"
)

// Listen listens where a server is configured to, for at most so many connections. What is counted stands below TLS: a server
// can see only on a connection of TLS itself that HTTP/2 was agreed on.
func Listen(ctx context.Context, server *confighttp.ServerConfig, connections int) (net.Listener, error) {
	plain, err := server.NetAddr.Listen(ctx)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", server.NetAddr.Endpoint, err)
	}
	bounded := netutil.LimitListener(plain, connections)
	if !server.TLS.HasValue() {
		return bounded, nil
	}
	config, err := server.TLS.Get().LoadTLSConfig(ctx)
	if err != nil {
		_ = bounded.Close() // nobody was accepted yet
		return nil, fmt.Errorf("load tls: %w", err)
	}
	config.NextProtos = []string{"h2", "http/1.1"}
	return tls.NewListener(bounded, config), nil
}
