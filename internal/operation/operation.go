// Package operation names what a span does, with few names for many spans: a name holds no identifier, no raw URL and no text
// of a query.
//
// The names follow the semantic conventions of OpenTelemetry for the names of spans (v1.38): a remote procedure by service and
// method, an HTTP request by method and route, a message by what is done and where, a query by its verb and collection. Where
// the attributes for that are missing, the span's own name stands in, without whatever looks like an identifier.
package operation

import (
	"strings"
	"unicode"
)

// Fields are what a span says of its operation. Empty ones are missing.
type Fields struct {
	// Name is the span's name.
	Name string
	// RPCService and RPCMethod name a remote procedure.
	RPCService, RPCMethod string
	// HTTPMethod is the method of an HTTP request, HTTPRoute its route or, of a client's, its template.
	HTTPMethod, HTTPRoute string
	// Messaging says that messages are sent or taken: MessagingOperation is how, Destination where or, better, its template.
	Messaging                       bool
	MessagingOperation, Destination string
	// Database says that a database is asked: DBOperation is the verb, DBCollection what it is about, and DBSummary both.
	Database                             bool
	DBOperation, DBCollection, DBSummary string
}

// Append appends the name of the operation to dst; nothing when nothing names it.
func Append(dst []byte, f *Fields) []byte {
	switch {
	case f.RPCMethod != "":
		// By newer conventions the method's name has the service in it.
		return join(dst, f.RPCService, '/', f.RPCMethod)
	case f.Messaging && f.MessagingOperation+f.Destination != "":
		dst = append(dst, f.MessagingOperation...)
		if f.MessagingOperation != "" && f.Destination != "" {
			dst = append(dst, ' ')
		}
		return AppendNormal(dst, f.Destination)
	case f.Database:
		switch {
		case f.DBOperation != "":
			return join(dst, f.DBOperation, ' ', f.DBCollection)
		case f.DBSummary != "":
			return AppendNormal(dst, f.DBSummary)
		}
		// The name may be the query itself, of which the first word is its verb.
		return append(dst, verb(f.Name)...)
	case f.HTTPRoute != "":
		return join(dst, f.HTTPMethod, ' ', f.HTTPRoute)
	default:
		return AppendNormal(dst, f.Name)
	}
}

// join appends a and b with a separator in between if there are both.
func join(dst []byte, a string, separator byte, b string) []byte {
	dst = append(dst, a...)
	if a != "" && b != "" {
		dst = append(dst, separator)
	}
	return append(dst, b...)
}

// verb returns the letters that a name begins with.
func verb(name string) string {
	end := 0
	for end < len(name) && (name[end]|0x20) >= 'a' && (name[end]|0x20) <= 'z' {
		end++
	}
	return name[:end]
}

// placeholder stands for what looks like an identifier.
const placeholder = "{}"

// AppendNormal appends a name without what tells single requests apart: the query and fragment of a URL, its scheme and host,
// and words that look like identifiers.
func AppendNormal(dst []byte, name string) []byte {
	if !suspicious(name) {
		return append(dst, name...)
	}
	for from := len(dst); name != ""; {
		end := len(dst)
		if end > from {
			dst = append(dst, ' ')
		}
		before := len(dst)
		word, rest := cutWord(name)
		if dst = appendWord(dst, word); len(dst) == before {
			dst = dst[:end] // nothing is left of the word
		}
		name = rest
	}
	return dst
}

// suspicious says whether a name may hold anything that is to be taken out.
func suspicious(name string) bool {
	for i := range len(name) {
		switch c := name[i]; {
		case c >= '0' && c <= '9', c == '?', c == '#', c == '@', c == '%', c == '=', c <= ' ' && c != ' ':
			return true
		case c == ':' && strings.HasPrefix(name[i:], "://"):
			return true
		}
	}
	return len(name) > maxPlain
}

const (
	// maxPlain is the length up to which a name without digits and signs is taken as it is.
	maxPlain = 128
	// maxSegment is the length of a part of a path, or of a word, from which on it is taken for data.
	maxSegment = 48
	// minHex is the length from which on hexadecimal digits are taken for an identifier, minMixed that of other characters
	// with digits among them.
	minHex, minMixed = 8, 16
)

// cutWord returns the first word of a name and what follows it.
func cutWord(name string) (word, rest string) {
	name = strings.TrimLeftFunc(name, unicode.IsSpace)
	end := strings.IndexFunc(name, unicode.IsSpace)
	if end < 0 {
		return name, ""
	}
	return name[:end], name[end:]
}

func appendWord(dst []byte, word string) []byte {
	if at := strings.Index(word, "://"); at >= 0 {
		word = word[at+3:]
		if at = strings.IndexByte(word, '/'); at < 0 {
			return append(dst, placeholder...)
		}
		word = word[at:]
	}
	if at := strings.IndexAny(word, "?#"); at >= 0 {
		word = word[:at]
	}
	for {
		segment, rest, more := strings.Cut(word, "/")
		dst = appendSegment(dst, segment)
		if !more {
			return dst
		}
		dst = append(dst, '/')
		word = rest
	}
}

func appendSegment(dst []byte, segment string) []byte {
	if len(segment) > maxSegment || strings.ContainsAny(segment, "@%=") || isHex(segment, true) {
		return append(dst, placeholder...)
	}
	for len(segment) > 0 {
		end := 0
		for end < len(segment) && isAlphanumeric(segment[end]) {
			end++
		}
		if end == 0 {
			dst = append(dst, segment[0])
			segment = segment[1:]
			continue
		}
		if part := segment[:end]; isIdentifier(part) {
			dst = append(dst, placeholder...)
		} else {
			dst = append(dst, part...)
		}
		segment = segment[end:]
	}
	return dst
}

func isAlphanumeric(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' || c >= 0x80
}

// isIdentifier says whether a word of letters and digits looks like one of very many.
func isIdentifier(word string) bool {
	digits := 0
	for i := range len(word) {
		if word[i] >= '0' && word[i] <= '9' {
			digits++
		}
	}
	return digits == len(word) || digits > 0 && len(word) >= minMixed || digits > 0 && isHex(word, false)
}

// isHex says whether a word is of hexadecimal digits, one of them no letter, and long enough; dashes may be among them.
func isHex(word string, dashes bool) bool {
	if len(word) < minHex {
		return false
	}
	digit := false
	for i := range len(word) {
		switch c := word[i]; {
		case c >= '0' && c <= '9':
			digit = true
		case c|0x20 >= 'a' && c|0x20 <= 'f', dashes && c == '-':
		default:
			return false
		}
	}
	return digit
}
