// Command kubelab is a whole Kubernetes control plane in one binary, for tests:
//
//	kubelab up --dir DIR [--nodes N]    start everything, print one JSON line, stay until SIGTERM
//	kubelab COMPONENT [flags]           run one component
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
	_ "time/tzdata"

	etcdmain "go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	kcm "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	sched "k8s.io/kubernetes/cmd/kube-scheduler/app"

	"github.com/paramedic-otel/paramedic/test/kubernetes/lab"
	"github.com/paramedic-otel/paramedic/test/kubernetes/nodes"
)

func main() {
	// Called through a link named after a component (what envtest does), act as that component.
	switch base := filepath.Base(os.Args[0]); base {
	case "etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler":
		os.Args = append([]string{os.Args[0], base}, os.Args[1:]...)
	}
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: kubelab up|etcd|kube-apiserver|kube-controller-manager|kube-scheduler|fake-kubelet [flags]")
		os.Exit(2)
	}
	name, args := os.Args[1], os.Args[2:]
	os.Args = append([]string{name}, args...)
	switch name {
	case "etcd":
		etcdmain.Main(os.Args)
	case "kube-apiserver":
		os.Exit(cli.Run(apiserver.NewAPIServerCommand()))
	case "kube-controller-manager":
		os.Exit(cli.Run(kcm.NewControllerManagerCommand()))
	case "kube-scheduler":
		os.Exit(cli.Run(sched.NewSchedulerCommand()))
	case "fake-kubelet":
		exit(nodes.Main(args))
	case "up":
		exit(up(args))
	default:
		fmt.Fprintln(os.Stderr, "unknown component", name)
		os.Exit(2)
	}
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func up(args []string) error {
	fs := flag.NewFlagSet("up", flag.ExitOnError)
	var o lab.Options
	fs.StringVar(&o.Dir, "dir", "", "state directory")
	fs.IntVar(&o.Nodes, "nodes", 3, "simulated nodes")
	fs.StringVar(&o.Kubelet, "kubelet", "fake", "fake or none")
	fs.BoolVar(&o.Restart, "restart", false, "restart a component that ends")
	eof := fs.Bool("until-eof", false, "also stop when standard input closes, so that a test that dies takes its lab along")
	limit := fs.Duration("start-timeout", 2*time.Minute, "limit for start-up")
	_ = fs.Parse(args)
	if o.Dir == "" {
		d, err := os.MkdirTemp("", "kubelab")
		if err != nil {
			return err
		}
		defer os.RemoveAll(d)
		o.Dir = d
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if *eof {
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			stop()
		}()
	}
	sctx, cancel := context.WithTimeout(ctx, *limit)
	defer cancel()
	l, ready, err := lab.Up(sctx, o)
	if err != nil {
		return err
	}
	defer l.Stop(10 * time.Second)
	ready.Print(os.Stdout)
	select {
	case <-ctx.Done(): // a signal, or standard input closed
		return nil
	case err := <-l.Failed():
		return err
	}
}
