package remediationexporter

import (
	"maps"
	"slices"
	"strconv"

	"github.com/paramedic-otel/paramedic/semconv"
)

// Reference names a typed field of an incident that may become a parameter of an action.
type Reference string

// references is the list of what may be referred to. Free text, such as a title or a summary, is not on it.
var references = func() map[Reference]func(*semconv.Incident) string {
	refs := map[Reference]func(*semconv.Incident) string{
		"incident.id":          func(i *semconv.Incident) string { return i.ID },
		"incident.revision":    func(i *semconv.Incident) string { return strconv.FormatInt(i.Revision, 10) },
		"incident.fingerprint": func(i *semconv.Incident) string { return i.Fingerprint },
		"incident.severity":    func(i *semconv.Incident) string { return string(i.Severity) },
		"cause.kind":           func(i *semconv.Incident) string { return string(i.Cause().Kind) },
		"cause.entity.type":    func(i *semconv.Incident) string { return string(i.Cause().Entity.Type) },
		"cause.entity.name":    func(i *semconv.Incident) string { return i.Cause().Entity.Name },
	}
	for _, attr := range []string{
		semconv.AttrServiceName, semconv.AttrServiceNamespace, semconv.AttrServiceVersion, semconv.AttrServiceInstanceID,
		semconv.AttrK8sClusterName, semconv.AttrK8sNamespaceName, semconv.AttrK8sDeploymentName,
		semconv.AttrK8sStatefulSetName, semconv.AttrK8sDaemonSetName, semconv.AttrK8sPodName, semconv.AttrK8sPodUID,
		semconv.AttrK8sNodeName, semconv.AttrK8sContainerName, semconv.AttrHostName, semconv.AttrDeploymentEnvName,
	} {
		refs[Reference("cause.resource."+attr)] = func(i *semconv.Incident) string { return i.Cause().Resource[attr] }
	}
	return refs
}()

func referenceNames() []string {
	names := make([]string, 0, len(references))
	for _, r := range slices.Sorted(maps.Keys(references)) {
		names = append(names, string(r))
	}
	return names
}

// resolve returns the parameters for an incident, or the name of one that has no value or holds characters that no name
// of a target has. The values come from telemetry, and the receiver may be less careful with them than it should be.
func (c *ActionConfig) resolve(inc *semconv.Incident) (params map[string]string, missing string) {
	params = make(map[string]string, len(c.Parameters))
	for _, name := range slices.Sorted(maps.Keys(c.Parameters)) {
		p := c.Parameters[name]
		v := p.Value
		if p.From != "" {
			if v = references[p.From](inc); !isPlain(v) {
				return nil, name
			}
		}
		params[name] = v
	}
	return params, ""
}

// isPlain reports whether s is a non-empty name of letters, digits and a few marks, without "..".
func isPlain(s string) bool {
	if s == "" || len(s) > maxParameterLen || s[0] == '-' {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '-', c == '/', c == ':', c == '@', c == '+':
		case c == '.' && (i == 0 || s[i-1] != '.'):
		default:
			return false
		}
	}
	return true
}
