// Command storm measures what an incident storm costs the incident connector: at one moment five series of each service are
// abnormal and calls fail on most edges of a large service graph, for a service that all others call has failed.
//
//	go run ./benchmark/storm
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

func main() {
	sizes := flag.String("services", "100,300,1000,2000,3000,10000", "numbers of services, separated by commas")
	edges := flag.Int("edges", 10, "edges for each service")
	series := flag.Int("series", 5, "abnormal series for each service")
	flag.Parse()
	if flag.NArg() > 0 || *edges < 1 || *series < 1 {
		flag.Usage()
		os.Exit(2)
	}
	var list []size
	for _, s := range strings.Split(*sizes, ",") {
		n, err := strconv.Atoi(s)
		if err != nil || n < 10 {
			fmt.Fprintf(os.Stderr, "storm: services must be numbers from 10 up, got %q\n", s)
			os.Exit(2)
		}
		list = append(list, size{services: n, edges: n * *edges, series: n * *series})
	}
	if err := run(context.Background(), list, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "storm:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, sizes []size, w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "services\tedges\tseries\tcalm bucket\tintake\tdiagnosis\tprocessor\tallocations\tallocated\theap before\tpeak heap\tbuckets\tincidents\tcause\t")
	for _, s := range sizes {
		m, err := measure(ctx, s)
		if err != nil {
			return err
		}
		fmt.Fprintf(t, "%d\t%d\t%d\t%s\t%s\t%s\t%s\t%d\t%.1f MiB\t%.1f MiB\t%.1f MiB\t%d\t%d\t%s\t\n", s.services, s.edges, s.series,
			round(m.calm), round(m.intake), round(m.diagnosis), round(m.cpu), m.mallocs, mib(m.allocated), mib(m.held), mib(m.peak), m.buckets, m.incidents, m.cause)
	}
	return t.Flush()
}

func round(d time.Duration) time.Duration { return d.Round(100 * time.Microsecond) }

func mib(bytes uint64) float64 { return float64(bytes) / (1 << 20) }
