package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"github.com/paramedic-otel/paramedic/internal/shop"
)

// monday is when every simulation starts.
var monday = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

const (
	breakLasts = 10 * time.Minute
	breakEvery = 30 * time.Minute
)

func runShop(ctx context.Context, o *options, w io.Writer) error {
	cfg := shop.DefaultConfig()
	cfg.Seed, cfg.Rate, cfg.Start, cfg.MetricsOnly, cfg.MetricsInterval = o.seed, o.rate, monday, true, o.interval
	sim, err := shop.New(cfg)
	if err != nil {
		return err
	}
	all, err := start(ctx, o)
	if err != nil {
		return err
	}
	from := monday.Add(24 * time.Hour)
	breaker := newBreaker(rand.New(rand.NewPCG(o.seed, 99)), int(cfg.Period/2/o.interval), o.interval)
	points := 0
	for range o.days * 24 * 3600 {
		_, md, _ := sim.Tick()
		if md.DataPointCount() == 0 {
			continue
		}
		points += md.DataPointCount()
		breaker.pass(md, sim.Now(), !sim.Now().Before(from))
		if err := feed(ctx, all, md); err != nil {
			return err
		}
	}
	entities := len(breaker.services)
	fmt.Fprintf(w, "shop, seed %d: %d days, %d services, %d points; %d breaks of %s from the second day on\n\n", o.seed, o.days, entities, points,
		len(breaker.labels), breakLasts)
	if err := table(w, all, breaker.labels, from, false, o.verbose, o.interval, float64(entities*(o.days-1))); err != nil {
		return err
	}
	return stop(ctx, all)
}

// families are the signals that are taken from another time of day together, by metric.
var families = map[string][]string{
	"cpu":      {"k8s.pod.cpu.usage", "k8s.container.cpu_limit_utilization"},
	"network":  {"k8s.pod.network.io"},
	"requests": {"http.server.request.duration", "http.server.active_requests", "messaging.process.duration"},
}

var familyNames = []string{"cpu", "network", "requests"}
