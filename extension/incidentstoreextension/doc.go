//go:generate go tool mdatagen metadata.yaml

// Package incidentstoreextension is the durable memory behind incidents and actions: it opens a database, SQLite or PostgreSQL, that
// components find by the extension's ID, and serves it over HTTP to people and their tools.
//
// What comes in are the records of the remediation exporter, and what people say: acknowledgments, feedback, silences, pauses and
// commands. What goes out are the answers of the REST API, live updates, and the commands that executors fetch. It also signs the links
// by which people approve from a chat, and elects the one of several replicas that acts. All is kept in the database, within bounds.
package incidentstoreextension
