//go:build race

package incidentstore

// cuts is how often a process is killed; with the race detector all of it is ten times as slow.
const cuts = 10
