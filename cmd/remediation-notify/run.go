package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/provider/envprovider"
	"go.opentelemetry.io/collector/confmap/provider/fileprovider"
	"go.opentelemetry.io/collector/confmap/provider/httpprovider"
	"go.opentelemetry.io/collector/confmap/provider/httpsprovider"
	"go.opentelemetry.io/collector/confmap/provider/yamlprovider"
	"go.opentelemetry.io/collector/confmap/xconfmap"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/otel/metric/noop"
	tracenoop "go.opentelemetry.io/otel/trace/noop"
	"go.uber.org/zap"

	"github.com/paramedic-otel/paramedic/exporter/remediationexporter"
)

const (
	exitOK = iota
	// exitFailed is when a destination did not take a test message.
	exitFailed
	exitError
)

const usage = `usage: remediation-notify -config FILE [-exporter ID] [-destination NAME]

Sends a test incident's beginning and end to each webhook and notifier of the remediation exporter in FILE, marked as a test, by the
same code and settings as the collector, and prints what became of it. It exits with 1 if one was not taken.

`

// list is a flag that may be given several times.
type list []string

func (l *list) String() string { return strings.Join(*l, ",") }

func (l *list) Set(v string) error {
	*l = append(*l, v)
	return nil
}

// run is the program.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var configs, destinations list
	flags := flag.NewFlagSet("remediation-notify", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprint(stderr, usage)
		flags.PrintDefaults()
	}
	flags.Var(&configs, "config", "`URI` as the collector gets it with --config, such as a file, env:NAME or yaml:TEXT; may be given again, later ones are merged over earlier ones")
	id := flags.String("exporter", "", "`ID` of the remediation exporter, such as remediation/prod (default the only one)")
	flags.Var(&destinations, "destination", "`NAME` of the webhook or notifier to try; may be given again (default all)")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		return exitError
	case len(configs) == 0 || flags.NArg() > 0:
		flags.Usage()
		return exitError
	}
	xid, cfg, err := load(ctx, configs, *id)
	if err != nil {
		return fail(stderr, err)
	}
	set := exporter.Settings{ID: xid, TelemetrySettings: component.TelemetrySettings{
		Logger: zap.NewNop(), TracerProvider: tracenoop.NewTracerProvider(), MeterProvider: noop.NewMeterProvider(),
	}}
	trials, err := remediationexporter.Try(ctx, set, cfg, destinations...)
	if err != nil {
		return fail(stderr, err)
	}
	if len(trials) == 0 {
		return fail(stderr, fmt.Errorf("exporters::%s has neither webhooks nor notifiers", xid))
	}
	return report(trials, stdout)
}

// report prints a table.
func report(trials []remediationexporter.Trial, stdout io.Writer) int {
	code := exitOK
	w := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "DESTINATION\tKIND\tEVENT\tRESULT\tTOOK\tREASON")
	for _, t := range trials {
		result, took := "taken", t.Took.Round(time.Millisecond).String()
		switch {
		case t.Err != nil:
			result, code = "FAILED", exitFailed
		case t.Skipped != "":
			result, took = "not sent", "-"
		}
		event := strings.TrimSuffix(strings.TrimPrefix(string(t.Type), "io.paramedic."), ".v1")
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", t.Destination, t.Kind, event, result, took, t.Explain())
	}
	if err := w.Flush(); err != nil {
		return exitError
	}
	return code
}

// load reads a configuration as the collector does, and returns one remediation exporter of it, which is valid.
func load(ctx context.Context, uris []string, wanted string) (component.ID, *remediationexporter.Config, error) {
	resolver, err := confmap.NewResolver(confmap.ResolverSettings{
		URIs: uris,
		ProviderFactories: []confmap.ProviderFactory{
			envprovider.NewFactory(), fileprovider.NewFactory(), httpprovider.NewFactory(), httpsprovider.NewFactory(), yamlprovider.NewFactory(),
		},
		DefaultScheme: "env",
	})
	if err != nil {
		return component.ID{}, nil, err
	}
	conf, err := resolver.Resolve(ctx)
	if err = errors.Join(err, resolver.Shutdown(ctx)); err != nil {
		return component.ID{}, nil, err
	}
	exporters, err := conf.Sub("exporters")
	if err != nil {
		return component.ID{}, nil, fmt.Errorf("exporters must be a map of components: %w", err)
	}
	factory := remediationexporter.NewFactory()
	var found []component.ID
	for _, key := range slices.Sorted(maps.Keys(exporters.ToStringMap())) {
		var id component.ID
		if id.UnmarshalText([]byte(key)) == nil && id.Type() == factory.Type() && (wanted == "" || id.String() == wanted) {
			found = append(found, id)
		}
	}
	switch {
	case len(found) == 0 && wanted != "":
		return component.ID{}, nil, fmt.Errorf("exporters must hold %s, which -exporter names; it does not", wanted)
	case len(found) == 0:
		return component.ID{}, nil, errors.New("exporters must hold a remediation exporter, got none; name the files that the collector gets with --config")
	case len(found) > 1:
		return component.ID{}, nil, fmt.Errorf("exporters holds several remediation exporters: choose one of %v by -exporter", found)
	}
	sub, err := exporters.Sub(found[0].String())
	if err != nil {
		return component.ID{}, nil, fmt.Errorf("exporters::%s must be a map of settings: %w", found[0], err)
	}
	cfg := factory.CreateDefaultConfig().(*remediationexporter.Config)
	if err := sub.Unmarshal(cfg); err != nil {
		return component.ID{}, nil, fmt.Errorf("exporters::%s: %w", found[0], err)
	}
	if err := xconfmap.Validate(cfg); err != nil {
		return component.ID{}, nil, fmt.Errorf("exporters::%s: %w", found[0], err)
	}
	return found[0], cfg, nil
}

func fail(stderr io.Writer, err error) int {
	fmt.Fprintln(stderr, err)
	return exitError
}
