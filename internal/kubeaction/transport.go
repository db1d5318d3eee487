package kubeaction

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
)

// DefaultMaxResponseBytes bounds a response of the API server, after decompression. A list of 2,000 pods takes about 20 MiB.
const DefaultMaxResponseBytes = 32 << 20

// maxDeleteOptionsBytes bounds the body of a DELETE that is read to see whether it is a dry run.
const maxDeleteOptionsBytes = 64 << 10

// TransportSettings are the bounds and the witness of the way to the API server.
type TransportSettings struct {
	// MaxResponseBytes bounds each response but those of watches; 0 means DefaultMaxResponseBytes.
	MaxResponseBytes int64
	// Observe, if set, is told of every request that could have changed something, of dry runs and refused ones too, right
	// after its outcome is known. It is called from many goroutines at once, and must be quick.
	Observe func(Call)
}

// Call is one request that could have changed something, and what became of it.
type Call struct {
	Request Request
	// Permit is the one that was asked; nil for a dry run, or where the context has none.
	Permit Permit
	// DryRun is set where the API server was asked to change nothing.
	DryRun bool
	// Refused is set where nothing was sent. Err then says why.
	Refused bool
	// Status is the response's HTTP status, 0 without a response.
	Status int
	// Duration is from the question for the permit to the response's headers.
	Duration time.Duration
	Err      error
}

// ForbiddenCall is the error of a request that was not sent because nothing permits it.
type ForbiddenCall struct {
	Request Request
	// Cause is the permit's error, or says what is wrong with the request.
	Cause error
}

// Error implements error.
func (f *ForbiddenCall) Error() string {
	return fmt.Sprintf("not sent to the API server: %s: %v", f.Request, f.Cause)
}

// Unwrap returns the cause.
func (f *ForbiddenCall) Unwrap() error { return f.Cause }

// The causes of a ForbiddenCall that are not the permit's own.
var (
	// ErrNoPermit is the cause where the context holds no permit.
	ErrNoPermit = errors.New("no permit: it does not come from an order that the policy admitted")
	// ErrNeverPermitted is the cause where no permit could allow the request.
	ErrNeverPermitted = errors.New("this kind of request is never permitted")
)

// ErrResponseTooLarge is the error of reading a response beyond its bound.
var ErrResponseTooLarge = errors.New("the API server's response is larger than allowed")

type permitKey struct{}

// WithPermit returns a context under which requests that change something are sent if the permit, asked right before each
// of them and each of their repetitions, allows it. The context should have a deadline: it bounds how long a request is
// repeated when the API server asks to come back later.
func WithPermit(ctx context.Context, permit Permit) context.Context {
	return context.WithValue(ctx, permitKey{}, permit)
}

// PermitFrom returns the permit that the context holds, or nil.
func PermitFrom(ctx context.Context) Permit {
	permit, _ := ctx.Value(permitKey{}).(Permit)
	return permit
}

// Guarded returns a copy of the configuration of which every client sends its requests through the one choke point:
// reading and dry runs pass, everything else needs a Permit in its context, and what nobody may do is never sent. It
// stands below client-go's own repetitions, so a permit is asked anew for each.
func Guarded(config *rest.Config, settings TransportSettings) (*rest.Config, error) {
	server, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return nil, fmt.Errorf("address of the API server: %w", err)
	}
	if settings.MaxResponseBytes <= 0 {
		settings.MaxResponseBytes = DefaultMaxResponseBytes
	}
	guarded := rest.CopyConfig(config)
	guarded.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return &transport{next: next, server: server, settings: settings}
	})
	return guarded, nil
}

type transport struct {
	next     http.RoundTripper
	server   *url.URL
	settings TransportSettings
}

// WrappedRoundTripper lets idle connections be closed.
func (t *transport) WrappedRoundTripper() http.RoundTripper { return t.next }

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(request *http.Request) (*http.Response, error) {
	started := time.Now()
	call := Call{}
	request, err := t.judge(request, &call)
	if err != nil {
		if request.Body != nil {
			_ = request.Body.Close()
		}
		call.Refused, call.Err, call.Duration = true, err, time.Since(started)
		t.observe(call)
		return nil, err
	}
	response, err := t.next.RoundTrip(request)
	if err == nil && response.StatusCode >= 300 && response.StatusCode < 400 && response.StatusCode != http.StatusNotModified {
		// Following would send credentials, and perhaps the change itself, to whoever answers there.
		_ = response.Body.Close()
		call.Status = response.StatusCode
		response, err = nil, fmt.Errorf("the API server answered %s %s with a redirect (%d), which is not followed", request.Method, request.URL.Path, call.Status)
	}
	if response != nil {
		call.Status = response.StatusCode
		if !isWatch(request) {
			response.Body = &boundedBody{ReadCloser: response.Body, left: t.settings.MaxResponseBytes}
		}
	}
	if call.Request != (Request{}) {
		call.Err, call.Duration = err, time.Since(started)
		t.observe(call)
	}
	return response, err
}

