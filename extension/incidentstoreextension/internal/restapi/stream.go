package restapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/paramedic-otel/paramedic/internal/incidentstore"
)

// streamBatch is how many changes are read at once.
const streamBatch = 100

// stream sends changes as they come, as server-sent events (WHATWG HTML, section 9.2). A client that says the id of the last event it
// has got, as browsers do, misses none that the store still has; an event lost says that it must read everything anew.
func (a *API) stream(c *call) (any, error) {
	q, err := parseQuery(c.URL.RawQuery, "after")
	if err != nil {
		return nil, err
	}
	after := int64(-1)
	text := c.Header.Get("Last-Event-ID")
	if q.Has("after") {
		text = q.Get("after")
	}
	if text != "" {
		if after, err = strconv.ParseInt(text, 10, 64); err != nil || after < 0 {
			return nil, refuse(http.StatusBadRequest, "after", "after, or Last-Event-ID, must be the id of an event, got %.40q", text)
		}
	}
	return handler(func(w http.ResponseWriter, r *http.Request) { a.serveStream(w, r, after) }), nil
}

func (a *API) serveStream(w http.ResponseWriter, r *http.Request, after int64) {
	if a.streams.Add(1) > int64(a.settings.Stream.MaxClients) {
		a.streams.Add(-1)
		a.observer.StreamRefused()
		writeError(w, &refusal{Status: http.StatusServiceUnavailable, Code: "streams", Message: "as many clients as may be get live updates; try again later", retry: 30 * time.Second})
		return
	}
	defer a.streams.Add(-1)
	ctx, cancel := context.WithTimeout(r.Context(), a.settings.Stream.MaxDuration)
	defer cancel()
	defer context.AfterFunc(a.closing, cancel)()

	events := &eventWriter{w: w, control: http.NewResponseController(w), timeout: a.settings.Stream.WriteTimeout}
	// A stream is not read from any more, and outlasts the time that other answers may take.
	_ = events.control.SetReadDeadline(time.Time{}) // where this cannot be set, the server's own bounds hold
	write(w, http.StatusOK, "text/event-stream", nil)
	if r.Method == http.MethodHead {
		return
	}
	newest, err := a.newestChange(ctx)
	if err != nil {
		a.streamFailed(ctx, err)
		return
	}
	// Numbers that are still to come are those of another database, or of this one before an older copy took its place.
	foreign := after > newest
	if after < 0 || foreign {
		after = newest
	}
	if events.send("id: %d\nevent: ready\nretry: 3000\ndata: {}\n\n", after) != nil {
		return
	}
	if foreign && events.change(incidentstore.Change{Number: after, Kind: incidentstore.ChangesLost}) != nil {
		return
	}
	for {
		batch, stop := context.WithTimeout(ctx, a.settings.Stream.Heartbeat)
		changes, err := a.memory.Changes(batch, after, streamBatch)
		quiet := batch.Err() != nil
		stop()
		switch {
		case ctx.Err() != nil:
			_ = events.send(": bye\n\n") // it is over either way
			return
		case err != nil && !quiet:
			a.streamFailed(ctx, err)
			return
		case err != nil || len(changes) == 0:
			if events.send(": still here\n\n") != nil {
				return
			}
		}
		for _, change := range changes {
			if events.change(change) != nil {
				return
			}
			after = change.Number
		}
	}
}

// newestChange is the number of the latest change, 0 before the first.
func (a *API) newestChange(ctx context.Context) (int64, error) {
	newest, err := a.memory.Changes(ctx, -1, 1)
	if err != nil || len(newest) == 0 {
		return 0, err
	}
	return newest[len(newest)-1].Number, nil
}

func (a *API) streamFailed(ctx context.Context, err error) {
	if ctx.Err() == nil && !errors.Is(err, context.Canceled) {
		a.observer.Failed("read changes", err)
	}
}

// eventWriter writes events, each within a time.
type eventWriter struct {
	w       io.Writer
	control *http.ResponseController
	timeout time.Duration
}

func (e *eventWriter) send(format string, args ...any) error {
	_ = e.control.SetWriteDeadline(time.Now().Add(e.timeout)) // where this cannot be set, the server's own bounds hold
	if _, err := fmt.Fprintf(e.w, format, args...); err != nil {
		return err
	}
	return e.control.Flush()
}

// change tells of a change, or that some were lost.
func (e *eventWriter) change(c incidentstore.Change) error {
	name := "change"
	if c.Kind == incidentstore.ChangesLost {
		name = "lost"
	}
	data, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return e.send("id: %d\nevent: %s\ndata: %s\n\n", c.Number, name, data)
}
