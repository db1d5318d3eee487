//go:generate go tool mdatagen metadata.yaml

// Package anomalyprocessor scores every metric series against its own learnt behaviour.
//
// In come metrics of any type. Out go the same metrics, unchanged and first, and behind them the anomaly.* gauges of the
// series that are abnormal. Kept is one small state of fixed size per series, and for cumulative histograms their last
// bucket counts.
package anomalyprocessor
