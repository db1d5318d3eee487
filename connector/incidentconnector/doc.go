//go:generate go tool mdatagen metadata.yaml

// Package incidentconnector turns anomalies into incidents with a named root cause.
//
// In come metrics (anomaly scores and the service graph) and logs (records of the services, change events); out go
// incident events as log records: opened, updated, resolved. All signal pairs of one connector ID share one engine, which
// keeps the health of the graph's edges, the flow of each service's log records, the scores that are high now, and the
// incidents that are open. Its time is the time in the data.
package incidentconnector
