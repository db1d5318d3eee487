package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"

	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// raw sends bytes as they are.
type raw struct{}

func (raw) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }

func (raw) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = data
	return nil
}

func (raw) Name() string { return "proto" }

// collector is a pipeline in a process of its own.
type collector struct {
	*process
	conn  *grpc.ClientConn
	spent []float64
}

func startCollector(ctx context.Context, name string) (*collector, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	endpoint := l.Addr().String()
	if err := l.Close(); err != nil {
		return nil, err
	}
	p, err := startProcess(ctx, "-collector", name+"@"+endpoint)
	if err != nil {
		return nil, err
	}
	conn, err := grpc.NewClient(endpoint, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(raw{})))
	return &collector{process: p, conn: conn}, err
}

// cpu asks for the CPU time that the process has used.
func (c *collector) cpu(command string) (float64, error) {
	line, err := c.ask(command)
	if err != nil {
		return 0, err
	}
	return strconv.ParseFloat(line, 64)
}

// pipeline measures the CPU time of otlp → batch → nop without a connector and with one beside nop, each in a process of its
// own, so that sending is not part of it.
func pipeline(ctx context.Context, o *options, out io.Writer) (err error) {
	names := []string{"none", "tracegraph", "servicegraph"}
	all := make([]*collector, len(names))
	for k, name := range names {
		if all[k], err = startCollector(ctx, name); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, all[k].conn.Close(), all[k].stop()) }()
	}
	s := newStream(false)
	for round := range o.rounds + 1 {
		requests, err := requests(ctx, s, o.spans/2/spansPerBatch)
		if err != nil {
			return err
		}
		for _, p := range all {
			ns, err := p.send(ctx, requests)
			if err != nil {
				return err
			}
			if round > 0 {
				p.spent = append(p.spent, ns)
			}
		}
	}
	fmt.Fprintf(out, "\notlp → batch → nop, and a connector beside nop\n\tCPU ns/span\tof none\n")
	base := median(all[0].spent)
	for k, name := range names {
		ns := median(all[k].spent)
		fmt.Fprintf(out, "%s\t%.0f\t×%.2f\n", name, ns, ns/base)
	}
	return nil
}

// requests makes the next batches of a stream, ready to be sent.
func requests(ctx context.Context, s *stream, n int) ([][]byte, error) {
	out := make([][]byte, n)
	for k := range out {
		if err := s.next(ctx, nil); err != nil {
			return nil, err
		}
		data, err := ptraceotlp.NewExportRequestFromTraces(s.first.traces).MarshalProto()
		if err != nil {
			return nil, err
		}
		out[k] = data
	}
	return out, nil
}

// send sends requests and returns the CPU nanoseconds of a span.
func (c *collector) send(ctx context.Context, requests [][]byte) (float64, error) {
	before, err := c.cpu("collect")
	if err != nil {
		return 0, err
	}
	var answer []byte
	for _, r := range requests {
		if err := c.conn.Invoke(ctx, "/opentelemetry.proto.collector.trace.v1.TraceService/Export", &r, &answer); err != nil {
			return 0, err
		}
	}
	after, err := c.cpu("")
	return (after - before) / float64(len(requests)*spansPerBatch), err
}
