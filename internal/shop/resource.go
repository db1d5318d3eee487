package shop

import (
	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/paramedic-otel/paramedic/semconv"
)

// Names that all telemetry of the shop carries.
const (
	Namespace = "shop"
	scopeName = "github.com/paramedic-otel/paramedic/internal/shop"
	schemaURL = "https://opentelemetry.io/schemas/1.39.0"
	kafkaHost = "kafka"
)

// describe writes the attributes of a service as a whole.
func (s *service) describe(attrs pcommon.Map) {
	attrs.EnsureCapacity(12)
	attrs.PutStr(semconv.AttrServiceName, s.spec.name)
	attrs.PutStr(semconv.AttrServiceNamespace, Namespace)
	attrs.PutStr(semconv.AttrServiceVersion, s.version)
	attrs.PutStr(semconv.AttrServiceCriticality, s.spec.criticality)
	attrs.PutStr(semconv.AttrK8sNamespaceName, s.namespace)
	if s.spec.store() {
		attrs.PutStr(semconv.AttrK8sStatefulSetName, s.spec.name)
	} else {
		attrs.PutStr(semconv.AttrK8sDeploymentName, s.spec.name)
	}
}

// describe writes the attributes of a pod.
func (p *pod) describe(attrs pcommon.Map) {
	p.svc.describe(attrs)
	attrs.PutStr(semconv.AttrServiceVersion, p.version)
	attrs.PutStr(semconv.AttrServiceInstanceID, p.instance)
	attrs.PutStr(semconv.AttrK8sPodName, p.name)
	if p.outside.uid != "" {
		attrs.PutStr(semconv.AttrK8sPodUID, p.outside.uid)
	}
	attrs.PutStr(semconv.AttrK8sNodeName, p.node)
	attrs.PutStr(semconv.AttrK8sContainerName, p.svc.spec.name)
}

func describeScope(scope pcommon.InstrumentationScope) {
	scope.SetName(scopeName)
	scope.SetVersion("1.0.0")
}
