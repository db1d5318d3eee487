// Package stage is where experiments on simulated time take place: a simulated shop whose telemetry goes through the real
// detection and diagnosis components, in one process and wired as examples/quickstart, and through static thresholds, beside
// the truth of what users got.
package stage
