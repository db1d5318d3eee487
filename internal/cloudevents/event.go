// Package cloudevents writes events in the structured JSON mode of CloudEvents 1.0.
package cloudevents

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// ContentType is that of an event in structured mode.
const ContentType = "application/cloudevents+json; charset=UTF-8"

const specVersion = "1.0"

// Event is one event. Source and ID together are unique: a repeated delivery keeps both.
type Event struct {
	ID, Source, Type, Subject string
	Time                      time.Time
	// SeverityText and SeverityNumber are the severity extension, on OpenTelemetry's scale.
	SeverityText   string
	SeverityNumber int32
	// CorrelationID groups the events of one matter, CausationID names what brought this one about.
	CorrelationID, CausationID string
	// Data is marshalled as JSON.
	Data any
}

type envelope struct {
	SpecVersion     string `json:"specversion"`
	ID              string `json:"id"`
	Source          string `json:"source"`
	Type            string `json:"type"`
	Subject         string `json:"subject,omitempty"`
	Time            string `json:"time,omitempty"`
	DataContentType string `json:"datacontenttype"`
	SeverityText    string `json:"severitytext,omitempty"`
	SeverityNumber  int32  `json:"severitynumber,omitempty"`
	CorrelationID   string `json:"correlationid,omitempty"`
	CausationID     string `json:"causationid,omitempty"`
	Data            any    `json:"data"`
}

// Marshal returns the event's bytes. The attributes that CloudEvents requires must not be empty.
func (e *Event) Marshal() ([]byte, error) {
	if e.ID == "" || e.Source == "" || e.Type == "" {
		return nil, errors.New("event must have id, source and type")
	}
	env := envelope{
		SpecVersion: specVersion, ID: e.ID, Source: e.Source, Type: e.Type, Subject: e.Subject,
		DataContentType: "application/json", SeverityText: e.SeverityText, SeverityNumber: e.SeverityNumber,
		CorrelationID: e.CorrelationID, CausationID: e.CausationID, Data: e.Data,
	}
	if !e.Time.IsZero() {
		env.Time = e.Time.UTC().Format(time.RFC3339Nano)
	}
	b, err := json.Marshal(env)
	if err != nil {
		return nil, fmt.Errorf("encode event %s: %w", e.Type, err)
	}
	return b, nil
}
