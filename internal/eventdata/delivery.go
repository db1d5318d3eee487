package eventdata

import (
	"time"

	"github.com/paramedic-otel/paramedic/semconv"
)

// Acknowledgment says who has taken an incident on.
type Acknowledgment struct {
	By      string    `json:"by"`
	At      time.Time `json:"at"`
	Comment string    `json:"comment,omitempty"`
}

// Delivery is news of a destination that did not take an event.
type Delivery struct {
	Destination string `json:"destination"`
	// Event is the ID of what was not taken, and Type its type.
	Event  string            `json:"event"`
	Type   semconv.EventType `json:"type"`
	Reason string            `json:"reason"`
	Detail string            `json:"detail,omitempty"`
	// Dropped is how many other events were given up with it.
	Dropped int `json:"dropped,omitempty"`
	// More is how many others it did not take either since that was told of last.
	More int `json:"more,omitempty"`
}

// DeliveryData is the data of such an event.
type DeliveryData struct {
	Delivery Delivery `json:"delivery"`
}
