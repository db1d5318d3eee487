package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"github.com/paramedic-otel/paramedic/internal/shop"
	"github.com/paramedic-otel/paramedic/semconv"
)

const (
	pollInterval   = 200 * time.Millisecond
	reportInterval = 10 * time.Second
	readyWithin    = 30 * time.Second
	// metricsInterval has data stores tell their names before the first calls to them are reported.
	metricsInterval = "2s"
	// lastWords is how long to wait for the exporter's verdict after an incident was resolved, and ebbWithin for a fault
	// that its cure ends with a delay: the crowd of a surge takes up to a minute to go home.
	lastWords = 5 * time.Second
	ebbWithin = 90 * time.Second
	// calmWithin is how long an incident that opened while learning may last before the fault is injected all the same.
	calmWithin = 30 * time.Second
)

// resourceField is in every line of the collector's log and says nothing here.
var resourceField = regexp.MustCompile(`"resource": \{[^}]*\}, `)

// run is one fault from the start of the processes to the verdict.
type run struct {
	opts   options
	kind   string
	tell   *teller
	client client
	tail   incidentTail
	facts  facts

	children []*process
	open     map[string]bool // incidents
}

// play carries the run out. The processes are gone when it returns, whatever happens.
func (r *run) play(ctx context.Context) (v verdict, err error) {
	dir, err := os.MkdirTemp("", "paramedic-demo-")
	if err != nil {
		return v, err
	}
	defer os.RemoveAll(dir)
	defer func() {
		for i := len(r.children) - 1; i >= 0; i-- {
			r.children[i].stop(stopGrace)
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, r.opts.timeout)
	defer cancel()

	err = r.loop(ctx, dir)
	if r.facts.injected.IsZero() {
		if err != nil {
			r.tellLogs()
		}
		return v, err
	}
	v = judge(&r.facts, r.detectWithin())
	if errors.Is(err, context.DeadlineExceeded) {
		err = nil // what is missing says more
	}
	r.tell.tellVerdict(&r.facts, &v)
	if !v.closed() || err != nil {
		r.tellLogs()
	}
	return v, err
}

// detectWithin returns the longest time from the fault to the incident. A leak hurts nobody until it has grown.
func (r *run) detectWithin() time.Duration {
	if shop.FaultKind(r.kind) == shop.MemoryLeak {
		return 2 * r.opts.detectWithin
	}
	return r.opts.detectWithin
}

func (r *run) loop(ctx context.Context, dir string) error {
	if err := r.launch(dir); err != nil {
		return err
	}
	if err := r.await(ctx, readyWithin, r.client.ready); err != nil {
		return fmt.Errorf("not ready: %w", err)
	}
	r.tell.say(time.Now(), plain, "collector and shop are ready")
	if err := r.learn(ctx); err != nil {
		return err
	}
	f, err := r.client.inject(ctx, r.kind)
	if err != nil {
		return fmt.Errorf("inject: %w", err)
	}
	now := time.Now()
	r.facts.fault, r.facts.injected, r.tell.injected = f, now, now
	r.tell.say(now, bold, "fault injected: %s of %s (its cure: %s)", f.Kind, f.Service, f.Cure)
	return r.watch(ctx)
}

// launch starts the collector and the shop on free ports, with a state and a secret of their own.
func (r *run) launch(dir string) error {
	ports, err := freePorts(5)
	if err != nil {
		return err
	}
	at := func(i int) string { return "127.0.0.1:" + strconv.Itoa(ports[i]) }
	var key [32]byte
	_, _ = rand.Read(key[:]) // never fails
	secret := "SHOP_WEBHOOK_SECRET=whsec_" + base64.StdEncoding.EncodeToString(key[:])
	r.tail.path = filepath.Join(dir, "incidents.jsonl")
	r.client = client{
		http: http.Client{Timeout: 5 * time.Second},
		shop: "http://" + at(4), health: "http://" + at(2) + "/", metrics: "http://" + at(3) + "/metrics",
	}
	begin := func(name, binary string, args []string, env ...string) error {
		p, err := start(name, filepath.Join(dir, name+".log"), filepath.Join(r.opts.bin, binary), args, append(env, secret))
		if err == nil {
			r.children = append(r.children, p)
		}
		return err
	}
	err = begin("collector", "otelcol-paramedic", []string{"--config", r.opts.config},
		"PARAMEDIC_OTLP_GRPC_ENDPOINT="+at(0),
		"PARAMEDIC_OTLP_HTTP_ENDPOINT="+at(1),
		"PARAMEDIC_HEALTH_ENDPOINT="+at(2),
		"PARAMEDIC_METRICS_PORT="+strconv.Itoa(ports[3]),
		"PARAMEDIC_STATE_DIR="+filepath.Join(dir, "state"),
		"PARAMEDIC_INCIDENTS_FILE="+r.tail.path,
		"SHOP_WEBHOOK_URL="+r.client.shop+"/webhook",
	)
	if err != nil {
		return err
	}
	return begin("shop", "shop", []string{
		"--endpoint", at(0), "--control", at(4), "--seed", strconv.FormatUint(r.opts.seed, 10),
		"--metrics-interval", metricsInterval, "--rate", strconv.FormatFloat(r.opts.rate, 'g', -1, 64),
	})
}

// await polls until done says so, the limit or the context is over, or a child has ended.
func (r *run) await(ctx context.Context, limit time.Duration, done func(context.Context) bool) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		for _, p := range r.children {
			if err := p.ended(); err != nil {
				return err
			}
		}
		if done(ctx) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// learn lets the time of learning pass, and then an incident that opened in it.
func (r *run) learn(ctx context.Context) error {
	began := time.Now()
	next := began.Add(reportInterval)
	r.tell.say(began, plain, "learning what is normal, for %s", r.opts.learn)
	err := r.await(ctx, r.opts.learn+calmWithin, func(ctx context.Context) bool {
		r.collect(ctx)
		now := time.Now()
		if !now.Before(next) {
			next = now.Add(reportInterval)
			r.tellLearning(ctx, now)
		}
		return now.Sub(began) >= r.opts.learn && (len(r.open) == 0 || now.Sub(began) > r.opts.learn+calmWithin-time.Second)
	})
	if err != nil {
		return err
	}
	r.facts.early = countOpened(r.facts.events)
	if s, err := r.client.collectorStats(ctx); err == nil {
		r.facts.series = s.series + s.graphSeries
	}
	r.tell.say(time.Now(), green, "baseline learnt: %d series; incidents so far: %d", r.facts.series, r.facts.early)
	return nil
}

func (r *run) tellLearning(ctx context.Context, now time.Time) {
	s, err := r.client.collectorStats(ctx)
	if err != nil {
		return
	}
	state, err := r.client.state(ctx)
	if err != nil {
		return
	}
	r.tell.say(now, plain, "learning: %.0f requests/s, %d services, %d edges, %d metric and %d graph series; %.0f spans, %.0f points, %.0f logs",
		state.Load, len(state.Services), s.edges, s.series, s.graphSeries, s.spans, s.points, s.logs)
}

// watch follows the fault until the loop has closed or cannot close any more.
func (r *run) watch(ctx context.Context) error {
	cured := false
	return r.await(ctx, r.opts.timeout, func(ctx context.Context) bool {
		r.collect(ctx)
		if ended := first(r.facts.ended, func(f fault) bool { return f.ID == r.facts.fault.ID }); ended != nil && !cured {
			cured = true
			r.tell.say(time.Now(), green, "the fault is gone: %s", ended.Ended)
		}
		v := judge(&r.facts, r.detectWithin())
		rest := lastWords
		if !cured {
			rest = ebbWithin
		}
		waited := time.Since(r.facts.injected)
		undetected := v.opened == nil && waited > 2*r.detectWithin()+30*time.Second
		return v.closed() || undetected || v.resolved != nil && time.Since(v.resolved.seen) > rest
	})
}

// collect takes in what is new and tells it. Questions that fail are asked again the next time.
func (r *run) collect(ctx context.Context) {
	now := time.Now()
	events, err := r.tail.next(now)
	if err != nil {
		r.tell.say(now, red, "%v", err)
	}
	for i := range events {
		e := &events[i]
		r.tell.tellEvent(e)
		if e.Name == semconv.EventIncidentResolved {
			delete(r.open, e.Incident.ID)
		} else {
			r.open[e.Incident.ID] = true
		}
	}
	r.facts.events = append(r.facts.events, events...)
	if list, err := r.client.deliveries(ctx); err == nil {
		for i := len(r.facts.deliveries); i < len(list); i++ {
			r.tell.tellDelivery(now, &list[i])
		}
		r.facts.deliveries = list
	}
	if s, err := r.client.state(ctx); err == nil {
		r.facts.active, r.facts.ended = s.Faults, s.Ended
	}
}

func (r *run) tellLogs() {
	for _, p := range r.children {
		r.tell.line(plain, "")
		r.tell.line(bold, "last lines of the %s's log", p.name)
		for _, l := range p.lastLines(shownLogLines) {
			r.tell.line(plain, "  %.300s", resourceField.ReplaceAllString(l, ""))
		}
	}
}

func countOpened(events []seenEvent) int {
	n := 0
	for i := range events {
		if events[i].Name == semconv.EventIncidentOpened {
			n++
		}
	}
	return n
}
