// Command kubelab is a whole Kubernetes control plane in one binary, for tests:
//
//	kubelab up [flags]                     start everything, print one JSON line, stay until SIGTERM
//	kubelab run [flags] COMMAND [ARG]...   start everything, run a command that finds it in its environment, stop
//	kubelab COMPONENT [flags]              be one component
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
	_ "time/tzdata" // CronJobs name time zones

	etcdmain "go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"

	"github.com/paramedic-otel/paramedic/test/kubernetes/lab"
	"github.com/paramedic-otel/paramedic/test/kubernetes/nodes"
)

// stopGrace is how long components may take to stop before they are killed.
const stopGrace = 10 * time.Second

func main() {
	args := os.Args
	// Called through a link named after a component, as envtest does, be that component.
	if name := filepath.Base(args[0]); slices.Contains(lab.Components(), name) {
		args = slices.Insert(slices.Clone(args), 1, name)
	}
	if len(args) < 2 {
		fmt.Fprintf(os.Stderr, "usage: kubelab up|run|%s [flags]\n", strings.Join(lab.Components(), "|"))
		os.Exit(2)
	}
	os.Args = args[1:] // what the components parse
	switch name := args[1]; name {
	case lab.Etcd:
		etcdmain.Main(os.Args)
	case lab.APIServer:
		os.Exit(cli.Run(apiserver.NewAPIServerCommand()))
	case lab.ControllerManager:
		os.Exit(cli.Run(controllermanager.NewControllerManagerCommand()))
	case lab.Scheduler:
		os.Exit(cli.Run(scheduler.NewSchedulerCommand()))
	case lab.Kubelets:
		exit(runNodes(os.Args[1:]))
	case "up":
		exit(up(os.Args[1:]))
	case "run":
		exit(run(os.Args[1:]))
	default:
		fmt.Fprintf(os.Stderr, "kubelab: no component %q; there are %s\n", name, strings.Join(lab.Components(), ", "))
		os.Exit(2)
	}
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "kubelab:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func runNodes(args []string) error {
	flags := flag.NewFlagSet(lab.Kubelets, flag.ExitOnError)
	kubeconfig := flags.String("kubeconfig", "", "path of the kubeconfig")
	count := flags.Int("nodes", 3, "how many nodes to simulate")
	_ = flags.Parse(args)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	return nodes.Run(ctx, *kubeconfig, *count)
}

// up starts a lab and keeps it until it is asked to end.
func up(args []string) error {
	flags := flag.NewFlagSet("up", flag.ExitOnError)
	untilEOF := flags.Bool("until-eof", false, "also stop when standard input closes, so that a test that dies takes its lab along")
	return withLab(flags, args, func(ctx context.Context, l *lab.Lab, ready *lab.Ready) error {
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		if *untilEOF {
			go func() {
				_, _ = io.Copy(io.Discard, os.Stdin)
				stop()
			}()
		}
		if err := ready.Print(os.Stdout); err != nil {
			return fmt.Errorf("print the ready line: %w", err)
		}
		fmt.Fprintf(os.Stderr, "export KUBECONFIG=%s\n", ready.Kubeconfig)
		select {
		case <-ctx.Done(): // a signal, or standard input closed
			return nil
		case err := <-l.Failed():
			return err
		}
	})
}

// run starts a lab for as long as a command runs.
func run(args []string) error {
	flags := flag.NewFlagSet("run", flag.ExitOnError)
	return withLab(flags, args, func(ctx context.Context, _ *lab.Lab, ready *lab.Ready) error {
		if flags.NArg() == 0 {
			return errors.New("run needs a command, such as kubelab run sh")
		}
		var line bytes.Buffer
		if err := ready.Print(&line); err != nil {
			return fmt.Errorf("print the ready line: %w", err)
		}
		binary, err := os.Executable()
		if err != nil {
			return fmt.Errorf("find the kubelab binary: %w", err)
		}
		command := exec.CommandContext(ctx, flags.Arg(0), flags.Args()[1:]...)
		command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
		command.WaitDelay = stopGrace
		command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
		command.Env = append(os.Environ(), "KUBECONFIG="+ready.Kubeconfig, "KUBELAB_BIN="+binary, "KUBELAB_READY="+line.String())
		if err := command.Run(); err != nil {
			return fmt.Errorf("%s: %w", flags.Arg(0), err)
		}
		return nil
	})
}

// withLab starts a lab as the flags say, has it used, and stops it.
func withLab(flags *flag.FlagSet, args []string, use func(context.Context, *lab.Lab, *lab.Ready) error) error {
	var options lab.Options
	flags.StringVar(&options.Dir, "dir", "", "state directory; a temporary one by default, removed at the end")
	flags.IntVar(&options.Nodes, "nodes", 3, "simulated nodes")
	flags.BoolVar(&options.Restart, "restart", false, "start a component again when it ends")
	limit := flags.Duration("start-timeout", 2*time.Minute, "limit for the start")
	_ = flags.Parse(args)
	if options.Dir == "" {
		dir, err := os.MkdirTemp("", "kubelab")
		if err != nil {
			return fmt.Errorf("make a state directory: %w", err)
		}
		defer os.RemoveAll(dir)
		options.Dir = dir
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	starting, cancel := context.WithTimeout(ctx, *limit)
	defer cancel()
	l, ready, err := lab.Up(starting, options)
	if err != nil {
		return err
	}
	defer l.Stop(stopGrace)
	return use(ctx, l, ready)
}
