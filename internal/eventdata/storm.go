package eventdata

import (
	"time"

	"github.com/paramedic-otel/paramedic/semconv"
)

// StormData is the data of an event that stands for many.
type StormData struct {
	Storm Storm `json:"storm"`
}

// Storm stands for the news of a period, from and to, that was not told one by one.
type Storm struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	// Events is how much news this stands for, and Types of which kinds.
	Events   int                       `json:"events"`
	Types    map[semconv.EventType]int `json:"types"`
	Severity semconv.Severity          `json:"severity,omitempty"`
	// Causes are the most frequent ones; OtherEvents is how much of the news has another.
	Causes      []CauseCount `json:"causes"`
	OtherEvents int          `json:"other_events,omitempty"`
	Opened      IncidentIDs  `json:"opened"`
	Resolved    IncidentIDs  `json:"resolved"`
}

// CauseCount is how much of the news has a cause.
type CauseCount struct {
	Cause  string `json:"cause"`
	Events int    `json:"events"`
}

// IncidentIDs are incidents, of which so many are named and the rest counted.
type IncidentIDs struct {
	IDs  []string `json:"ids,omitempty"`
	More int      `json:"more,omitempty"`
}
