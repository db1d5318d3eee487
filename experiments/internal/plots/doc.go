// Package plots draws what experiments measured, as SVG: how times are distributed, the course of a fault, and where it is safe to
// operate. Nothing is drawn that is not in the results.
package plots
