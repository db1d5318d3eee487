package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
)

// target is the receiver and how to talk to it.
type target struct {
	endpoint      string
	headers       metadata.MD
	insecure      bool
	insecureGiven bool
	caFile        string
	certFile      string
	keyFile       string
	serverName    string
	skipVerify    bool
}

func (t *target) addHeader(s string) error {
	key, value, ok := strings.Cut(s, "=")
	key = strings.ToLower(strings.TrimSpace(key))
	if !ok || key == "" {
		return errors.New("must be key=value")
	}
	valid := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.'
	}
	if strings.HasPrefix(key, "grpc-") || strings.ContainsFunc(key, func(r rune) bool { return !valid(r) }) {
		return fmt.Errorf("%q is not a name a header may have", key)
	}
	if !strings.HasSuffix(key, "-bin") && strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }) {
		return fmt.Errorf("the value of %q must be printable ASCII", key)
	}
	if t.headers == nil {
		t.headers = metadata.MD{}
	}
	t.headers.Append(key, value)
	return nil
}

// resolve settles scheme, port and whether TLS is used.
func (t *target) resolve() error {
	given := t.endpoint
	secure, scheme := false, false
	if rest, ok := strings.CutPrefix(t.endpoint, "http://"); ok {
		t.endpoint, scheme = rest, true
	} else if rest, ok := strings.CutPrefix(t.endpoint, "https://"); ok {
		t.endpoint, scheme, secure = rest, true, true
	}
	t.endpoint = strings.TrimSuffix(t.endpoint, "/")
	host, port, err := net.SplitHostPort(t.endpoint)
	if err != nil || port == "" {
		return fmt.Errorf("endpoint must be host:port, got %q", given)
	}
	wantsTLS := t.caFile != "" || t.certFile != "" || t.keyFile != "" || t.serverName != "" || t.skipVerify
	switch {
	case t.insecureGiven:
	case scheme:
		t.insecure = !secure
	case wantsTLS:
		t.insecure = false
	default:
		t.insecure = isLoopback(host)
	}
	var errs []error
	if t.insecureGiven && scheme && t.insecure == secure {
		errs = append(errs, fmt.Errorf("insecure=%t contradicts the endpoint %q", t.insecure, given))
	}
	if t.insecure && wantsTLS {
		errs = append(errs, errors.New("ca-file, cert-file, key-file, server-name and insecure-skip-verify need TLS, and the connection is insecure"))
	}
	if (t.certFile == "") != (t.keyFile == "") {
		errs = append(errs, errors.New("cert-file and key-file must be given together"))
	}
	return errors.Join(errs...)
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

func (t *target) dial() (*grpc.ClientConn, error) {
	creds := insecure.NewCredentials()
	if !t.insecure {
		conf, err := t.tls()
		if err != nil {
			return nil, err
		}
		creds = credentials.NewTLS(conf)
	}
	return grpc.NewClient(t.endpoint,
		grpc.WithTransportCredentials(creds),
		// Retries are ours: gRPC's own would not be counted.
		grpc.WithDisableRetry(),
		grpc.WithUserAgent("paramedic-replay"),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 200 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 5 * time.Second},
			MinConnectTimeout: 5 * time.Second,
		}),
	)
}

func (t *target) tls() (*tls.Config, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.serverName, InsecureSkipVerify: t.skipVerify}
	if t.caFile != "" {
		pem, err := os.ReadFile(t.caFile)
		if err != nil {
			return nil, fmt.Errorf("read ca-file: %w", err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("ca-file %s holds no certificate", t.caFile)
		}
	}
	if t.certFile != "" {
		cert, err := tls.LoadX509KeyPair(t.certFile, t.keyFile)
		if err != nil {
			return nil, fmt.Errorf("load client certificate: %w", err)
		}
		conf.Certificates = []tls.Certificate{cert}
	}
	return conf, nil
}
