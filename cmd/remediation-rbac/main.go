// Command remediation-rbac prints the least that the remediation exporters of a collector configuration must be allowed to
// do on Kubernetes, as manifests, or what of it a cluster does not grant.
package main

import (
	"context"
	"os"
	"os/signal"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
