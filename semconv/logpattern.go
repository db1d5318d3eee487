package semconv

// Metrics and events of the templates that log records are made from.
const (
	// MetricLogPatternCount counts the records of a template; sum, "{record}". Its resource is that of the records, its
	// attributes are [AttrLogPatternID], [AttrLogPatternSeverity] and [AttrLogRecordTemplate].
	MetricLogPatternCount = "log.pattern.count"
	// EventLogPatternNew is the EventName of a log record that tells of a template which was never seen before, with the
	// resource, the severity and the trace of the first record that has it, and its [AttrLogRecordTemplate].
	EventLogPatternNew EventName = "log.pattern.new"
	// EventLogPatternSurge is the EventName of a log record that tells of a template which is written far more often than its
	// past lets expect, [EventLogPatternVanished] of one that is hardly written any more although the service is as busy as
	// ever. They have the service's resource, the severity of the template's records, the trace of one of them where there is
	// one, and [AttrLogPatternObserved], [AttrLogPatternExpected] and [AttrLogPatternWindow].
	EventLogPatternSurge    EventName = "log.pattern.surge"
	EventLogPatternVanished EventName = "log.pattern.vanished"
	// MetricLogErrorCount counts the records of a service with the severity ERROR or worse; sum, "{record}".
	MetricLogErrorCount = "log.error.count"
	// MetricLogExceptionCount counts exceptions by [AttrExceptionType] and [AttrCodeFunctionName], the top frame of their stack
	// traces; sum, "{exception}".
	MetricLogExceptionCount = "log.exception.count"
)

// Attributes of [MetricLogPatternCount] and of the events of patterns.
const (
	AttrLogPatternID = "log.pattern.id"
	// AttrLogPatternSeverity is the severity text of the records, such as "ERROR".
	AttrLogPatternSeverity = "severity"
	// AttrLogPatternCategories are the kinds of failures that the template tells of, such as connection_refused, on events;
	// AttrLogPatternCategory is the first of them, on points. AttrLogPatternCluster is the ID of the first template that says
	// nearly the same, on events.
	AttrLogPatternCategories = "log.pattern.categories"
	AttrLogPatternCategory   = "log.pattern.category"
	AttrLogPatternCluster    = "log.pattern.cluster"
	// AttrLogPatternAliases are, on the record with which a template became more general, the IDs that it and those that it
	// took in had before.
	AttrLogPatternAliases = "log.pattern.aliases"
	// AttrLogPatternObserved is how many records of the template there were in the last [AttrLogPatternWindow] seconds,
	// AttrLogPatternExpected how many its past lets expect of them.
	AttrLogPatternObserved = "log.pattern.observed"
	AttrLogPatternExpected = "log.pattern.expected"
	AttrLogPatternWindow   = "log.pattern.window"
)

// LogPatternOther stands, as the value of [AttrLogPatternID] or [AttrExceptionType], for all that have no series of their own.
const LogPatternOther = "other"

// AttrCodeFunctionName is the name of a function, by OpenTelemetry's semantic conventions.
const AttrCodeFunctionName = "code.function.name"
