//go:generate go tool mdatagen metadata.yaml

// Package logpatternconnector turns log records into evidence: each record's text is mined into a template.
//
// In come log records; out go, on a logs pipeline, the records with the ID of their template and events that tell of templates
// which are new, written far more often than before or hardly any more, and, on a metrics pipeline, counts of records by service,
// template and severity, of errors and of exceptions. Both pipelines of one connector ID share one engine, which keeps the
// templates and, for each service, how often it writes them. Its time is the time in the records.
package logpatternconnector
