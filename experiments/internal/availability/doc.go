// Package availability measures what the closed loop is worth over a simulated month of random faults, among them some that nothing
// cures, that flap, or that come while telemetry or the action channel is out: availability with the loop and without, whether
// limits held, and whether anything was made worse.
//
// All of detection, diagnosis and remediation is real and runs as examples/quickstart configures it, the exporter's clock too: it works
// in a bubble of fake time. Only the network between exporter and shop is a function call.
package availability
