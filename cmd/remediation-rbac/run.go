package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/paramedic-otel/paramedic/internal/remediationaccess"
)

const (
	exitOK = iota
	exitMissing
	exitError
)

const usage = `usage: remediation-rbac [FLAGS] CONFIG...

Prints the least-privilege Kubernetes manifests for the playbooks of the remediation exporters in CONFIG: what the collector
gets with --config, such as files, env:NAME, yaml:TEXT, or - for standard input. Later ones are merged over earlier ones.

With -check it prints what a cluster does not grant, and exits with 1 if the playbooks cannot do without.

`

// options are the flags.
type options struct {
	remediationaccess.Options
	check                   bool
	kubeconfig, context, as string
}

// run is the program.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	o := options{}
	flags := flag.NewFlagSet("remediation-rbac", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprint(stderr, usage)
		flags.PrintDefaults()
	}
	flags.StringVar(&o.Namespace, "namespace", "", "`NAMESPACE` of the collector (default kubernetes::namespace of the configuration, or "+remediationaccess.DefaultNamespace+")")
	flags.StringVar(&o.ServiceAccount, "service-account", remediationaccess.DefaultServiceAccount, "`NAME` of the collector's service account")
	flags.StringVar(&o.Name, "name", remediationaccess.DefaultName, "`NAME` of the roles and bindings")
	flags.BoolVar(&o.Optional, "optional", true, "include what the actions can do without, such as events for evidence and the state of Argo CD and Flux")
	flags.BoolVar(&o.check, "check", false, "ask a cluster instead of printing manifests")
	flags.StringVar(&o.kubeconfig, "kubeconfig", "", "`FILE` with which to reach the cluster (default KUBECONFIG, ~/.kube/config, or the pod's own service account)")
	flags.StringVar(&o.context, "context", "", "`CONTEXT` of the kubeconfig (default the current one)")
	flags.StringVar(&o.as, "as", "", "`USER` to check, such as system:serviceaccount:paramedic:paramedic (default that of the kubeconfig)")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		return exitError
	case flags.NArg() == 0:
		flags.Usage()
		return exitError
	}
	executors, err := remediationaccess.Load(ctx, flags.Args(), stdin)
	if err != nil {
		return fail(stderr, err)
	}
	access, err := remediationaccess.New(executors, o.Options)
	if err != nil {
		return fail(stderr, err)
	}
	for _, warning := range access.Warnings {
		fmt.Fprintln(stderr, "warning: "+warning)
	}
	if o.check {
		return check(ctx, access, o, stdout, stderr)
	}
	text, err := access.YAML()
	if err != nil {
		return fail(stderr, err)
	}
	if _, err := stdout.Write(text); err != nil {
		return fail(stderr, err)
	}
	return exitOK
}

// check compares with a cluster.
func check(ctx context.Context, access *remediationaccess.Access, o options, stdout, stderr io.Writer) int {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = o.kubeconfig
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: o.context}).ClientConfig()
	if err != nil {
		return fail(stderr, err)
	}
	config.Impersonate.UserName = o.as
	config.QPS, config.Burst = 50, 100
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fail(stderr, err)
	}
	user, missing, err := access.Check(ctx, client)
	if err != nil {
		return fail(stderr, err)
	}
	code := exitOK
	for _, m := range missing {
		fmt.Fprintln(stdout, m)
		if !m.Optional {
			code = exitMissing
		}
	}
	fmt.Fprintf(stderr, "%s lacks %d permissions\n", user, len(missing))
	return code
}

func fail(stderr io.Writer, err error) int {
	fmt.Fprintln(stderr, err)
	return exitError
}
