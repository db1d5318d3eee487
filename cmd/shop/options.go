package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/paramedic-otel/paramedic/internal/shop"
	"github.com/paramedic-otel/paramedic/internal/standardwebhooks"
)

// secretVariable is the environment variable with the webhook secret.
const secretVariable = "SHOP_WEBHOOK_SECRET"

// options are the command line.
type options struct {
	shop     shop.Config
	endpoint string
	out      string
	control  string
	keys     []standardwebhooks.Key
	speed    speed
	duration time.Duration
	retryFor time.Duration
}

// speed is simulated time per real time; 0 stands for "max".
type speed float64

func (s *speed) String() string {
	if *s == 0 {
		return "max"
	}
	return strconv.FormatFloat(float64(*s), 'g', -1, 64)
}

func (s *speed) Set(text string) error {
	if text == "max" {
		*s = 0
		return nil
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || !(v >= 0.01 && v <= 1e6) || math.IsInf(v, 0) {
		return errors.New(`must be "max" or a factor between 0.01 and 1e6`)
	}
	*s = speed(v)
	return nil
}

// faults collects the --fault flags.
type faults []shop.ScheduledFault

func (f *faults) String() string { return "" }

func (f *faults) Set(text string) error {
	fault, err := shop.ParseFault(text)
	if err == nil {
		*f = append(*f, fault)
	}
	return err
}

// parseOptions reads the command line. What is wrong with it is written to output.
func parseOptions(args []string, now time.Time, output io.Writer) (options, error) {
	o := options{shop: shop.DefaultConfig(), speed: 1}
	start, secret := "", ""
	fs := flag.NewFlagSet("shop", flag.ContinueOnError)
	fs.SetOutput(output)
	fs.StringVar(&o.endpoint, "endpoint", "127.0.0.1:4317", "OTLP/gRPC `host:port` to send to")
	fs.StringVar(&o.out, "out", "", "write OTLP JSON lines to this `file` (- for stdout) instead of sending")
	fs.StringVar(&o.control, "control", "127.0.0.1:8099", "`host:port` of the control interface; port 0 takes a free one, empty is none")
	fs.StringVar(&secret, "webhook-secret", "", "secret of the webhook, `whsec_...`; better given in $"+secretVariable)
	fs.Uint64Var(&o.shop.Seed, "seed", o.shop.Seed, "seed of all randomness")
	fs.Float64Var(&o.shop.Rate, "rate", o.shop.Rate, "mean user requests per second")
	fs.DurationVar(&o.shop.Period, "period", o.shop.Period, "length of the daily load curve; seven make a week")
	fs.DurationVar(&o.shop.MetricsInterval, "metrics-interval", o.shop.MetricsInterval, "time between metric exports, whole seconds")
	fs.IntVar(&o.shop.MaxPending, "max-pending", o.shop.MaxPending, "spans and log records that may wait for their time")
	fs.Var((*faults)(&o.shop.Faults), "fault", "`kind[:service][@offset[+duration]]`, repeatable")
	fs.StringVar(&start, "start", "", "simulated `time` of the start, RFC 3339 (default now)")
	fs.DurationVar(&o.duration, "duration", 0, "simulated time to run; 0 is until interrupted")
	fs.Var(&o.speed, "speed", "simulated time per real time: max or a `factor`")
	fs.DurationVar(&o.retryFor, "retry-for", 30*time.Second, "time for which an undelivered request is repeated")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	err := o.complete(fs, start, secret, now)
	if err != nil {
		fmt.Fprintln(output, "shop:", err)
	}
	return o, err
}

func (o *options) complete(fs *flag.FlagSet, start, secret string, now time.Time) error {
	var errs []error
	if fs.NArg() > 0 {
		errs = append(errs, fmt.Errorf("unexpected argument %q", fs.Arg(0)))
	}
	o.shop.Start = now.UTC().Truncate(time.Second)
	if start != "" {
		t, err := time.Parse(time.RFC3339, start)
		if err != nil {
			errs = append(errs, fmt.Errorf("start must be RFC 3339, such as 2026-03-02T00:00:00Z, got %q", start))
		} else {
			o.shop.Start = t.UTC()
		}
	}
	if secret == "" {
		secret = os.Getenv(secretVariable)
	}
	if secret != "" {
		key, err := standardwebhooks.ParseKey(secret)
		if err != nil {
			errs = append(errs, fmt.Errorf("webhook %w", err))
		}
		o.keys = append(o.keys, key)
	}
	errs = append(errs, o.shop.Validate())
	if o.duration < 0 || o.duration%shop.TickLength != 0 {
		errs = append(errs, fmt.Errorf("duration must be whole seconds and not negative, got %s", o.duration))
	}
	if o.duration == 0 && o.speed == 0 {
		errs = append(errs, errors.New("duration must be given with speed max"))
	}
	if o.retryFor < 0 || o.retryFor > time.Hour {
		errs = append(errs, fmt.Errorf("retry-for must be between 0s and 1h, got %s", o.retryFor))
	}
	if o.out == "" {
		if _, _, err := net.SplitHostPort(o.endpoint); err != nil {
			errs = append(errs, fmt.Errorf("endpoint must be host:port: %w", err))
		}
	}
	return errors.Join(errs...)
}
