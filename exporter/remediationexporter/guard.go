package remediationexporter

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"

	"go.opentelemetry.io/collector/component"
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

// guardID is where the guard sits among the extensions that a client may use; no user can name it.
var guardID = component.NewIDWithName(component.MustNewType("remediation"), "address_guard")

// addressGuard puts a check on the addresses that a client connects to under everything else that confighttp builds.
// Checking the resolved address right before connecting leaves a changing DNS answer no way past it.
type addressGuard struct {
	component.StartFunc
	component.ShutdownFunc
}

// GetHTTPRoundTripper implements extensionmiddleware.HTTPClient.
func (addressGuard) GetHTTPRoundTripper(base http.RoundTripper) (http.RoundTripper, error) {
	transport, ok := base.(*http.Transport)
	if !ok {
		return nil, fmt.Errorf("address guard needs an *http.Transport, got %T", base)
	}
	dialer := &net.Dialer{
		Timeout:   30 * time.Second,
		KeepAlive: 30 * time.Second,
		Control: func(_, address string, _ syscall.RawConn) error {
			ap, err := netip.ParseAddrPort(address)
			if err != nil || isSpecial(ap.Addr()) {
				return errPrivateRange
			}
			return nil
		},
	}
	transport.DialContext = dialer.DialContext
	return transport, nil
}

// guarded returns the client settings and extensions with the guard as the innermost middleware.
func guarded(c WebhookConfig, extensions map[component.ID]component.Component) (WebhookConfig, map[component.ID]component.Component) {
	if c.AllowPrivateRanges {
		return c, extensions
	}
	all := make(map[component.ID]component.Component, len(extensions)+1)
	maps.Copy(all, extensions)
	all[guardID] = addressGuard{}
	c.Middlewares = append(append([]configmiddleware.Config(nil), c.Middlewares...), configmiddleware.Config{ID: guardID})
	return c, all
}
