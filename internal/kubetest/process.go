package kubetest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"time"
)

// stopGrace is how long a lab may take to stop before it is killed; it usually takes half a second.
const stopGrace = 20 * time.Second

// process is a lab that this process started. The lab stops when its standard input closes, so also when this process is
// killed, and its components die with it.
type process struct {
	command *exec.Cmd
	input   io.Closer
	log     *os.File
}

// start starts a lab, a second time if need be: its ports are found free before they are bound.
func start(binary string, options Options) (*Lab, error) {
	l, err := startOnce(binary, options)
	if err != nil {
		l, err = startOnce(binary, options)
	}
	return l, err
}

func startOnce(binary string, options Options) (*Lab, error) {
	args := []string{"up", "--until-eof", "--restart"}
	if options.Nodes > 0 {
		args = append(args, "--nodes="+strconv.Itoa(options.Nodes))
	}
	// Not this process's standard error: go test would wait for the lab to close it.
	log, err := os.CreateTemp("", "kubelab-*.log")
	if err != nil {
		return nil, fmt.Errorf("make a log file for the lab: %w", err)
	}
	_ = os.Remove(log.Name()) // it lives on for as long as it is open, so that nothing is left behind
	// No context ends it: the lab lives for as long as its input is open.
	p := &process{command: exec.CommandContext(context.Background(), binary, args...), log: log}
	p.command.Stderr = log
	input, err := p.command.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start the lab: %w", errors.Join(err, p.stop()))
	}
	p.input = input
	output, err := p.command.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start the lab: %w", errors.Join(err, p.stop()))
	}
	if err := p.command.Start(); err != nil {
		return nil, fmt.Errorf("start the lab: %w", errors.Join(err, p.stop()))
	}
	line, err := bufio.NewReader(output).ReadBytes('\n')
	if err != nil {
		return nil, fmt.Errorf("start the lab %s: it ended before it was ready: %w", binary, errors.Join(p.stop(), err))
	}
	l, err := join(line)
	if err != nil {
		return nil, errors.Join(err, p.stop())
	}
	l.process = p
	return l, nil
}

// stop ends the lab if this process started it.
func (l *Lab) stop() error {
	if l.process == nil {
		return nil
	}
	err := l.process.stop()
	if err != nil { // it could not clean up itself
		_ = os.RemoveAll(l.Dir)
	}
	return err
}

// stop ends the lab. The error holds what the lab said when it did not end well.
func (p *process) stop() error {
	defer p.log.Close()
	if p.input != nil {
		_ = p.input.Close()
	}
	if p.command.Process == nil {
		return nil
	}
	kill := time.AfterFunc(stopGrace, func() { _ = p.command.Process.Kill() })
	defer kill.Stop()
	if err := p.command.Wait(); err != nil {
		said, _ := io.ReadAll(io.NewSectionReader(p.log, 0, 1<<16))
		return fmt.Errorf("lab: %w: %s", err, said)
	}
	return nil
}
