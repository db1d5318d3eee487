package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

const (
	overheadSeries = 10_000
	overheadRounds = 10
	overheadPasses = 50 // over all series, in a round
	clockTick      = 10 * time.Millisecond
)

const collectorConfig = `
receivers:
  otlp:
    protocols:
      grpc:
        endpoint: %s
        max_recv_msg_size_mib: 64
processors:
  batch:
  anomaly:
exporters:
  nop:
service:
  telemetry:
    logs: {level: error}
    metrics: {level: none}
  pipelines:
    metrics:
      receivers: [otlp]
      processors: [%s]
      exporters: [nop]
`

// overhead measures the CPU time that the processor adds to a collector: two collectors, with it and without, get the
// same stream by turns.
func overhead(ctx context.Context, o *options, out io.Writer) (err error) {
	if o.collector == "" {
		return errors.New("-collector must name the collector's binary: make otelcol-paramedic builds bin/otelcol-paramedic")
	}
	dir, err := os.MkdirTemp("", "overhead")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	var pair [2]*collector
	for i, processors := range []string{"batch", "anomaly, batch"} {
		c, err := startCollector(ctx, o.collector, filepath.Join(dir, fmt.Sprintf("config-%d.yaml", i)), processors)
		if err != nil {
			return err
		}
		defer c.stop()
		pair[i] = c
	}

	batches := make([]pmetric.Metrics, overheadSeries/batchSize)
	for i := range batches {
		batches[i] = batchOf(i)
	}
	f := newFiller(streamInterval)
	now := monday
	// Both get the same times, so that neither one's points are older than the other's.
	passes := func(c *collector, at time.Time, n int) (time.Duration, error) {
		before, err := c.cpu()
		if err != nil {
			return 0, err
		}
		for i := range n {
			for _, md := range batches {
				f.fill(md, at.Add(time.Duration(i)*streamInterval))
				if _, err := c.client.Export(ctx, pmetricotlp.NewExportRequestFromMetrics(md)); err != nil {
					return 0, fmt.Errorf("send to the collector: %w", err)
				}
			}
		}
		after, err := c.cpu()
		return after - before, err
	}
	for _, c := range pair {
		if _, err := passes(c, now, learnPasses); err != nil {
			return err
		}
	}
	now = now.Add(learnPasses * streamInterval)

	var total [2]time.Duration
	for round := range overheadRounds {
		for i := range pair {
			which := (i + round) % 2
			used, err := passes(pair[which], now, overheadPasses)
			if err != nil {
				return err
			}
			total[which] += used
		}
		now = now.Add(overheadPasses * streamInterval)
	}
	points := float64(overheadRounds * overheadPasses * overheadSeries)
	machine(out)
	t := table(out)
	fmt.Fprintf(t, "pipeline, %d series, %.0f points\tCPU a point\tratio\t\n", overheadSeries, points)
	fmt.Fprintf(t, "otlp, batch, nop\t%.0f ns\t1\t\n", float64(total[0].Nanoseconds())/points)
	fmt.Fprintf(t, "otlp, anomaly, batch, nop\t%.0f ns\t%.2f\t\n", float64(total[1].Nanoseconds())/points, total[1].Seconds()/total[0].Seconds())
	return t.Flush()
}

// collector is a running collector process.
type collector struct {
	process *exec.Cmd
	conn    *grpc.ClientConn
	client  pmetricotlp.GRPCClient
}

func startCollector(ctx context.Context, binary, config, processors string) (*collector, error) {
	address, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(config, fmt.Appendf(nil, collectorConfig, address, processors), 0o600); err != nil {
		return nil, err
	}
	c := &collector{process: exec.CommandContext(ctx, binary, "--config", config)} //nolint:gosec // the user's own binary
	c.process.Stderr = os.Stderr
	if err := c.process.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", binary, err)
	}
	c.conn, err = grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		c.stop()
		return nil, err
	}
	c.client = pmetricotlp.NewGRPCClient(c.conn)
	ready, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if _, err := c.client.Export(ready, pmetricotlp.NewExportRequest(), grpc.WaitForReady(true)); err != nil {
		c.stop()
		return nil, fmt.Errorf("wait for %s: %w", binary, err)
	}
	return c, nil
}

// freeAddress returns a local address that nobody listened on a moment ago.
func freeAddress(ctx context.Context) (string, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// stop ends the process. What it says about being killed tells nobody anything.
func (c *collector) stop() {
	if c.conn != nil {
		_ = c.conn.Close()
	}
	_ = c.process.Process.Kill()
	_ = c.process.Wait()
}

// cpu is the CPU time of the process so far, user and system.
func (c *collector) cpu() (time.Duration, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.process.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("read the collector's CPU time: %w", err)
	}
	// The name of the program, in parentheses, may hold spaces; behind it utime and stime are the 12th and 13th.
	fields := strings.Fields(string(data[strings.LastIndexByte(string(data), ')')+1:]))
	ticks := int64(0)
	for _, i := range []int{11, 12} {
		n, err := strconv.ParseInt(fields[i], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read the collector's CPU time: %w", err)
		}
		ticks += n
	}
	return time.Duration(ticks) * clockTick, nil
}
