package story

import (
	"net/url"

	"github.com/paramedic-otel/paramedic/internal/notifier"
)

// maxURL is the longest address that a button can have, in bytes: three of them leave room for the rest in every system.
const maxURL = 2000

// Button opens an address.
type Button struct {
	Text, URL string
	// Secret says that the address decides something: it belongs behind a button, and never into a text, where programs that
	// preview links would follow it.
	Secret bool
	// Style is "primary", "danger" or empty.
	Style string
}

// Buttons are what a message offers to open: no more than http and https addresses of a length that every system takes.
func Buttons(m *notifier.Message) []Button {
	var out []Button
	for _, b := range []Button{
		{Text: "Open incident", URL: m.Links.Incident},
		{Text: "Approve", URL: m.Links.Approve, Secret: true, Style: "primary"},
		{Text: "Deny", URL: m.Links.Deny, Secret: true, Style: "danger"},
	} {
		if Linkable(b.URL) {
			out = append(out, b)
		}
	}
	return out
}

// Linkable reports whether people can be sent to an address.
func Linkable(address string) bool {
	if address == "" || len(address) > maxURL {
		return false
	}
	u, err := url.Parse(address)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}
