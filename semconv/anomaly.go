package semconv

// Metrics that the anomaly processor adds to the pipeline whose series it scores. They carry the resource and the data
// point attributes of the scored series, plus [AttrAnomalyMetric], [AttrAnomalySignal] and [AttrAnomalyDetector].
const (
	// MetricAnomalyScore is a gauge in [0, 1]: the confidence that the series is in an abnormal regime. It is sent
	// while the score is at or above the processor's min_score and once when it falls below. The start time of its
	// points is the onset of the current episode.
	MetricAnomalyScore = "anomaly.score"
	// MetricAnomalyDeviation is a gauge without bounds: the signed robust distance from the expected value in units
	// of the series' own normal spread.
	MetricAnomalyDeviation = "anomaly.deviation"
	// MetricAnomalyExpected, MetricAnomalyLower and MetricAnomalyUpper are gauges in the unit of the scored metric:
	// the learnt expectation and band.
	MetricAnomalyExpected = "anomaly.expected"
	MetricAnomalyLower    = "anomaly.lower"
	MetricAnomalyUpper    = "anomaly.upper"
)

// Attributes of the anomaly metrics.
const (
	// AttrAnomalyMetric is the name of the scored metric.
	AttrAnomalyMetric = "anomaly.metric"
	// AttrAnomalySignal says which signal of the metric was scored; see the Signal constants.
	AttrAnomalySignal = "anomaly.signal"
	// AttrAnomalyDetector names the detector that gave the score.
	AttrAnomalyDetector = "anomaly.detector"
)

// Values of [AttrAnomalySignal].
const (
	SignalValue = "value"
	SignalRate  = "rate"
	SignalMean  = "mean"
	SignalP50   = "p50"
	SignalP90   = "p90"
	SignalP99   = "p99"
	SignalRatio = "ratio"
)
