// Package result is what experiments write: one JSON file for each, from which the report and the pictures are made.
// Nothing in it is typed by hand: samples come from runs, and whether a goal is met is worked out from them.
package result
