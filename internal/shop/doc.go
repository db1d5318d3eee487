// Package shop simulates an e-commerce shop of 15 services and the telemetry that it would send: traces, metrics and
// logs under the current OpenTelemetry semantic conventions. Faults can be injected into it, they spread along the
// service graph as they would in life, and control actions (restart, scale, rollback and so on) cure them or do not.
//
// The simulation runs on its own clock in ticks of one second and takes randomness only from its seed: the same
// [Config] and the same calls between the same ticks give the same bytes. Nothing in it reads the wall clock.
//
// Queueing follows the M/M/c model (A. K. Erlang, 1917) below saturation and a fluid queue of bounded length above it.
package shop
