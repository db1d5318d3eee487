// Package template tells a webhook of events with a body that the user writes, as a template of Go's text/template.
//
// What stands in an event comes from telemetry and is hostile. A template never writes it itself: every value that it prints is a
// placeholder first. The result with the placeholders must be JSON (in that format), in which they stand only where such a value
// may; then each is replaced by its value, encoded for that place. So no text can end a string, begin another field, or be read as a
// placeholder.
package template

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"text/template"
	"text/template/parse"
	"time"

	"github.com/paramedic-otel/paramedic/internal/notifier"
)

// Destination is a webhook with a body of the user's own.
type Destination struct {
	cfg      *Config
	client   *http.Client
	template *body
}

// New returns the webhook.
func New(cfg *Config, client *http.Client) (notifier.Destination, error) {
	t, err := parseBody(cfg)
	if err != nil {
		return nil, fmt.Errorf("body: %w", err)
	}
	return &Destination{cfg: cfg, client: client, template: t}, nil
}

// Deliver sends the body that the template makes of the event. The header Idempotency-Key is the same for every attempt.
func (d *Destination) Deliver(ctx context.Context, m *notifier.Message) (notifier.Memory, error) {
	text, err := d.template.render(newView(m))
	if err != nil {
		return nil, &notifier.Refused{Reason: notifier.Line("the template cannot be used for this event: "+err.Error(), maxReason)}
	}
	req, err := http.NewRequestWithContext(ctx, d.cfg.Method, d.cfg.Endpoint, bytes.NewReader(text))
	if err != nil {
		return nil, &notifier.Refused{Reason: "make the request: " + notifier.WithoutURL(err).Error()}
	}
	contentType := d.cfg.ContentType
	if contentType == "" {
		contentType = contentTypes[d.cfg.Format]
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("Idempotency-Key", m.ID)
	_, err = notifier.Exchange(d.client, req, m.Now)
	return nil, err
}

// maxReason bounds, in runes, what is told of a template that failed.
const maxReason = 300

// body is a template that is ready to be used. It is not changed after that.
type body struct {
	template *template.Template
	format   Format
	limit    int
}

// printed is the name of the function at the end of every pipeline that prints something.
const printed = "_printed"

// parseBody reads the template, and ends each pipeline that prints something with a function that makes a placeholder of it.
func parseBody(cfg *Config) (*body, error) {
	// The functions of a rendering replace these.
	t, err := template.New("body").Option("missingkey=error").Funcs((&rendering{}).functions()).Parse(cfg.Body)
	if err != nil {
		return nil, err
	}
	for _, one := range t.Templates() {
		if one.Tree != nil {
			finish(one.Root)
		}
	}
	return &body{template: t, format: cfg.Format, limit: cfg.MaxBodySize}, nil
}

// finish puts the function at the end of what prints.
func finish(n parse.Node) {
	switch n := n.(type) {
	case *parse.ListNode:
		if n != nil {
			for _, c := range n.Nodes {
				finish(c)
			}
		}
	case *parse.ActionNode:
		if len(n.Pipe.Decl) == 0 {
			identifier := parse.NewIdentifier(printed).SetPos(n.Pos)
			n.Pipe.Cmds = append(n.Pipe.Cmds, &parse.CommandNode{NodeType: parse.NodeCommand, Pos: n.Pos, Args: []parse.Node{identifier}})
		}
	case *parse.IfNode:
		finish(n.List)
		finish(n.ElseList)
	case *parse.RangeNode:
		finish(n.List)
		finish(n.ElseList)
	case *parse.WithNode:
		finish(n.List)
		finish(n.ElseList)
	}
}

// errTooLarge ends a rendering.
var errTooLarge = errors.New("the body is larger than max_body_size")

// render makes the body for a view.
func (b *body) render(v *View) ([]byte, error) {
	r := &rendering{format: b.format, nonce: nonce(), limit: b.limit}
	t, err := b.template.Clone()
	if err != nil {
		return nil, err
	}
	var out limited
	out.limit = b.limit
	if err := t.Funcs(r.functions()).Execute(&out, v); err != nil {
		if errors.Is(err, errTooLarge) {
			return nil, errTooLarge
		}
		return nil, hidden(err)
	}
	text, err := r.fill(out.Bytes())
	if err != nil {
		return nil, err
	}
	if len(text) > b.limit {
		return nil, errTooLarge
	}
	return text, nil
}

// hidden returns the error of a template without the values that it may quote.
func hidden(err error) error {
	var exec template.ExecError
	if !errors.As(err, &exec) {
		return err
	}
	text := exec.Error()
	if i := strings.Index(text, ">: "); i >= 0 {
		return errors.New(notifier.Line(text[:i+1], maxReason) + ": " + notifier.Line(text[i+3:], maxReason))
	}
	return errors.New(notifier.Line(text, maxReason))
}

// limited is a buffer that takes only so much.
type limited struct {
	bytes.Buffer
	limit int
}

func (l *limited) Write(p []byte) (int, error) {
	if l.Len()+len(p) > l.limit {
		return 0, errTooLarge
	}
	return l.Buffer.Write(p)
}

// rendering is one use of a template: the values that it has printed.
type rendering struct {
	format Format
	nonce  string
	values []string
	// raw are those that are JSON themselves, and stand outside of strings.
	raw []bool
	// total is how many bytes they have, of at most limit.
	total, limit int
}

func nonce() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// structured is a value that is to stand as JSON.
type structured struct{ text string }

// functions are those that a template may use besides the ones of text/template. Those of it that escape for other languages, and the
// one that calls what it is given, are of no use here.
func (r *rendering) functions() template.FuncMap {
	no := func(...any) (string, error) { return "", errors.New("this function is not available in a body") }
	return template.FuncMap{
		printed: r.print,
		"json":  r.json,
		"lower": func(v any) string { return strings.ToLower(text(v)) },
		"upper": func(v any) string { return strings.ToUpper(text(v)) },
		"line":  func(n int, v any) string { return notifier.Line(text(v), n) },
		"join": func(sep string, v []string) string {
			return strings.Join(v, sep)
		},
		"date":    func(layout string, v any) string { return when(v).Format(layout) },
		"unix":    func(v any) int64 { return seconds(when(v)) },
		"percent": func(v float64) string { return strconv.FormatFloat(v*100, 'f', 0, 64) + " %" },
		"default": func(other string, v any) string {
			if t := text(v); t != "" {
				return t
			}
			return other
		},
		"call": no, "html": no, "js": no, "urlquery": no,
	}
}

func seconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

func when(v any) time.Time {
	switch t := v.(type) {
	case time.Time:
		return t.UTC()
	case *time.Time:
		if t != nil {
			return t.UTC()
		}
	}
	return time.Time{}
}

// text returns a value as people read it; nothing is the empty text.
func text(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case time.Time:
		if v.IsZero() {
			return ""
		}
		return v.UTC().Format(time.RFC3339)
	case *time.Time:
		return text(when(v))
	}
	if rv := reflect.ValueOf(v); rv.Kind() == reflect.Pointer && rv.IsNil() {
		return ""
	}
	return fmt.Sprint(v)
}

