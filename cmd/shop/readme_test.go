package main

import (
	"flag"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/shop"
)

func TestReadmeTellsTheTruth(t *testing.T) {
	data, err := os.ReadFile("README.md")
	require.NoError(t, err)
	readme := string(data)
	for _, kind := range shop.FaultKinds() {
		f, err := shop.ParseFault(string(kind))
		require.NoError(t, err)
		s, err := shop.New(simulationConfig())
		require.NoError(t, err)
		st, err := s.Inject(f.Fault)
		require.NoError(t, err)
		assert.Contains(t, readme, "| `"+string(kind)+"` | `"+st.Service+"` | `"+string(st.Cure)+"` |")
	}
	s, err := shop.New(simulationConfig())
	require.NoError(t, err)
	for _, v := range s.State().Services {
		assert.Regexp(t, regexp.MustCompile("(?m)^\\| `"+v.Name+"` \\| "+v.Tier+" \\| "+v.Criticality+" \\| "+string(rune('0'+v.Replicas))+" \\|"), readme)
	}

	var usage strings.Builder
	_, err = parseOptions([]string{"--help"}, time.Unix(1, 0), &usage)
	require.ErrorIs(t, err, flag.ErrHelp)
	names := regexp.MustCompile(`(?m)^  -([a-z-]+)`).FindAllStringSubmatch(usage.String(), -1)
	require.Len(t, names, 14)
	for _, n := range names {
		assert.Contains(t, readme, "| `--"+n[1]+"` | ")
	}
	o, err := parseOptions(nil, time.Unix(1_800_000_000, 0), io.Discard)
	require.NoError(t, err)
	for _, row := range []string{
		"`--endpoint` | `" + o.endpoint + "` |", "`--speed` | `" + o.speed.String() + "` |", "`--duration` | `" + o.duration.String() + "` |",
		"`--control` | `" + o.control + "` |", "`--retry-for` | `" + o.retryFor.String() + "` |", "`--period` | `" + o.shop.Period.String() + "` |",
		"`--metrics-interval` | `" + o.shop.MetricsInterval.String() + "` |", "`--rate` | `20` |", "`--seed` | `1` |", "`--max-pending` | `500000` |",
	} {
		assert.Contains(t, readme, row)
	}
	assert.InDelta(t, 20, o.shop.Rate, 0)
	assert.EqualValues(t, 1, o.shop.Seed)
	assert.Equal(t, 500_000, o.shop.MaxPending)
}

func simulationConfig() shop.Config {
	cfg := shop.DefaultConfig()
	cfg.Start = time.Unix(1_800_000_000, 0)
	return cfg
}
