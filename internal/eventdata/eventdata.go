// Package eventdata is the data of the events that Paramedic sends to the outside world, as it stands in their JSON.
//
// The remediation exporter writes it, once, into its outbox; what delivers it reads it back with [Decode], and translates it to
// what its receiver understands.
package eventdata

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/paramedic-otel/paramedic/semconv"
)

// Data is the data of every event. Action stands only in what a playbook asks its own webhook to do, so that no
// receiver of news can take it for an instruction.
type Data struct {
	Incident    any          `json:"incident"`
	Remediation *Remediation `json:"remediation,omitempty"`
	Action      *Action      `json:"action,omitempty"`
	Playbook    *Playbook    `json:"playbook,omitempty"`
	// Similar are past incidents that are like this one, the most alike first.
	Similar []Similar `json:"similar,omitempty"`
	// Acknowledgment says who has taken the incident on.
	Acknowledgment *Acknowledgment `json:"acknowledgment,omitempty"`
	// Truncated says that the incident was shortened to fit.
	Truncated bool `json:"truncated,omitempty"`
}

// Event is an outbound event, read back.
type Event struct {
	// ID is the same for every attempt to deliver it.
	ID, Source, Subject string
	Type                semconv.EventType
	Time                time.Time
	// Incident is nil when the event is not about one. Of events about remediations it has no more than a summary: the first
	// cause is in Causes all the same.
	Incident    *Incident
	Remediation *Remediation
	Action      *Action
	Playbook    *Playbook
	Storm       *Storm
	Guard       *Guard
	// Acknowledgment says who has taken the incident on, Delivery which destination failed.
	Acknowledgment *Acknowledgment
	Delivery       *Delivery
	// Similar are past incidents that are like this one, the most alike first.
	Similar   []Similar
	Truncated bool
}

// Decode reads an event in the structured JSON mode of CloudEvents 1.0. It refuses what has no id, type or source, and an incident
// without an id.
func Decode(body []byte) (*Event, error) {
	var raw struct {
		ID      string            `json:"id"`
		Source  string            `json:"source"`
		Subject string            `json:"subject"`
		Type    semconv.EventType `json:"type"`
		Time    time.Time         `json:"time"`
		Data    struct {
			Incident *struct {
				Incident
				Cause *CauseSummary `json:"cause"`
			} `json:"incident"`
			Remediation *Remediation `json:"remediation"`
			Action      *Action      `json:"action"`
			Playbook    *Playbook    `json:"playbook"`
			Storm       *Storm       `json:"storm"`
			Guard       *Guard       `json:"guard"`

			Acknowledgment *Acknowledgment `json:"acknowledgment"`
			Delivery       *Delivery       `json:"delivery"`
			Similar        []Similar       `json:"similar"`
			Truncated      bool            `json:"truncated"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &raw); err != nil {
		return nil, fmt.Errorf("decode event: %w", err)
	}
	if raw.ID == "" || raw.Type == "" || raw.Source == "" {
		return nil, errors.New("decode event: it must have id, source and type")
	}
	d := &raw.Data
	e := &Event{
		ID: raw.ID, Source: raw.Source, Subject: raw.Subject, Type: raw.Type, Time: raw.Time,
		Remediation: d.Remediation, Action: d.Action, Playbook: d.Playbook, Storm: d.Storm, Guard: d.Guard,
		Acknowledgment: d.Acknowledgment, Delivery: d.Delivery, Similar: d.Similar, Truncated: d.Truncated,
	}
	if d.Incident == nil {
		return e, nil
	}
	e.Incident = &d.Incident.Incident
	if e.Incident.ID == "" {
		return nil, errors.New("decode event: its incident must have an id")
	}
	if c := d.Incident.Cause; c != nil && len(e.Incident.Causes) == 0 {
		e.Incident.Causes = []Cause{{Entity: c.Entity, Kind: c.Kind, Confidence: c.Confidence}}
	}
	return e, nil
}
