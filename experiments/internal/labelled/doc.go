// Package labelled repeats the experiment of 452 labelled cases: windows of the simulated shop at loads from idle to overload, with and
// without faults, in which our components and static thresholds must tell those with from those without.
package labelled
