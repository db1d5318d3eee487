package restapi

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/paramedic-otel/paramedic/internal/incidentstore"
	"github.com/paramedic-otel/paramedic/semconv"
)

const (
	defaultPage = 50
	maxPage     = 200
	// maxComment bounds, in runes, what a person says; maxIDLen bounds, in bytes, how something is named.
	maxComment = 500
	maxIDLen   = 200
)

// query is the query of a request, of which every parameter is known and stands once.
type query struct{ url.Values }

func parseQuery(raw string, known ...string) (query, error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return query{}, refuse(http.StatusBadRequest, "query", "query cannot be read")
	}
	for name, v := range values {
		if !slices.Contains(known, name) {
			return query{}, refuse(http.StatusBadRequest, "query", "query parameter must be one of %s, got %.40q", strings.Join(known, ", "), name)
		}
		if len(v) != 1 || v[0] == "" || len(v[0]) > 1000 || !printable(v[0]) {
			return query{}, refuse(http.StatusBadRequest, "query", "query parameter %s must stand once and have 1 to 1000 bytes of printable text", name)
		}
	}
	return query{values}, nil
}

func printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

func (q query) number(name string, missing, least, most uint64) (uint64, error) {
	text := q.Get(name)
	if text == "" {
		return missing, nil
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || n < least || n > most {
		return 0, refuse(http.StatusBadRequest, name, "%s must be between %d and %d, got %.40q", name, least, most, text)
	}
	return n, nil
}

func (q query) time(name string) (time.Time, error) {
	text := q.Get(name)
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil || t.Year() < 1970 || t.Year() > 9999 {
		return time.Time{}, refuse(http.StatusBadRequest, name, "%s must be a time such as 2026-03-01T10:15:03Z, got %.40q", name, text)
	}
	return t.UTC(), nil
}

func (q query) boolean(name string) (*bool, error) {
	switch text := q.Get(name); text {
	case "":
		return nil, nil
	case "true", "false":
		b := text == "true"
		return &b, nil
	default:
		return nil, refuse(http.StatusBadRequest, name, "%s must be true or false, got %.40q", name, text)
	}
}

// choice reads a parameter that has one of some values.
func choice[T ~string](q query, name string, values ...T) (T, error) {
	return oneOf(name, T(q.Get(name)), values)
}

// oneOf checks a field of a body that may be left out.
func oneOf[T ~string](name string, value T, values []T) (T, error) {
	if value != "" && !slices.Contains(values, value) {
		return "", refuse(http.StatusBadRequest, name, "%s must be one of %v, got %.40q", name, values, string(value))
	}
	return value, nil
}

// page reads where a list is to go on.
func (q query) page() (incidentstore.Page, error) {
	limit, err := q.number("limit", defaultPage, 1, maxPage)
	return incidentstore.Page{Limit: int(limit), Cursor: q.Get("cursor")}, err
}

// idOf returns what a path names.
func idOf(c *call) (string, error) {
	id := c.PathValue("id")
	if !isName(id, maxIDLen) {
		return "", refuse(http.StatusBadRequest, "id", "id must have 1 to %d bytes of printable text", maxIDLen)
	}
	return id, nil
}

func intentOf(c *call) (string, error) {
	id := c.PathValue("id")
	if !semconv.IsIntentID(id) {
		return "", refuse(http.StatusBadRequest, "intent", "intent must be 32 lower-case hexadecimal digits, got %.40q", id)
	}
	return id, nil
}

// all returns the first error of some.
func all(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
