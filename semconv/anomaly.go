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
	// MetricAnomalyContribution is a gauge in [0, 1]: the share that a statistic has in the evidence of a score. It carries
	// [AttrAnomalyStatistic].
	MetricAnomalyContribution = "anomaly.contribution"
	// MetricAnomalyExplanation is a gauge in [0, 1]: the score of a point, abnormal or not, of a series that is to be
	// explained. It carries [AttrAnomalyReason]. Nothing acts on it.
	MetricAnomalyExplanation = "anomaly.explanation"
	// MetricAnomalyShadowScore is what [MetricAnomalyScore] would be, from a detector or a configuration that runs in
	// shadow. Nothing acts on it.
	MetricAnomalyShadowScore = "anomaly.shadow.score"
)

// Attributes of the anomaly metrics.
const (
	// AttrAnomalyMetric is the name of the scored metric.
	AttrAnomalyMetric = "anomaly.metric"
	// AttrAnomalySignal says which signal of the metric was scored; see the Signal constants.
	AttrAnomalySignal = "anomaly.signal"
	// AttrAnomalyDetector names the detector that gave the score.
	AttrAnomalyDetector = "anomaly.detector"
	// AttrAnomalyStatistic names the statistic of a detector that an [MetricAnomalyContribution] is of.
	AttrAnomalyStatistic = "anomaly.statistic"
	// AttrAnomalyReason says why a point is abnormal or not; see the Reason constants.
	AttrAnomalyReason = "anomaly.reason"
)

// Values of [AttrAnomalyReason].
const (
	// ReasonAbnormal and ReasonRecovered are those of the points of an episode and of the one that ends it.
	ReasonAbnormal  = "abnormal"
	ReasonRecovered = "recovered"
	// ReasonNormal is that of a point within, or not far enough outside of, what was learnt.
	ReasonNormal = "normal"
	// The others are those of points that lie far outside and are not abnormal: too little is known of the series; an
	// episode is just over; the policy says that such a deviation does not matter; it has come often; it has stayed.
	ReasonWarmUp       = "warm_up"
	ReasonCooldown     = "cooldown"
	ReasonPolicy       = "policy"
	ReasonHabituated   = "habituated"
	ReasonLevelAdopted = "level_adopted"
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
	// SignalMissing is that of a series that came regularly and has stopped.
	SignalMissing = "missing"
)
