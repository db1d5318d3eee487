// Package closedloop runs experiments in real time: the built collector takes the telemetry of the simulated shop over OTLP,
// finds what is wrong, acts on the real Kubernetes API on which the shop's services are workloads (package cluster), with a
// service account that may do no more than the playbooks need, and verifies whether that has helped.
//
// What a run measures is seen from outside: when a signed webhook told of something, what the API server was made to do, and how
// the users of the shop fared.
package closedloop
