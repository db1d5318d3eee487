package slack

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/paramedic-otel/paramedic/internal/notifier/notifiertest"
)

const (
	testToken   = "xoxb-s3cret-t0ken"
	testChannel = "C0123456789"
	hookPath    = "/services/T000/B000/s3cretp4th"
)

// textObject, element and layout are as much of Block Kit as the checks need.
type textObject struct {
	Type string  `json:"type"`
	Text *string `json:"text"`
}

type element struct {
	Type     string          `json:"type"`
	Text     json.RawMessage `json:"text"`
	URL      string          `json:"url"`
	Style    json.RawMessage `json:"style"`
	Elements []element       `json:"elements"`
}

type layout struct {
	Type     string      `json:"type"`
	BlockID  string      `json:"block_id"`
	Text     *textObject `json:"text"`
	Elements []element   `json:"elements"`
}

// checkText enforces the escaping and the length of a message's text: entities for &, < and >, links to http only.
func checkText(text string, limit int) error {
	switch n := utf8.RuneCountInString(text); {
	case n == 0:
		return fmt.Errorf("no_text: text is required")
	case n > limit:
		return fmt.Errorf("msg_too_long: %d runes of text", n)
	}
	rest := okLink.ReplaceAllString(text, "")
	if strings.ContainsAny(rest, "<>") {
		return fmt.Errorf("text holds markup: %.200q", rest)
	}
	if strings.Contains(okEntity.ReplaceAllString(rest, ""), "&") {
		return fmt.Errorf("text holds a bare &")
	}
	return nil
}

var (
	okLink   = regexp.MustCompile(`<https?://[^<>|]+\|Open incident>`)
	okEntity = regexp.MustCompile(`&(amp|lt|gt);`)
)

func checkObject(o *textObject, limit int) error {
	if o == nil || o.Text == nil || o.Type != "plain_text" {
		return fmt.Errorf("invalid_blocks: a plain_text object is required")
	}
	return checkText(*o.Text, limit)
}

// checkBlocks enforces the limits of Block Kit.
func checkBlocks(raw []byte) error {
	var blocks []layout
	if err := json.Unmarshal(raw, &blocks); err != nil {
		return fmt.Errorf("invalid_blocks_format: %w", err)
	}
	if len(blocks) > 50 {
		return fmt.Errorf("invalid_blocks: %d blocks", len(blocks))
	}
	if n := utf8.RuneCount(raw); n > 13000 {
		return fmt.Errorf("msg_blocks_too_long: %d runes", n)
	}
	ids := map[string]bool{}
	for _, b := range blocks {
		if utf8.RuneCountInString(b.BlockID) > 255 || b.BlockID != "" && ids[b.BlockID] {
			return fmt.Errorf("invalid_blocks: block_id %.300q is too long or not unique", b.BlockID)
		}
		ids[b.BlockID] = true
		if err := checkBlock(&b); err != nil {
			return err
		}
	}
	return nil
}

func checkBlock(b *layout) error {
	switch b.Type {
	case "header":
		return checkObject(b.Text, 150)
	case "context":
		if len(b.Elements) == 0 || len(b.Elements) > 10 {
			return fmt.Errorf("invalid_blocks: %d elements of a context", len(b.Elements))
		}
		for _, e := range b.Elements {
			var text string
			if err := json.Unmarshal(e.Text, &text); err != nil || e.Type != "plain_text" {
				return fmt.Errorf("invalid_blocks: a context must hold plain_text")
			}
			if err := checkText(text, 2000); err != nil {
				return err
			}
		}
	case "actions":
		if len(b.Elements) == 0 || len(b.Elements) > 25 {
			return fmt.Errorf("invalid_blocks: %d elements of actions", len(b.Elements))
		}
		for _, e := range b.Elements {
			var text textObject
			if err := json.Unmarshal(e.Text, &text); err != nil || e.Type != "button" {
				return fmt.Errorf("invalid_blocks: actions must be buttons")
			}
			if err := checkObject(&text, 75); err != nil {
				return err
			}
			if u, err := url.Parse(e.URL); err != nil || u.Scheme != "https" || len(e.URL) > 3000 {
				return fmt.Errorf("invalid_blocks: URL of a button")
			}
		}
	case "rich_text":
		return checkRich(b.Elements)
	default:
		return fmt.Errorf("invalid_blocks: block of type %q", b.Type)
	}
	return nil
}

func checkRich(elements []element) error {
	if len(elements) == 0 {
		return fmt.Errorf("invalid_blocks: empty rich text")
	}
	for _, e := range elements {
		switch e.Type {
		case "rich_text_list", "rich_text_section":
			if err := checkRich(e.Elements); err != nil {
				return err
			}
		case "text":
			var text string
			if err := json.Unmarshal(e.Text, &text); err != nil || text == "" {
				return fmt.Errorf("invalid_blocks: empty text in rich text")
			}
		default: // above all no broadcast, user or link
			return fmt.Errorf("invalid_blocks: %q in rich text", e.Type)
		}
	}
	return nil
}

