// Command executor measures how long the remediation exporter takes from an incident's event to the request that changes a
// real Kubernetes API, with everything on that stands between: see the README.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
)

func main() {
	var o options
	flag.IntVar(&o.incidents, "incidents", 300, "incidents that an executor is told of one after the other")
	flag.DurationVar(&o.apart, "apart", 250e6, "time from one incident to the next")
	flag.IntVar(&o.starts, "starts", 30, "executors that are started anew and told of one incident each")
	flag.IntVar(&o.targets, "targets", 100, "Deployments that the incidents are about")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := measure(ctx, o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "executor:", err)
		os.Exit(1)
	}
}
