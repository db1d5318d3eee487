//go:generate go tool mdatagen metadata.yaml

// Package tracegraphconnector turns spans into the metrics of a service graph: for each pair of caller and callee the
// number of calls, of failed calls, and their durations as either side saw them. Spans come in, metrics go out at the
// ends of intervals of event time. Spans are kept while they may still find their counterpart, edges while they are used;
// everything kept is bounded. The pairing is in internal/servicegraph.
package tracegraphconnector
