package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension/xextension/storage"

	"github.com/paramedic-otel/paramedic/internal/anomalystate"
)

const (
	exitOK = iota
	exitFailed
	exitUsage
)

const usage = `usage: anomalystate COMMAND [FLAGS] ARGUMENTS

  inspect SOURCE...            say what the sources hold
  export -o FILE SOURCE...     write a portable file; the same series of several sources are merged
  merge -o FILE SOURCE...      the same
  profiles SOURCE...           write one JSON line for each series, for people
  import -into DIR SOURCE...   put series into the storage of a collector
  reset DIR                    forget all that the storage holds

A source is a portable file, or a directory of the file_storage extension of a collector that does not run.
`

// options are the flags of all commands.
type options struct {
	processor component.ID
	out, into string
	sources   []string
}

// run is the program.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		fmt.Fprint(stderr, usage)
		return exitUsage
	}
	commands := map[string]func(context.Context, *options, io.Writer, io.Writer) error{
		"inspect": inspect, "export": merge, "merge": merge, "profiles": profiles, "import": importInto, "reset": reset,
	}
	command, ok := commands[args[0]]
	if !ok {
		fmt.Fprint(stderr, usage)
		if args[0] == "help" || args[0] == "-h" || args[0] == "--help" {
			return exitOK
		}
		return exitUsage
	}
	o, err := parse(args, stderr)
	if err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(stderr, err)
		}
		return exitUsage
	}
	if err := command(ctx, o, stdout, stderr); err != nil {
		fmt.Fprintln(stderr, err)
		return exitFailed
	}
	return exitOK
}

func parse(args []string, stderr io.Writer) (*options, error) {
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	flags.SetOutput(stderr)
	processor := flags.String("processor", "anomaly", "ID of the processor whose storage is meant")
	o := &options{}
	flags.StringVar(&o.out, "o", "", "file to write")
	flags.StringVar(&o.into, "into", "", "directory of the file_storage extension to write to")
	if err := flags.Parse(args[1:]); err != nil {
		return nil, err
	}
	if err := o.processor.UnmarshalText([]byte(*processor)); err != nil {
		return nil, fmt.Errorf("processor: %w", err)
	}
	o.sources = flags.Args()
	if len(o.sources) == 0 {
		return nil, errors.New("name a file or a directory")
	}
	return o, nil
}

