// Package servicegraph finds the calls between services in a stream of spans and keeps count of them for each edge of
// the service graph.
//
// A call is a SERVER or CONSUMER span together with what called it: the nearest CLIENT or PRODUCER span above it, or,
// where the caller made none, the nearest span of another service. Spans come in any order and in any number of
// batches. A span whose counterpart is missing waits in a bounded store. That is cut by trace into shards with a lock each, so
// that batches are taken in side by side. A span is a record of one cache line; the keys of a trace are next to each other;
// the records that time out together fill pages of their own. So pairing does not allocate, and waits little for memory.
//
// Time is event time. The watermark is the latest believable end of a span; intervals on a fixed grid close when the
// watermark is past their end by the allowed lateness, and every count belongs to the interval in which the call ended.
// A stream therefore gives the same output at any speed of arrival. The arrival time, an argument, serves as a witness
// against broken clocks and for nothing else.
//
// The scheme of pairing spans by the parent's identity under a time limit is that of Grafana Tempo's service-graphs
// processor; the exponential histogram follows the OpenTelemetry metrics data model, and sampling weights its
// specification of probability sampling (tracestate ot=th).
package servicegraph
