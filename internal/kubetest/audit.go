package kubetest

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"k8s.io/client-go/rest"
)

// auditLine is what is used of an event in the API server's audit log (audit.k8s.io/v1).
type auditLine struct {
	Verb       string
	RequestURI string
	User       struct{ Username string }
	ObjectRef  struct{ Resource, Namespace, Name, APIGroup, Subresource string }
	// RequestObject is logged of what may carry a dry run in its body.
	RequestObject            json.RawMessage
	ResponseStatus           struct{ Code int }
	RequestReceivedTimestamp time.Time
}

// Audit returns what a service account asked the API server for since the lab started, in the order of the answers, from the
// server's own audit log: whoever used the token, in whichever process, through whichever proxy. Requests that never reached
// the server are not there.
func (l *Lab) Audit(t testing.TB, account *rest.Config) []Request {
	t.Helper()
	user, err := subject(account.BearerToken)
	if err != nil {
		t.Fatalf("read the account's token: %v", err)
	}
	// The log line of a request may come a moment after its answer: wait for that of one made now.
	marker := "/version?audit=" + uuid.NewString()
	if err := l.client.RESTClient().Get().RequestURI(marker).Do(t.Context()).Error(); err != nil {
		t.Fatalf("mark the audit log: %v", err)
	}
	var requests []Request
	Eventually(t, "the audit log has the newest request", func() error {
		requests, err = readAudit(filepath.Join(l.Dir, "audit.log"), user, marker)
		return err
	})
	return requests
}

// AuditWrites returns those requests of [Lab.Audit] that could change an object.
func (l *Lab) AuditWrites(t testing.TB, account *rest.Config) []Request {
	t.Helper()
	var writes []Request
	for _, request := range l.Audit(t, account) {
		if request.Mutates() {
			writes = append(writes, request)
		}
	}
	return writes
}

// readAudit reads the requests of a user up to a marker.
func readAudit(path, user, marker string) ([]Request, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open the audit log: %w", err)
	}
	defer file.Close()
	var requests []Request
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var line auditLine
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return nil, fmt.Errorf("read the audit log: %w", err)
		}
		if line.RequestURI == marker {
			return requests, nil
		}
		if line.User.Username == user {
			requests = append(requests, line.request())
		}
	}
	return nil, errors.Join(lines.Err(), fmt.Errorf("%s is not in %s yet", marker, path))
}

func (l auditLine) request() Request {
	r := Request{
		At: l.RequestReceivedTimestamp, Verb: l.Verb, Group: l.ObjectRef.APIGroup, Resource: l.ObjectRef.Resource,
		Namespace: l.ObjectRef.Namespace, Name: l.ObjectRef.Name, Body: l.RequestObject, Code: l.ResponseStatus.Code,
	}
	if l.ObjectRef.Subresource != "" {
		r.Resource += "/" + l.ObjectRef.Subresource
	}
	if r.Resource == "namespaces" { // the audit log says it twice
		r.Namespace = ""
	}
	if at, err := url.ParseRequestURI(l.RequestURI); err == nil {
		r.Path = at.Path
		r.DryRun = at.Query().Has("dryRun") || dryRun(l.RequestObject)
	}
	return r
}

// subject reads whose token it is: system:serviceaccount:NAMESPACE:NAME.
func subject(token string) (string, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return "", errors.New("it is no token of a service account: make one with ServiceAccount or Token")
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return "", fmt.Errorf("decode the token: %w", err)
	}
	var claims struct {
		Subject string `json:"sub"`
	}
	if err := json.Unmarshal(payload, &claims); err != nil {
		return "", fmt.Errorf("decode the token: %w", err)
	}
	return claims.Subject, nil
}