// collect reads all sources into one collection; what is damaged is told and left out.
func collect(ctx context.Context, o *options, sources []string, stderr io.Writer, into *anomalystate.Collection) error {
	for _, source := range sources {
		err := read(ctx, source, o.processor, visitor{
			stream: func(h *anomalystate.Header, s *anomalystate.Stream) error {
				return into.Add(h, s, anomalystate.MergeStates)
			},
			damaged: func(err error) { fmt.Fprintf(stderr, "%s: left out: %v\n", source, err) },
		})
		if errors.Is(err, anomalystate.ErrCorrupt) {
			fmt.Fprintf(stderr, "%v; what stands before is used\n", err)
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// merge writes all sources to one portable file.
func merge(ctx context.Context, o *options, stdout, stderr io.Writer) (err error) {
	if o.out == "" {
		return errors.New("name the file to write by -o")
	}
	var all anomalystate.Collection
	if err := collect(ctx, o, o.sources, stderr, &all); err != nil {
		return err
	}
	f, err := os.OpenFile(o.out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w, err := anomalystate.NewFileWriter(f, all.Header)
	if err != nil {
		return err
	}
	if err := all.All(w.Add); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "%s: %d streams\n", o.out, all.Len())
	return nil
}

// shardBits is the logarithm of the number of shards that are written; a processor cuts them anew if it needs more.
const shardBits = 8

// importInto puts the sources into a storage; what it knows already is merged.
func importInto(ctx context.Context, o *options, stdout, stderr io.Writer) error {
	if o.into == "" {
		return errors.New("name the directory to import into by -into")
	}
	var all anomalystate.Collection
	sources := o.sources
	if err := collect(ctx, o, sources, stderr, &all); err != nil {
		return err
	}
	imported := all.Len()
	return withStore(ctx, o.into, o.processor, 1<<shardBits, func(store *anomalystate.Store) error {
		err := store.Load(ctx, func(shard int, data []byte) error {
			var stop error
			_, err := anomalystate.DecodeShard(data, func(h *anomalystate.Header, s *anomalystate.Stream) error {
				stop = all.Add(h, s, anomalystate.MergeStates)
				return stop
			})
			if stop == nil && err != nil {
				fmt.Fprintf(stderr, "%s: shard %d left out: %v\n", o.into, shard, err)
			}
			return stop
		})
		if err != nil {
			return err
		}
		if err := write(ctx, store, &all); err != nil {
			return err
		}
		fmt.Fprintf(stdout, "%s: %d streams, of which %d imported\n", o.into, all.Len(), imported)
		return nil
	})
}

// write stores a collection, shard by shard: its streams come in the order of their keys.
func write(ctx context.Context, store *anomalystate.Store, all *anomalystate.Collection) error {
	var w anomalystate.ShardWriter
	next := 0
	begin := func() {
		h := all.Header
		h.Written, h.Shard = time.Now().UnixNano(), uint32(next) //nolint:gosec // a few bits
		w.Begin(h)
	}
	flush := func() error {
		var data []byte
		if w.Streams() > 0 {
			data = w.End()
		}
		err := store.Write(ctx, next, data)
		next++
		begin()
		return err
	}
	begin()
	err := all.All(func(s *anomalystate.Stream) error {
		for next < int(s.Key.Hi>>(64-shardBits)) { //nolint:gosec // a few bits
			if err := flush(); err != nil {
				return err
			}
		}
		if !w.Add(s) {
			return fmt.Errorf("shard %d: stream %s has no room", next, s.Key)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for next < 1<<shardBits {
		if err := flush(); err != nil {
			return err
		}
	}
	return store.Commit(ctx)
}

// reset removes everything from a storage.
func reset(ctx context.Context, o *options, stdout, _ io.Writer) error {
	for _, dir := range o.sources {
		err := withClient(ctx, dir, o.processor, false, func(client storage.Client) error {
			// What is not understood is forgotten too, as far as it can be found.
			store, err := anomalystate.OpenStore(ctx, client, 0)
			if store == nil {
				return err
			}
			blobs, err := anomalystate.OpenBlobs(ctx, client)
			if blobs == nil {
				return err
			}
			return errors.Join(store.Reset(ctx), blobs.Reset(ctx))
		})
		if err != nil {
			return err
		}
		fmt.Fprintf(stdout, "%s: nothing is known of processor %s any more\n", dir, o.processor)
	}
	return nil
}

// inspect says what sources hold.
func inspect(ctx context.Context, o *options, stdout, stderr io.Writer) error {
	for _, source := range o.sources {
		var header anomalystate.Header
		streams, signals, damaged, newest := 0, 0, 0, int64(0)
		kinds := map[string]int{}
		err := read(ctx, source, o.processor, visitor{
			stream: func(h *anomalystate.Header, s *anomalystate.Stream) error {
				header = *h
				streams++
				signals += len(s.Signals)
				newest = max(newest, s.Last)
				kinds[anomalystate.Kind(s.Kind).String()]++
				return nil
			},
			damaged: func(err error) {
				damaged++
				fmt.Fprintf(stderr, "%s: %v\n", source, err)
			},
		})
		if err != nil && !errors.Is(err, anomalystate.ErrCorrupt) {
			return err
		}
		if err != nil {
			damaged++
			fmt.Fprintln(stderr, err)
		}
		kind, err := json.Marshal(kinds)
		if err != nil {
			return err
		}
		fmt.Fprintf(stdout, "%s: %d streams, %d series, %d damaged shards, model %d, identity %016x, written %s, newest point %s, streams by kind %s\n",
			source, streams, signals, damaged, header.Model, header.Identity, stamp(header.Written), stamp(newest), kind)
	}
	return nil
}

func stamp(t int64) string {
	if t == 0 {
		return "never"
	}
	return time.Unix(0, t).UTC().Format(time.RFC3339)
}

// profiles writes one JSON line for each series.
func profiles(ctx context.Context, o *options, stdout, stderr io.Writer) error {
	out := bufio.NewWriter(stdout)
	encoder := json.NewEncoder(out)
	for _, source := range o.sources {
		err := read(ctx, source, o.processor, visitor{
			stream: func(_ *anomalystate.Header, s *anomalystate.Stream) error {
				for i := range s.Signals {
					if err := encoder.Encode(newProfile(s, &s.Signals[i])); err != nil {
						return err
					}
				}
				return nil
			},
			damaged: func(err error) { fmt.Fprintf(stderr, "%s: left out: %v\n", source, err) },
		})
		if err != nil {
			return errors.Join(err, out.Flush())
		}
	}
	return out.Flush()
}
