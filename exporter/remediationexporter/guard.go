package remediationexporter

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/config/configmiddleware"
)

var errPrivateRange = errors.New("address is in a private range and allow_private_ranges is not set")

// special are the ranges that are not covered by the methods of netip.Addr: this network, shared address space (RFC
// 6598), protocol assignments, documentation, benchmarking, reserved and broadcast, NAT64 and 6to4, which can wrap a
// private IPv4 address.
var special = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("240.0.0.0/4"), netip.MustParsePrefix("64:ff9b::/96"),
	netip.MustParsePrefix("64:ff9b:1::/48"), netip.MustParsePrefix("2002::/16"), netip.MustParsePrefix("2001::/32"),
}

// isSpecial reports whether the address is anything but an ordinary public one.
func isSpecial(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if !a.IsGlobalUnicast() || a.IsPrivate() {
		return true
	}
	for _, p := range special {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// baseID is where the base transport is reached among the extensions that a client may use; it stands for nothing that a
// user could configure.
var baseID = component.NewIDWithName(component.MustNewType("remediation"), "base_transport")

// baseTransport is a middleware under everything else that confighttp builds. It checks the addresses that the client
// connects to, resolved and right before connecting, which leaves a changing DNS answer no way past it; and it keeps
// the transport, since confighttp's client cannot close its idle connections.
type baseTransport struct {
	component.StartFunc
	component.ShutdownFunc
	allowPrivate bool
	transport    *http.Transport
}

// GetHTTPRoundTripper implements extensionmiddleware.HTTPClient.
func (b *baseTransport) GetHTTPRoundTripper(base http.RoundTripper) (http.RoundTripper, error) {
	transport, ok := base.(*http.Transport)
	if !ok {
		return nil, fmt.Errorf("base transport must be an *http.Transport, got %T", base)
	}
	b.transport = transport
	if !b.allowPrivate {
		dialer := &net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second, Control: refusePrivate}
		transport.DialContext = dialer.DialContext
	}
	return transport, nil
}

func refusePrivate(_, address string, _ syscall.RawConn) error {
	if ap, err := netip.ParseAddrPort(address); err != nil || isSpecial(ap.Addr()) {
		return errPrivateRange
	}
	return nil
}

// makeClient returns a client that follows no redirects.
func (b *baseTransport) makeClient(ctx context.Context, c confighttp.ClientConfig, host component.Host, set component.TelemetrySettings) (*http.Client, error) {
	extensions := map[component.ID]component.Component{}
	maps.Copy(extensions, host.GetExtensions())
	extensions[baseID] = b
	c.Middlewares = append(slices.Clone(c.Middlewares), configmiddleware.Config{ID: baseID}) // the last is the innermost
	client, err := c.ToClient(ctx, extensions, set)
	if err != nil {
		return nil, err
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return client, nil
}

func (b *baseTransport) close() {
	if b.transport != nil {
		b.transport.CloseIdleConnections()
	}
}
