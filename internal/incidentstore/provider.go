package incidentstore

import "time"

// Provider is what the incident store extension is to the components that look it up by its ID.
type Provider interface {
	Memory() Memory
	Links() Links
}

// Links makes the URLs by which people come back from a message. Without a public URL it makes none.
type Links interface {
	// Incident returns the URL of an incident; empty without a public URL.
	Incident(id string) string
	// Decide returns the URLs by which the readers of one destination may approve or deny an intent: signed, until they expire, each
	// good for one use. Both are empty when such links are not configured.
	Decide(intent, planDigest, destination string, expires time.Time) (approve, deny string)
}