func (t *transport) observe(call Call) {
	if t.settings.Observe != nil {
		t.settings.Observe(call)
	}
}

// judge returns the request to send, or why it must not be sent. It fills in the call where the request could change
// something, and leaves it as it is for reading.
func (t *transport) judge(request *http.Request, call *Call) (*http.Request, error) {
	parsed, err := parseRequest(request.Method, t.server, request.URL)
	if err != nil {
		call.Request = Request{Verb: request.Method, Resource: request.URL.Path}
		return request, &ForbiddenCall{Request: call.Request, Cause: fmt.Errorf("%w: %w", ErrNeverPermitted, err)}
	}
	if parsed.harmless() {
		return request, nil
	}
	parsed.Restoring = isRestoring(request.Context())
	call.Request = parsed.Request
	if request, call.DryRun, err = isDryRun(request); err != nil {
		return request, &ForbiddenCall{Request: parsed.Request, Cause: err}
	}
	if call.DryRun {
		return request, nil
	}
	permit := PermitFrom(request.Context())
	call.Permit = permit
	if permit == nil {
		return request, &ForbiddenCall{Request: parsed.Request, Cause: ErrNoPermit}
	}
	if err := permit.Allow(request.Context(), parsed.Request); err != nil {
		return request, &ForbiddenCall{Request: parsed.Request, Cause: err}
	}
	// A permit may have waited for its rate limit.
	if err := request.Context().Err(); err != nil {
		return request, &ForbiddenCall{Request: parsed.Request, Cause: err}
	}
	return request, nil
}

// isDryRun tells whether the API server would take the request for a dry run. The options of a DELETE are read from its
// body and only without one from the query; everything else has them in the query. In doubt it is none.
func isDryRun(request *http.Request) (*http.Request, bool, error) {
	query, err := url.ParseQuery(request.URL.RawQuery)
	if err != nil {
		return request, false, fmt.Errorf("query cannot be read: %w", err)
	}
	if request.Method != http.MethodDelete || request.Body == nil || request.Body == http.NoBody {
		return request, allAll(query["dryRun"]), nil
	}
	body, err := io.ReadAll(io.LimitReader(request.Body, maxDeleteOptionsBytes+1))
	_ = request.Body.Close()
	if err != nil {
		return request, false, fmt.Errorf("read delete options: %w", err)
	}
	if len(body) > maxDeleteOptionsBytes {
		return request, false, fmt.Errorf("delete options must be at most %d bytes", maxDeleteOptionsBytes)
	}
	request = request.Clone(request.Context())
	request.Body = io.NopCloser(bytes.NewReader(body))
	request.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	request.ContentLength = int64(len(body))
	if len(body) == 0 {
		request.Body = http.NoBody
		return request, allAll(query["dryRun"]), nil
	}
	return request, allAll(deleteOptions(request.Header.Get("Content-Type"), body).DryRun), nil
}

// deleteOptions decodes options with the API server's own decoders; it is empty for what they do not understand.
func deleteOptions(contentType string, body []byte) *metav1.DeleteOptions {
	none := &metav1.DeleteOptions{}
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil || media != runtime.ContentTypeJSON && media != runtime.ContentTypeProtobuf {
		return none
	}
	decoder, found := runtime.SerializerInfoForMediaType(scheme.Codecs.SupportedMediaTypes(), media)
	if !found {
		return none
	}
	kind := schema.GroupVersionKind{Version: "v1", Kind: "DeleteOptions"}
	decoded, _, err := decoder.Serializer.Decode(body, &kind, &metav1.DeleteOptions{})
	if options, ok := decoded.(*metav1.DeleteOptions); ok && err == nil {
		return options
	}
	return none
}

func allAll(values []string) bool {
	for _, value := range values {
		if value != "All" {
			return false
		}
	}
	return len(values) > 0
}

func isWatch(request *http.Request) bool {
	watch := request.URL.Query().Get("watch")
	return request.Method == http.MethodGet && (watch == "true" || watch == "1")
}

type boundedBody struct {
	io.ReadCloser
	left int64
}

// Read implements io.Reader. It fails once more than the bound has been read.
func (b *boundedBody) Read(p []byte) (int, error) {
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		b.left = 0
		return 0, ErrResponseTooLarge
	}
	return n, err
}
