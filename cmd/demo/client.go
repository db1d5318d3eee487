package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const maxAnswer = 16 << 20

// fault is a fault as the shop tells it.
type fault struct {
	ID      string    `json:"id"`
	Kind    string    `json:"kind"`
	Service string    `json:"service"`
	Since   time.Time `json:"since"`
	Ended   string    `json:"ended"`
	Cure    string    `json:"cure"`
}

// shopState is what we need of GET /state.
type shopState struct {
	Load     float64           `json:"load_requests_per_second"`
	Services []json.RawMessage `json:"services"`
	Faults   []fault           `json:"faults"`
	Ended    []fault           `json:"ended_faults"`
}

// delivery is a webhook that the shop received.
type delivery struct {
	ID       string    `json:"id"`
	Type     string    `json:"type"`
	Incident string    `json:"incident_id"`
	Verified bool      `json:"verified"`
	Action   string    `json:"action"`
	Service  string    `json:"service"`
	Status   int       `json:"status"`
	Result   string    `json:"result"`
	Time     time.Time `json:"time"`
}

// client talks to the children over HTTP.
type client struct {
	http    http.Client
	shop    string // URLs
	health  string
	metrics string
}

func (c *client) do(ctx context.Context, method, url string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	data, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return nil, err
	}
	if res.StatusCode/100 != 2 {
		return nil, fmt.Errorf("%s %s: %s: %.200s", method, url, res.Status, data)
	}
	return data, nil
}

func (c *client) getJSON(ctx context.Context, url string, to any) error {
	data, err := c.do(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, to)
}

func (c *client) state(ctx context.Context) (s shopState, err error) {
	err = c.getJSON(ctx, c.shop+"/state", &s)
	return s, err
}

func (c *client) deliveries(ctx context.Context) ([]delivery, error) {
	var answer struct {
		Deliveries []delivery `json:"deliveries"`
	}
	err := c.getJSON(ctx, c.shop+"/webhooks", &answer)
	return answer.Deliveries, err
}

func (c *client) inject(ctx context.Context, kind string) (f fault, err error) {
	body, err := json.Marshal(map[string]string{"kind": kind})
	if err != nil {
		return f, err
	}
	data, err := c.do(ctx, http.MethodPost, c.shop+"/faults", body)
	if err != nil {
		return f, err
	}
	err = json.Unmarshal(data, &f)
	return f, err
}

// ready reports whether both children answer.
func (c *client) ready(ctx context.Context) bool {
	if _, err := c.do(ctx, http.MethodGet, c.health, nil); err != nil {
		return false
	}
	_, err := c.state(ctx)
	return err == nil
}

// collectorStats is what the collector tells about itself.
type collectorStats struct {
	spans, points, logs                  float64
	edges, services, series, graphSeries int
}

func (c *client) collectorStats(ctx context.Context) (collectorStats, error) {
	data, err := c.do(ctx, http.MethodGet, c.metrics, nil)
	if err != nil {
		return collectorStats{}, err
	}
	return parseMetrics(bytes.NewReader(data)), nil
}

// parseMetrics reads the few samples that we show from the Prometheus text format.
func parseMetrics(r io.Reader) collectorStats {
	var s collectorStats
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		i := strings.LastIndexByte(line, ' ')
		if i < 0 || line[0] == '#' {
			continue
		}
		v, err := strconv.ParseFloat(line[i+1:], 64)
		if err != nil {
			continue
		}
		name, labels, _ := strings.Cut(line[:i], "{")
		switch name {
		case "otelcol_receiver_accepted_spans_total":
			s.spans += v
		case "otelcol_receiver_accepted_metric_points_total":
			s.points += v
		case "otelcol_receiver_accepted_log_records_total":
			s.logs += v
		case "otelcol_connector_tracegraph_edges":
			s.edges += int(v)
		case "otelcol_processor_anomaly_held_series":
			s.series += int(v)
		case "otelcol_connector_incident_held_items":
			switch {
			case strings.Contains(labels, `held="services"`):
				s.services += int(v)
			case strings.Contains(labels, `held="series"`):
				s.graphSeries += int(v)
			}
		}
	}
	return s
}