// json makes a value stand as JSON, quotation marks and all, outside of a string.
func (r *rendering) json(v any) (structured, error) {
	b, err := json.Marshal(v)
	return structured{string(b)}, err
}

// print makes a placeholder of a value: of numbers and booleans, which may stand anywhere, their own text.
func (r *rendering) print(v any) (string, error) {
	switch rv := reflect.ValueOf(v); rv.Kind() {
	case reflect.Bool, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Float32, reflect.Float64:
		b, err := json.Marshal(v)
		return string(b), err
	default:
	}
	if s, ok := v.(structured); ok {
		if r.format != JSON {
			return r.placeholder(s.text, false)
		}
		// In a string its quotation marks would end that, so the result would not be JSON.
		p, err := r.placeholder(s.text, true)
		return `"` + p + `"`, err
	}
	return r.placeholder(text(v), false)
}

// placeholder begins with a letter that ends no escape sequence of JSON.
func (r *rendering) placeholder(value string, raw bool) (string, error) {
	if r.total += len(value); r.total > r.limit {
		return "", errTooLarge
	}
	r.values, r.raw = append(r.values, value), append(r.raw, raw)
	return fmt.Sprintf("p%s_%d_", r.nonce, len(r.values)-1), nil
}

// fill puts the values in place of the placeholders.
func (r *rendering) fill(text []byte) ([]byte, error) {
	if r.format == JSON && !json.Valid(text) {
		return nil, errors.New("it does not make JSON; text must stand between quotation marks, or be written by the function json, which must not")
	}
	pattern := regexp.MustCompile(`"?p` + r.nonce + `_(\d+)_"?`)
	return pattern.ReplaceAllFunc(text, func(found []byte) []byte {
		i, err := strconv.Atoi(string(pattern.FindSubmatch(found)[1]))
		if err != nil || i >= len(r.values) {
			return nil
		}
		if r.raw[i] {
			return []byte(r.values[i]) // the quotation marks are ours
		}
		filled := r.encode(r.values[i])
		if found[0] == '"' {
			filled = append([]byte{'"'}, filled...)
		}
		if found[len(found)-1] == '"' {
			filled = append(filled, '"')
		}
		return filled
	}), nil
}

// encode writes a value for the place where it stands.
func (r *rendering) encode(value string) []byte {
	switch r.format {
	case Form:
		return []byte(url.QueryEscape(strings.ToValidUTF8(value, "\uFFFD")))
	case Text:
		return []byte(notifier.Line(value, maxBodySize))
	default:
		b, _ := json.Marshal(value) // cannot fail: a string
		return b[1 : len(b)-1]
	}
}
