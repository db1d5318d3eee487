// Package semconv is Paramedic's telemetry contract: the names its components use to talk to each other and to the
// outside world, and the encoding of incident events as log records.
//
// Resource attributes follow the OpenTelemetry semantic conventions and are not repeated here, apart from the few from
// which entities are derived. Everything else that any Paramedic component emits is named in this package, so that
// another producer or consumer can stand in for any of them.
package semconv
