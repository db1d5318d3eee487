package semconv

// Metric and event of the templates that log records are made from.
const (
	// MetricLogPatternCount counts the records of a template; sum, "{record}". Its resource is that of the records, its
	// attributes are [AttrLogPatternID], [AttrLogPatternSeverity] and [AttrLogRecordTemplate].
	MetricLogPatternCount = "log.pattern.count"
	// EventLogPatternNew is the EventName of a log record that tells of a template which was never seen before, with the
	// resource, the severity and the trace of the first record that has it, and its [AttrLogRecordTemplate].
	EventLogPatternNew EventName = "log.pattern.new"
)

// Attributes of [MetricLogPatternCount].
const (
	AttrLogPatternID = "log.pattern.id"
	// AttrLogPatternSeverity is the severity text of the records, such as "ERROR".
	AttrLogPatternSeverity = "severity"
)
