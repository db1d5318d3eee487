package wording

import (
	"net/url"

	"github.com/paramedic-otel/paramedic/internal/notifier"
)

// maxURL is the longest address that people are sent to, in bytes: three of them leave room for the rest in every system.
const maxURL = 2000

// Link is an address that people can open, and what it leads to.
type Link struct {
	Text, URL string
	// Secret says that the address decides something: where a system has buttons it belongs behind one, and not into a text, where
	// programs that preview links would follow it.
	Secret bool
	// Style is "primary", "danger" or empty.
	Style string
}

// Links are what a message offers to open: no more than http and https addresses of a length that every system takes.
func Links(m *notifier.Message) []Link {
	var out []Link
	for _, l := range []Link{
		{Text: "Open incident", URL: m.Links.Incident},
		{Text: "Approve", URL: m.Links.Approve, Secret: true, Style: "primary"},
		{Text: "Deny", URL: m.Links.Deny, Secret: true, Style: "danger"},
	} {
		if Linkable(l.URL) {
			out = append(out, l)
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
