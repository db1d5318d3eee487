package semconv

const (
	// SignalEntity is the [AttrAnomalySignal] and the [AttrAnomalyMetric] of a score of all signals of an entity together. Its
	// resource has the attributes that identify the entity, and no others.
	SignalEntity = "entity"
	// MetricAnomalyInformationGain is a gauge in bits: how much knowing a signal reduces, on the average, the uncertainty about
	// its entity's state. It has the metric, the signal and the attributes of that signal.
	MetricAnomalyInformationGain = "anomaly.information_gain"
)
