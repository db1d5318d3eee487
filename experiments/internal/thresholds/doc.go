// Package thresholds is what our components are compared with: alerts on static thresholds as most teams have them, on the same
// metrics, and people who answer them.
//
// A rule fires when its condition has held for a while without a break. Nothing is learnt, nothing belongs together: each pod and
// each service has alerts of its own. [People] adds the time that a person takes from the alert to the repair.
package thresholds
