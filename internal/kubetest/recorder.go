package kubetest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
)

// Request is one request to the API server.
type Request struct {
	At time.Time
	// Verb is Kubernetes': get, list, watch, create, update, patch, delete, deletecollection; for a path that is no
	// resource's it is the HTTP method in small letters.
	Verb string
	// Group is the API group, empty for the core group.
	Group string
	// Resource is the resource with its subresource, such as deployments/scale. It is empty for a path that is no resource's.
	Resource        string
	Namespace, Name string
	// Path is the URL's path.
	Path string
	// DryRun is set when the API server was told to change nothing.
	DryRun bool
	// Body is what was sent.
	Body []byte
	// Code is the HTTP status of the answer, 0 when none came; Err says why.
	Code int
	Err  error
}

// Mutates tells whether the request could change an object: a write that is neither a dry run nor a review of permissions or
// a token.
func (r Request) Mutates() bool {
	switch r.Verb {
	case "create", "update", "patch", "delete", "deletecollection":
	default:
		return false
	}
	return !r.DryRun && r.Group != "authorization.k8s.io" && r.Group != "authentication.k8s.io"
}

// String tells verb, resource, namespace and name, such as "patch deployments shop/web", with "(dry run)" after it.
func (r Request) String() string {
	what := r.Resource
	if what == "" {
		what = r.Path
	}
	name := r.Name
	if r.Namespace != "" {
		name = r.Namespace + "/" + name
	}
	s := strings.TrimSpace(r.Verb + " " + what + " " + name)
	if r.DryRun {
		s += " (dry run)"
	}
	return s
}

// Recorder remembers every request that goes through it. Its zero value is ready, and it is safe for concurrent use.
type Recorder struct {
	mu sync.Mutex
	// mu guards everything below.
	requests []Request
}

// Watch returns a copy of a configuration whose clients are recorded. What the client's own rate limiter or a wrapper that is
// added later refuses never gets here; what client-go retries is seen at each try.
func (r *Recorder) Watch(config *rest.Config) *rest.Config {
	watched := rest.CopyConfig(config)
	watched.Wrap(r.RoundTripper)
	return watched
}

// RoundTripper returns a transport that records what goes to next.
func (r *Recorder) RoundTripper(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(request *http.Request) (*http.Response, error) {
		request, seen, err := read(request)
		if err != nil {
			return nil, err
		}
		answer, err := next.RoundTrip(request)
		seen.Err = err
		if answer != nil {
			seen.Code = answer.StatusCode
		}
		r.add(seen)
		return answer, err
	})
}

func (r *Recorder) add(seen Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests = append(r.requests, seen)
}

// Requests returns all requests in the order of their answers.
func (r *Recorder) Requests() []Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.requests)
}

// Writes returns the requests that could change an object, answered or not.
func (r *Recorder) Writes() []Request {
	return slices.DeleteFunc(r.Requests(), func(q Request) bool { return !q.Mutates() })
}

// Reset forgets what was recorded.
func (r *Recorder) Reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests = nil
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return f(request) }

// read tells what a request to the API server asks for, and returns a copy of it whose body is still to be read.
func read(request *http.Request) (*http.Request, Request, error) {
	var body []byte
	if request.Body != nil {
		var err error
		if body, err = io.ReadAll(request.Body); err != nil {
			return nil, Request{}, fmt.Errorf("read the body of %s %s: %w", request.Method, request.URL.Path, err)
		}
		_ = request.Body.Close()
		request = request.Clone(request.Context())
		request.Body = io.NopCloser(bytes.NewReader(body))
		request.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	}
	seen := parse(request.Method, request.URL.Path, isTrue(request.URL.Query().Get("watch")))
	seen.At, seen.Body = time.Now(), body
	seen.DryRun = len(request.URL.Query()["dryRun"]) > 0 || dryRun(body)
	return request, seen, nil
}

// isTrue reads a flag of a query as the API server does: any value but these means yes.
func isTrue(value string) bool { return value != "" && value != "false" && value != "0" }

// dryRun tells whether a body that carries options of a deletion asks for a dry run. Clients write JSON or protobuf, the
// audit log JSON of the server's internal version.
func dryRun(body []byte) bool {
	if !bytes.HasPrefix(body, []byte("k8s\x00")) {
		var options struct {
			Kind          string
			DryRun        []string
			DeleteOptions struct{ DryRun []string }
		}
		if json.Unmarshal(body, &options) != nil {
			return false
		}
		return options.Kind == "DeleteOptions" && len(options.DryRun) > 0 ||
			options.Kind == "Eviction" && len(options.DeleteOptions.DryRun) > 0
	}
	decoded, _, err := scheme.Codecs.UniversalDeserializer().Decode(body, nil, nil)
	if err != nil {
		return false
	}
	switch options := decoded.(type) {
	case *metav1.DeleteOptions:
		return len(options.DryRun) > 0
	case *policyv1.Eviction:
		return options.DeleteOptions != nil && len(options.DeleteOptions.DryRun) > 0
	}
	return false
}

// parse reads a path of the API: /api/v1/... or /apis/GROUP/VERSION/..., then namespaces/NAMESPACE, resource, name and
// subresource, as the API server does (k8s.io/apiserver/pkg/endpoints/request).
func parse(method, path string, watch bool) Request {
	seen := Request{Verb: strings.ToLower(method), Path: path}
	parts := strings.Split(strings.Trim(path, "/"), "/")
	switch {
	case len(parts) >= 3 && parts[0] == "api":
		parts = parts[2:]
	case len(parts) >= 4 && parts[0] == "apis":
		seen.Group, parts = parts[1], parts[3:]
	default:
		return seen
	}
	if parts[0] == "namespaces" && len(parts) >= 3 && parts[2] != "status" && parts[2] != "finalize" {
		seen.Namespace, parts = parts[1], parts[2:]
	}
	seen.Resource = parts[0]
	if len(parts) > 1 {
		seen.Name = parts[1]
	}
	if len(parts) > 2 {
		seen.Resource += "/" + parts[2]
	}
	switch method {
	case http.MethodGet, http.MethodHead:
		seen.Verb = "get"
		if seen.Name == "" {
			seen.Verb = "list"
		}
		if watch {
			seen.Verb = "watch"
		}
	case http.MethodPost:
		seen.Verb = "create"
	case http.MethodPut:
		seen.Verb = "update"
	case http.MethodDelete:
		if seen.Name == "" {
			seen.Verb = "deletecollection"
		}
	}
	return seen
}
