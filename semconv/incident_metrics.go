package semconv

// Metrics that the incident connector makes of incidents and of the service graph. The times are histograms in seconds of
// event time, cumulative since the connector's first data; the others are gauges.
const (
	// MetricIncidentActive is how many incidents are open, by [AttrIncidentSeverity]; {incident}.
	MetricIncidentActive = "incident.active"
	// MetricIncidentTimeToDetect is the time from the onset of an incident to the evidence that opened it.
	MetricIncidentTimeToDetect = "incident.time_to_detect"
	// MetricIncidentTimeToDiagnose is the time from the onset of an incident until its first cause is sure enough to act on.
	MetricIncidentTimeToDiagnose = "incident.time_to_diagnose"
	// MetricIncidentTimeToResolve is the time from the onset of an incident to the end of its last symptom, of those that
	// were seen to recover.
	MetricIncidentTimeToResolve = "incident.time_to_resolve"
	// MetricServiceAvailability is the share of the calls to a service that succeeded in the last interval; its resource is
	// the service.
	MetricServiceAvailability = "service.availability"
)

// IsIncidentMetric reports whether a metric is one of those that the incident connector makes.
func IsIncidentMetric(name string) bool {
	switch name {
	case MetricIncidentActive, MetricIncidentTimeToDetect, MetricIncidentTimeToDiagnose, MetricIncidentTimeToResolve, MetricServiceAvailability:
		return true
	default:
		return false
	}
}
