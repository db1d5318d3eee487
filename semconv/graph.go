package semconv

// Service graph metrics, as the tracegraph connector, the OpenTelemetry Collector's servicegraph connector, Grafana
// Tempo and Grafana Beyla emit them: one series for each pair of caller and callee.
const (
	// MetricGraphRequestTotal counts requests of an edge; monotonic sum, "1".
	MetricGraphRequestTotal = "traces_service_graph_request_total"
	// MetricGraphRequestFailedTotal counts failed requests of an edge; monotonic sum, "1".
	MetricGraphRequestFailedTotal = "traces_service_graph_request_failed_total"
	// MetricGraphRequestServer is a histogram in seconds: the duration as the callee saw it.
	MetricGraphRequestServer = "traces_service_graph_request_server"
	// MetricGraphRequestClient is a histogram in seconds: the duration as the caller saw it.
	MetricGraphRequestClient = "traces_service_graph_request_client"
)

// Attributes of the service graph metrics.
const (
	// AttrGraphClient and AttrGraphServer name the caller and the callee.
	AttrGraphClient = "client"
	AttrGraphServer = "server"
	// AttrGraphConnectionType is one of the Connection constants.
	AttrGraphConnectionType = "connection_type"
	// AttrGraphClientNamespace and AttrGraphServerNamespace are the service.namespace of either side; absent when
	// the service has none.
	AttrGraphClientNamespace = "client_service.namespace"
	AttrGraphServerNamespace = "server_service.namespace"
	// AttrGraphVirtualNode says which side of a virtual edge is not instrumented: "client" or "server".
	AttrGraphVirtualNode = "virtual_node"
)

// Values of [AttrGraphConnectionType].
const (
	ConnectionDirect    = ""
	ConnectionDatabase  = "database"
	ConnectionMessaging = "messaging_system"
	ConnectionVirtual   = "virtual_node"
)

// GraphUser is the caller's name on the edge into a service that a request without an instrumented caller enters.
const GraphUser = "user"
