package executor

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/paramedic-otel/paramedic/semconv"
)

// The environment of a process that is an executor.
const (
	envConfig  = "EXECUTOR_TEST_CONFIG"
	envStorage = "EXECUTOR_TEST_STORAGE"
	envElector = "EXECUTOR_TEST_ELECTOR"
)

// command is what the parent tells such a process, one JSON object a line.
type command struct {
	// Logs are incident events as OTLP, which are answered with Answer as their number.
	Logs   []byte `json:"logs,omitempty"`
	Answer int    `json:"answer,omitempty"`
	Lead   *bool  `json:"lead,omitempty"`
}

// line is what the process says: an answer, or what the exporter logs.
type line struct {
	Message string `json:"msg"`
	Answer  int    `json:"answer"`
	Error   string `json:"error"`
	decision
}

// decision is a line of the exporter's audit.
type decision struct {
	Outcome  string `json:"outcome"`
	Reason   string `json:"reason"`
	Detail   string `json:"detail"`
	Incident string `json:"incident_id"`
	Playbook string `json:"playbook"`
	Step     int    `json:"step"`
	Target   string `json:"target"`
	Intent   string `json:"intent"`
}

// TestExecutorProcess is the process: it takes commands until it is killed, or its standard input ends.
func TestExecutorProcess(t *testing.T) {
	path := os.Getenv(envConfig)
	if path == "" {
		t.Skip("only runs as the child of TestKubernetesChaos")
	}
	config, err := os.ReadFile(path)
	require.NoError(t, err)
	logger := zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.Lock(os.Stdout), zap.InfoLevel))
	o := Options{Config: string(config), Storage: os.Getenv(envStorage), Logger: logger}
	if os.Getenv(envElector) != "" {
		o.Elector = &Elector{}
	}
	e, err := Start(t.Context(), o)
	require.NoError(t, err)
	logger.Info("ready")
	decoder := json.NewDecoder(os.Stdin)
	for {
		var c command
		if err := decoder.Decode(&c); err != nil {
			break
		}
		if c.Lead != nil {
			o.Elector.Lead(*c.Lead)
			continue
		}
		logs, err := (&plog.ProtoUnmarshaler{}).UnmarshalLogs(c.Logs)
		if err == nil {
			err = e.ConsumeLogs(t.Context(), logs)
		}
		text := ""
		if err != nil {
			text = err.Error()
		}
		logger.Info("answer", zap.Int("answer", c.Answer), zap.String("error", text))
	}
	require.NoError(t, e.Stop(context.Background()))
}

// errKilled is the error of telling a process that has ended.
var errKilled = errors.New("the process has ended")

// process is an executor in a process of its own, which can be killed.
type process struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	ready  chan struct{}
	ended  chan struct{}
	stderr bytes.Buffer

	mu sync.Mutex
	// mu guards everything below.
	number  int
	waiting map[int]chan string
	failure error
}

// startProcess starts an executor whose decisions are told to heard.
func startProcess(ctx context.Context, config, storage string, elector bool, heard func(decision)) (*process, error) {
	p := &process{ready: make(chan struct{}), ended: make(chan struct{}), waiting: map[int]chan string{}}
	p.cmd = exec.CommandContext(ctx, os.Args[0], "-test.run=^TestExecutorProcess$", "-test.timeout=30m")
	p.cmd.Env = append(os.Environ(), envConfig+"="+config, envStorage+"="+storage)
	if elector {
		p.cmd.Env = append(p.cmd.Env, envElector+"=yes")
	}
	p.cmd.Stderr = &p.stderr
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go p.listen(stdout, heard)
	select {
	case <-p.ready:
		return p, nil
	case <-p.ended:
		return nil, fmt.Errorf("the executor did not start: %w", p.failure)
	}
}

// listen reads until the process ends.
func (p *process) listen(stdout io.Reader, heard func(decision)) {
	var other []string
	lines := bufio.NewScanner(stdout)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var l line
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			other = append(other, lines.Text())
			continue
		}
		switch l.Message {
		case "ready":
			close(p.ready)
		case "answer":
			p.mu.Lock()
			if answer, ok := p.waiting[l.Answer]; ok {
				answer <- l.Error
				delete(p.waiting, l.Answer)
			}
			p.mu.Unlock()
		case "remediation decision":
			heard(l.decision)
		}
	}
	err := p.cmd.Wait()
	p.mu.Lock()
	if err != nil {
		p.failure = fmt.Errorf("%w: %s %s", err, strings.Join(other, "\n"), p.stderr.String())
	}
	p.mu.Unlock()
	close(p.ended)
}

func (p *process) send(c command) error {
	b, err := json.Marshal(c)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, err := p.stdin.Write(append(b, '\n')); err != nil {
		return errKilled
	}
	return nil
}

// tell hands over one event and waits until it is taken.
func (p *process) tell(event semconv.IncidentEvent) error {
	logs, err := (&plog.ProtoMarshaler{}).MarshalLogs(Records(event))
	if err != nil {
		return err
	}
	answer := make(chan string, 1)
	p.mu.Lock()
	p.number++
	n := p.number
	p.waiting[n] = answer
	p.mu.Unlock()
	if err := p.send(command{Logs: logs, Answer: n}); err != nil {
		return err
	}
	select {
	case text := <-answer:
		if text != "" {
			return errors.New(text)
		}
		return nil
	case <-p.ended:
		return errKilled
	}
}

// kill ends the process with SIGKILL.
func (p *process) kill() error {
	err := p.cmd.Process.Kill()
	<-p.ended
	return err
}

// stop ends the process in an orderly way.
func (p *process) stop() error {
	if err := p.stdin.Close(); err != nil {
		return err
	}
	<-p.ended
	return p.failure
}
