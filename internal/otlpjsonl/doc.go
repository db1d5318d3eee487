// Package otlpjsonl reads recorded OTLP: files of JSON lines, each line one
// ExportTraceServiceRequest, ExportMetricsServiceRequest or ExportLogsServiceRequest, plain or
// compressed with gzip or zstd. [Open] merges any number of such files into one stream in the order
// of event time. What is kept is bounded for each file: one line, the lines of the reorder window
// and the few that are decoded ahead; never a whole file.
package otlpjsonl
