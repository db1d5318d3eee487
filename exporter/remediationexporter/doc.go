//go:generate go tool mdatagen metadata.yaml

// Package remediationexporter takes incident events (log records named incident.opened, incident.updated and
// incident.resolved), tells webhooks about them, and carries out playbooks: it decides which action an incident
// calls for, asks a webhook to take it, and verifies by the incident's own end whether it helped.
//
// What goes out are CloudEvents signed after Standard Webhooks. Decisions and the deliveries that follow from them are
// written in one storage transaction before anything is sent, so that a restart neither loses nor invents any. What is
// kept are the open incidents with their plays, the cooldowns, the action budget and one queue for each webhook; all of
// it is bounded.
package remediationexporter
