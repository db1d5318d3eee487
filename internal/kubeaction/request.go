package kubeaction

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strings"
)

// String says the request in one line.
func (r Request) String() string {
	var text strings.Builder
	text.WriteString(r.Verb + " " + r.Resource)
	if r.Group != "" {
		text.WriteString("." + r.Group)
	}
	if r.Namespace != "" {
		text.WriteString(" in namespace " + r.Namespace)
	}
	if r.Name != "" {
		text.WriteString(" named " + r.Name)
	}
	return text.String()
}

// parsedRequest is a request to the API server as its own authorization sees it.
type parsedRequest struct {
	Request
	// resourceless is set for paths such as /version.
	resourceless bool
}

// harmless tells whether the request changes nothing whatever its body says.
func (p parsedRequest) harmless() bool {
	return p.Verb == "get" ||
		p.Verb == "create" && p.Group == "authorization.k8s.io" && p.Resource == "selfsubjectaccessreviews" && p.Name == ""
}

// readableSubresources may be read. Others do something when they are read: exec, attach, portforward, proxy.
var readableSubresources = map[string]bool{"": true, "status": true, "scale": true, "log": true}

// neverSubresources ignore dryRun=All, so that no rule of the transport could hold for them.
var neverSubresources = map[string]bool{"exec": true, "attach": true, "portforward": true, "proxy": true, "token": true}

// parseRequest reads the verb and the resource from a request, as the API server does
// (k8s.io/apiserver/pkg/endpoints/request.RequestInfoFactory), but refuses what is ambiguous or never needed.
func parseRequest(method string, server, target *url.URL) (parsedRequest, error) {
	if target.Opaque != "" || target.Scheme != server.Scheme || target.Host != server.Host {
		return parsedRequest{}, errors.New("it does not go to the API server")
	}
	verb, known := map[string]string{
		http.MethodGet: "get", http.MethodHead: "get", http.MethodPost: "create", http.MethodPut: "update",
		http.MethodPatch: "patch", http.MethodDelete: "delete",
	}[method]
	if !known {
		return parsedRequest{}, fmt.Errorf("method %q", method)
	}
	rest, inside := strings.CutPrefix(target.Path, strings.TrimSuffix(server.Path, "/")+"/")
	if !inside {
		return parsedRequest{}, errors.New("its path does not start as that of the API server")
	}
	rest = strings.TrimSuffix(rest, "/")
	if rest != "" && path.Clean("/"+rest) != "/"+rest {
		return parsedRequest{}, errors.New("its path has empty or relative parts")
	}
	parsed, err := parsePath(verb, strings.Split(rest, "/"))
	if err != nil {
		return parsedRequest{}, err
	}
	_, subresource, _ := strings.Cut(parsed.Resource, "/")
	switch {
	case verb == "get" && (!readableSubresources[subresource] || parsed.Resource == "proxy"):
		return parsedRequest{}, fmt.Errorf("reading %s does something", parsed.Resource)
	case verb != "get" && (parsed.resourceless || parsed.Resource == "watch" || parsed.Resource == "proxy"):
		return parsedRequest{}, errors.New("its path names no resource")
	case neverSubresources[subresource]:
		return parsedRequest{}, fmt.Errorf("subresource %s", subresource)
	}
	return parsed, nil
}

func parsePath(verb string, parts []string) (parsedRequest, error) {
	parsed := parsedRequest{Request: Request{Verb: verb}}
	switch {
	case parts[0] == "api" && len(parts) > 2:
		parts = parts[2:]
	case parts[0] == "apis" && len(parts) > 3:
		parsed.Group = parts[1]
		parts = parts[3:]
	default:
		parsed.resourceless = true
		return parsed, nil
	}
	if parts[0] == "watch" && verb == "get" && len(parts) > 1 {
		parts = parts[1:]
	}
	if parts[0] == "namespaces" && len(parts) > 1 {
		parsed.Namespace = parts[1]
		ofNamespace := len(parts) == 3 && (parts[2] == "status" || parts[2] == "finalize")
		if len(parts) > 2 && !ofNamespace {
			parts = parts[2:]
		}
	}
	switch len(parts) {
	case 1:
		if verb == "delete" {
			parsed.Verb = "deletecollection"
		}
	case 2:
		parsed.Name = parts[1]
	case 3:
		parsed.Name = parts[1]
		parts[0] += "/" + parts[2]
	default:
		// Only proxies have longer paths.
		return parsed, errors.New("its path has too many parts")
	}
	parsed.Resource = parts[0]
	return parsed, nil
}
