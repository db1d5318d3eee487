package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// collector is a pipeline in a process of its own, so that sending is not part of what is measured.
type collector struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	out   *bufio.Scanner
	conn  *grpc.ClientConn
	spent []float64
}

// raw sends bytes as they are.
type raw struct{}

func (raw) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }

func (raw) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = data
	return nil
}

func (raw) Name() string { return "proto" }

// startCollector starts this program once more and waits until it takes records.
func startCollector(ctx context.Context, name string) (*collector, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	endpoint := l.Addr().String()
	if err := l.Close(); err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := &collector{cmd: exec.CommandContext(ctx, self, "-collector", name+"@"+endpoint)}
	c.cmd.Stderr = os.Stderr
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.out = bufio.NewScanner(stdout)
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	if c.conn, err = grpc.NewClient(endpoint, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(raw{}))); err != nil {
		return nil, err
	}
	if !c.out.Scan() {
		return nil, errors.Join(fmt.Errorf("start the pipeline %s", name), c.stop())
	}
	return c, nil
}

func (c *collector) stop() error {
	return errors.Join(c.conn.Close(), c.in.Close(), c.cmd.Wait())
}

// cpu asks for the CPU time that the process has used, in nanoseconds.
func (c *collector) cpu(command string) (float64, error) {
	if _, err := fmt.Fprintln(c.in, command); err != nil {
		return 0, err
	}
	if !c.out.Scan() {
		return 0, errors.New("the process has ended")
	}
	return strconv.ParseFloat(c.out.Text(), 64)
}

// send sends requests and returns the CPU nanoseconds of a record.
func (c *collector) send(ctx context.Context, requests [][]byte) (float64, error) {
	before, err := c.cpu("collect")
	if err != nil {
		return 0, err
	}
	var answer []byte
	for _, r := range requests {
		if err := c.conn.Invoke(ctx, "/opentelemetry.proto.collector.logs.v1.LogsService/Export", &r, &answer); err != nil {
			return 0, err
		}
	}
	after, err := c.cpu("")
	return (after - before) / float64(len(requests)*recordsPerBatch), err
}
