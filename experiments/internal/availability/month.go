package availability

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing/synctest"
	"time"

	"github.com/paramedic-otel/paramedic/experiments/internal/bubble"
	"github.com/paramedic-otel/paramedic/experiments/internal/stage"
	"github.com/paramedic-otel/paramedic/internal/shop"
)

// function is the name of the month with the loop, which runs in a bubble.
const function = "availability"

// order is what such a run gets.
type order struct {
	Seed  uint64
	Quick bool
}

func init() {
	bubble.Register(function, func(ctx context.Context, input []byte) ([]byte, error) {
		var o order
		if err := json.Unmarshal(input, &o); err != nil {
			return nil, err
		}
		m, err := live(ctx, o, true)
		if err != nil {
			return nil, err
		}
		return json.Marshal(m)
	})
}

// watched lives through the month with the loop, in a process of its own.
func watched(ctx context.Context, o order) (*Month, error) {
	input, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	output, err := bubble.Call(ctx, function, input)
	if err != nil {
		return nil, err
	}
	m := &Month{}
	return m, json.Unmarshal(output, m)
}

// bubbleStart is where the clock of a bubble begins.
var bubbleStart = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// live lives through a month, with the loop in a bubble or without.
func live(ctx context.Context, o order, loop bool) (m *Month, err error) {
	cfg := shop.DefaultConfig()
	cfg.Seed, cfg.Start = o.Seed, bubbleStart
	a := &arm{sizes: map[string]int{}, opened: map[string]int64{}, ofEpisode: map[string]bool{}, perKind: map[string]stage.Fared{}, account: &Account{}}
	a.stage, err = stage.New(ctx, stage.Config{Shop: cfg, Unwatched: !loop, Lost: func(time.Time) bool { return a.lost }})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, a.stage.Close(ctx)) }()
	for _, s := range a.stage.Shop.State().Services {
		a.sizes[s.Name] = s.Replicas
	}
	if loop {
		if !time.Now().Equal(cfg.Start) {
			return nil, fmt.Errorf("the clock must begin at %s, got %s", cfg.Start, time.Now())
		}
		if a.healer, err = newHealer(ctx, a.stage.Shop, func() bool { return a.broken }); err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, a.healer.Shutdown(ctx)) }()
		a.wait = func() {
			time.Sleep(shop.TickLength)
			synctest.Wait()
		}
	}
	for range int(learn / shop.TickLength) {
		if err := a.tick(ctx); err != nil {
			return nil, err
		}
	}
	a.stage.Users.Learnt(2)
	m = &Month{}
	for _, e := range newPlan(o.Seed, o.Quick) {
		acc, err := a.play(ctx, e)
		if err != nil {
			return nil, err
		}
		m.Episodes = append(m.Episodes, acc)
		m.Calm += e.Calm
		m.CalmDown += acc.Beforehand
	}
	const budgetWindow = 10 * time.Minute
	for i := range a.actionTimes {
		n := 0
		for j := i; j < len(a.actionTimes) && a.actionTimes[j].Sub(a.actionTimes[i]) < budgetWindow; j++ {
			n++
		}
		m.MostActions = max(m.MostActions, n)
	}
	return m, nil
}
