//go:build !race

package incidentstore

// cuts is how often a process is killed.
const cuts = 100
