package remediationexporter

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"
)

// resolveBy makes this process resolve names by answers; false is that there is no such name.
func resolveBy(t *testing.T, answer func(name string) (ip [4]byte, ok bool)) {
	t.Helper()
	system := net.DefaultResolver
	t.Cleanup(func() { net.DefaultResolver = system })
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go answerDNS(server, answer)
		return client, nil
	}}
}

// answerDNS answers one question as over TCP, where each message is behind its length.
func answerDNS(conn net.Conn, answer func(name string) ([4]byte, bool)) {
	defer func() { _ = conn.Close() }()
	size := make([]byte, 2)
	if _, err := io.ReadFull(conn, size); err != nil {
		return
	}
	question := make([]byte, binary.BigEndian.Uint16(size))
	var m dnsmessage.Message
	if _, err := io.ReadFull(conn, question); err != nil || m.Unpack(question) != nil {
		return
	}
	m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
	q := m.Questions[0]
	ip, ok := answer(q.Name.String())
	switch {
	case !ok:
		m.RCode = dnsmessage.RCodeNameError
	case q.Type == dnsmessage.TypeA:
		m.Answers = []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class}, Body: &dnsmessage.AResource{A: ip},
		}}
	}
	packed, err := m.Pack()
	if err != nil {
		return
	}
	_, _ = conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(packed))), packed...))
}

func port(t *testing.T, s *httptest.Server) string {
	t.Helper()
	_, p, err := net.SplitHostPort(s.Listener.Addr().String())
	require.NoError(t, err)
	return p
}

// TestRebinding has a name that nothing is known of when the configuration is read, and at the first attempt, point inside at the next.
func TestRebinding(t *testing.T) {
	for _, allowed := range []bool{false, true} {
		s, got := server(t, httptest.NewServer, 200)
		asked := make(chan struct{}, 100)
		resolveBy(t, func(string) ([4]byte, bool) {
			asked <- struct{}{}
			return [4]byte{127, 0, 0, 1}, len(asked) > 2 // a name is asked for both kinds of addresses
		})
		r := overHTTP(t, "http://hook.rebind.test:"+port(t, s)+"/webhook", func(h *WebhookConfig) { h.AllowPrivateRanges = allowed })
		r.cfg.RetryConfig.InitialInterval = time.Millisecond
		require.NoError(t, r.cfg.Validate())
		r.start()
		r.must(opened("i-1"))
		if allowed {
			assert.Equal(t, "/webhook", (<-got).url)
		} else {
			require.Eventually(t, func() bool { return r.sum("lost_events", lostRefused, "a") == 1 }, 30*time.Second, 5*time.Millisecond)
		}
		assert.Positive(t, r.sum("delivery_attempts", resultRetryable, "a"), "there was no such name at first")
		r.stop()
		assert.Empty(t, got, "nothing else got through")
	}
}

// TestProxy has the check made on the proxy that is connected to, which resolves the destination's name itself.
func TestProxy(t *testing.T) {
	for _, allowed := range []bool{false, true} {
		proxy, got := server(t, httptest.NewServer, 200)
		r := overHTTP(t, "http://hook.proxied.test/webhook", func(h *WebhookConfig) {
			h.ProxyURL, h.AllowPrivateRanges = "http://proxy.localhost.test:"+port(t, proxy), allowed
		})
		resolveBy(t, func(name string) ([4]byte, bool) { return [4]byte{127, 0, 0, 1}, name == "proxy.localhost.test." })
		require.NoError(t, r.cfg.Validate())
		r.start()
		r.must(opened("i-1"))
		if allowed {
			assert.Equal(t, "http://hook.proxied.test/webhook", (<-got).url)
		} else {
			require.Eventually(t, func() bool { return r.sum("lost_events", lostRefused, "a") == 1 }, 30*time.Second, 5*time.Millisecond)
		}
		r.stop()
		assert.Empty(t, got)
	}
}
