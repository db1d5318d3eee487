package semconv

// Service graph metrics, as the tracegraph connector, the OpenTelemetry Collector's servicegraph connector, Grafana
// Tempo and Grafana Beyla emit them: one series for each pair of caller and callee.
const (
	// MetricGraphRequestTotal counts requests of an edge; monotonic sum without a unit.
	MetricGraphRequestTotal = "traces_service_graph_request_total"
	// MetricGraphRequestFailedTotal counts failed requests of an edge; monotonic sum without a unit.
	MetricGraphRequestFailedTotal = "traces_service_graph_request_failed_total"
	// MetricGraphUnseenRequestTotal counts those of the requests of an edge that nobody saw, since the sampled ones stand for more
	// than one each; monotonic sum without a unit, with the attributes of [MetricGraphRequestTotal]. Absent without sampling.
	// What is left when it is taken away from the requests is how many are the evidence for everything else.
	MetricGraphUnseenRequestTotal = "traces_service_graph_unseen_request_total"
	// MetricGraphRequestServer is a histogram in seconds: the duration as the callee saw it.
	MetricGraphRequestServer = "traces_service_graph_request_server"
	// MetricGraphRequestClient is a histogram in seconds: the duration as the caller saw it.
	MetricGraphRequestClient = "traces_service_graph_request_client"
)

// Metrics of the operations of an edge, as the tracegraph connector emits them beside those above: one series for each pair of
// caller and callee and what the callee was asked to do.
const (
	// MetricGraphOperationRequestTotal counts requests of an operation by how they failed and the version of the callee;
	// monotonic sum without a unit. The start time of a cumulative point is when the first was counted.
	MetricGraphOperationRequestTotal = "traces_service_graph_operation_request_total"
	// MetricGraphOperationRequestServer is an exponential histogram in seconds: the duration as the callee saw it.
	MetricGraphOperationRequestServer = "traces_service_graph_operation_request_server"
	// MetricGraphOperationRequestClient is an exponential histogram in seconds: the duration as the caller saw it. What it has
	// more than that of the server is the network's, and the queues' before the callee.
	MetricGraphOperationRequestClient = "traces_service_graph_operation_request_client"
	// MetricGraphOperationLastSeen is when the last request of an operation ended, in seconds since the epoch; gauge, "s". Its
	// start time is when the first one did.
	MetricGraphOperationLastSeen = "traces_service_graph_operation_last_seen"
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
	// AttrGraphFailed is true for the calls of an edge that failed and false for the others, which are series of their own;
	// boolean.
	AttrGraphFailed = "failed"
	// AttrGraphOperation is what the callee was asked to do, such as "GET /items/{id}", or GraphOtherOperation.
	AttrGraphOperation = "operation"
	// AttrErrorType says how requests failed, as the semantic conventions have it; absent when they did not.
	AttrErrorType = "error.type"
	// AttrGraphServerVersion is the callee's service.version; absent when it has none.
	AttrGraphServerVersion = "server_service_version"
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

// GraphOtherOperation is the operation of calls that have none or for whose operation there was no room.
const GraphOtherOperation = "_other"

// GraphUser is the caller's name on the edge into a service that a request without an instrumented caller enters.
const GraphUser = "user"