// newHook plays an incoming webhook.
func newHook() (func(*notifiertest.Request) notifiertest.Answer, func() int) {
	return func(r *notifiertest.Request) notifiertest.Answer {
		var body struct {
			Text   string          `json:"text"`
			Blocks json.RawMessage `json:"blocks"`
		}
		switch err := json.Unmarshal(r.Body, &body); {
		case r.Method != http.MethodPost || r.Path != hookPath:
			return notifiertest.Answer{Status: http.StatusNotFound, Body: "no_service", Violation: "it must be posted to the webhook's path"}
		case !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") || err != nil:
			return notifiertest.Violation("invalid_payload: %v", err)
		case r.Header.Get("Authorization") != "":
			return notifiertest.Violation("a webhook needs no token")
		}
		if err := checkText(body.Text, 40000); err != nil {
			return notifiertest.Violation("%v", err)
		}
		if len(body.Blocks) > 0 {
			if err := checkBlocks(body.Blocks); err != nil {
				return notifiertest.Violation("%v", err)
			}
		}
		return notifiertest.Answer{Body: "ok"}
	}, nil
}

// posted is a message in the channel.
type posted struct {
	ts, thread, text, blocks string
	broadcast                bool
}

// workspace plays the Web API, with one channel.
type workspace struct {
	messages []*posted
	next     int
	// deny names the error with which a method answers.
	deny map[string]string
}

func newWorkspace() *workspace { return &workspace{next: 1772360103, deny: map[string]string{}} }

func (w *workspace) find(ts string) *posted {
	for _, m := range w.messages {
		if m.ts == ts {
			return m
		}
	}
	return nil
}

// open is how many incidents the channel shows as open.
func (w *workspace) open() int {
	n := 0
	for _, m := range w.messages {
		if m.thread == "" && strings.Contains(m.blocks, `"text":"open, `) {
			n++
		}
	}
	return n
}

func no(code string) notifiertest.Answer {
	return notifiertest.JSON(http.StatusOK, fmt.Sprintf(`{"ok":false,"error":%q}`, code))
}

func (w *workspace) answer(r *notifiertest.Request) notifiertest.Answer {
	form, err := url.ParseQuery(string(r.Body))
	method := strings.TrimPrefix(r.Path, "/api/")
	switch {
	case err != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded":
		return notifiertest.Violation("invalid_form_data: %v", err)
	case r.Header.Get("Authorization") != "Bearer "+testToken:
		return notifiertest.Violation("invalid_auth")
	case form.Get("channel") != testChannel:
		return notifiertest.Violation("channel_not_found: %q", form.Get("channel"))
	case w.deny[method] != "":
		return no(w.deny[method])
	}
	switch method {
	case "chat.postMessage", "chat.update":
		return w.write(method, form)
	case "conversations.history", "conversations.replies":
		return w.read(method, form)
	}
	return notifiertest.Violation("unknown_method %s", method)
}

func (w *workspace) write(method string, form url.Values) notifiertest.Answer {
	limit := 40000
	if method == "chat.update" {
		limit = 4000
	}
	if err := checkText(form.Get("text"), limit); err != nil {
		return notifiertest.Violation("%v", err)
	}
	if code := w.deny["blocks"]; code != "" && form.Get("blocks") != "[]" {
		return no(code)
	}
	if err := checkBlocks([]byte(form.Get("blocks"))); err != nil {
		return notifiertest.Violation("%v", err)
	}
	var m *posted
	switch thread := form.Get("thread_ts"); {
	case method == "chat.update":
		if m = w.find(form.Get("ts")); m == nil {
			return no("message_not_found")
		}
	case thread != "" && w.find(thread) == nil:
		return no("thread_not_found")
	case thread == "" && form.Get("reply_broadcast") != "":
		return notifiertest.Violation("reply_broadcast without thread_ts")
	default:
		w.next++
		m = &posted{ts: fmt.Sprintf("%d.000100", w.next), thread: thread, broadcast: form.Get("reply_broadcast") == "true"}
		w.messages = append(w.messages, m)
	}
	m.text, m.blocks = form.Get("text"), form.Get("blocks")
	return notifiertest.JSON(http.StatusOK, fmt.Sprintf(`{"ok":true,"channel":%q,"ts":%q}`, testChannel, m.ts))
}

func (w *workspace) read(method string, form url.Values) notifiertest.Answer {
	thread := form.Get("ts")
	if limit, err := strconv.Atoi(form.Get("limit")); err != nil || limit < 1 || limit > 999 {
		return notifiertest.Violation("invalid_limit")
	}
	oldest, err := strconv.ParseFloat(form.Get("oldest"), 64)
	if err != nil {
		return notifiertest.Violation("invalid_ts_oldest")
	}
	if method == "conversations.replies" && w.find(thread) == nil {
		return no("thread_not_found")
	}
	out := []json.RawMessage{json.RawMessage(`{"type":"message","ts":"1.2","blocks":[{"type":"unheard_of","block_id":"x"}]}`)}
	for _, m := range w.messages {
		at, _ := strconv.ParseFloat(m.ts, 64)
		if at < oldest || m.thread != thread && m.ts != thread {
			continue
		}
		out = append(out, json.RawMessage(fmt.Sprintf(`{"type":"message","ts":%q,"text":%q,"blocks":%s}`, m.ts, "t", m.blocks)))
	}
	b, _ := json.Marshal(map[string]any{"ok": true, "messages": out})
	return notifiertest.JSON(http.StatusOK, string(b))
}
