package closedloop

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/paramedic-otel/paramedic/internal/eventdata"
	"github.com/paramedic-otel/paramedic/internal/standardwebhooks"
)

const (
	maxNews   = 4 << 20
	tolerance = 5 * time.Minute
)

// news is an event and when it came.
type news struct {
	at time.Time
	*eventdata.Event
}

// inbox is the webhook through which a run hears of incidents and of what was done about them.
type inbox struct {
	secret string
	url    string
	key    standardwebhooks.Key
	server *http.Server
	done   chan struct{}

	mu sync.Mutex
	// mu guards everything below.
	seen map[string]bool
	list []news
	bad  error
}

func openInbox(ctx context.Context) (*inbox, error) {
	var raw [32]byte
	_, _ = rand.Read(raw[:]) // never fails
	b := &inbox{secret: "whsec_" + base64.StdEncoding.EncodeToString(raw[:]), seen: map[string]bool{}, done: make(chan struct{})}
	var err error
	if b.key, err = standardwebhooks.ParseKey(b.secret); err != nil {
		return nil, err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for webhooks: %w", err)
	}
	b.url = "http://" + listener.Addr().String() + "/"
	b.server = &http.Server{Handler: http.HandlerFunc(b.take), ReadHeaderTimeout: 10 * time.Second}
	go func() {
		defer close(b.done)
		_ = b.server.Serve(listener) // until it is closed
	}()
	return b, nil
}

func (b *inbox) close() {
	_ = b.server.Close() // nobody waits for an answer any more
	<-b.done
}

func (b *inbox) take(w http.ResponseWriter, r *http.Request) {
	at := time.Now()
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxNews))
	if err == nil {
		err = standardwebhooks.Verify([]standardwebhooks.Key{b.key}, r.Header.Get("Webhook-Id"), r.Header.Get("Webhook-Timestamp"),
			r.Header.Get("Webhook-Signature"), body, at, tolerance)
	}
	var event *eventdata.Event
	if err == nil {
		event, err = eventdata.Decode(body)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil {
		b.bad = err
		http.Error(w, "refused", http.StatusBadRequest)
		return
	}
	if !b.seen[event.ID] {
		b.seen[event.ID] = true
		b.list = append(b.list, news{at, event})
	}
}

// from returns the news from a number on, and an error if something came that was none.
func (b *inbox) from(n int) ([]news, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]news(nil), b.list[min(n, len(b.list)):]...), b.bad
}
