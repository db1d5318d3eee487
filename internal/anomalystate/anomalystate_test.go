package anomalystate_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/open-telemetry/opentelemetry-collector-contrib/extension/storage/storagetest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/zeebo/xxh3"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension/xextension/storage"

	"github.com/paramedic-otel/paramedic/internal/anomalystate"
)

var header = anomalystate.Header{Model: 3, Identity: 0xabcdef, Written: 1_700_000_000_000_000_000, Shard: 7}

func streams(n int) []anomalystate.Stream {
	r := rand.New(rand.NewPCG(1, 2))
	blob := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return b
	}
	all := make([]anomalystate.Stream, n)
	for i := range all {
		s := &all[i]
		s.Key = anomalystate.Key{Hi: r.Uint64(), Lo: r.Uint64()}
		s.Workload = r.Uint64()
		s.Kind = uint8(r.Uint32())
		s.Arrived, s.Last, s.Start = r.Int64(), -r.Int64(), r.Int64()
		s.Rest, s.Text = blob(r.IntN(50)), blob(1+r.IntN(50))
		if i%3 > 0 {
			s.Resource = &anomalystate.Resource{Key: anomalystate.Key{Hi: uint64(i % 5), Lo: 1}, Last: int64(i % 5), Restarted: -7, Text: []byte{byte(i % 5)}}
		}
		for _, name := range []string{"value", "rate", "mean", "ratio", "p50", "p90", "p99", "p99.95"}[:1+r.IntN(8)] {
			s.Signals = append(s.Signals, anomalystate.Signal{Name: name, Quantile: r.Float64() - 0.5, Turned: r.Int64(), State: blob(700), Shadow: blob(1 + r.IntN(9))})
		}
	}
	return all
}

// keep copies a stream that is valid during a call only.
func keep(s *anomalystate.Stream) anomalystate.Stream {
	c := *s
	c.Rest, c.Text = bytes.Clone(s.Rest), bytes.Clone(s.Text)
	c.Signals = nil
	for _, sig := range s.Signals {
		sig.State, sig.Shadow = bytes.Clone(sig.State), bytes.Clone(sig.Shadow)
		c.Signals = append(c.Signals, sig)
	}
	return c
}

func shard(t *testing.T, all []anomalystate.Stream) []byte {
	t.Helper()
	var w anomalystate.ShardWriter
	w.Begin(header)
	for i := range all {
		require.True(t, w.Add(&all[i]))
	}
	assert.Equal(t, len(all), w.Streams())
	size := w.Size()
	data := w.End()
	assert.Len(t, data, size)
	return bytes.Clone(data)
}

func TestShard(t *testing.T) {
	want := streams(50)
	var got []anomalystate.Stream
	h, err := anomalystate.DecodeShard(shard(t, want), func(h *anomalystate.Header, s *anomalystate.Stream) error {
		assert.Equal(t, header, *h)
		got = append(got, keep(s))
		return nil
	})
	require.NoError(t, err)
	assert.Equal(t, header, h)
	require.Len(t, got, len(want))
	for i := range want {
		assert.Equal(t, want[i].Key, got[i].Key)
		assert.True(t, bytes.Equal(want[i].Rest, got[i].Rest))
		want[i].Rest, got[i].Rest = nil, nil
		assert.Equal(t, want[i], got[i])
	}
}

// Whatever single byte is damaged, wherever the end is missing: it is known, and nothing of it is used.
func TestDamagedShard(t *testing.T) {
	data := shard(t, streams(3))
	visit := func(*anomalystate.Header, *anomalystate.Stream) error {
		t.Error("nothing of a damaged shard may be used")
		return nil
	}
	for i := 0; i < len(data); i += 5 {
		broken := bytes.Clone(data)
		broken[i] ^= 0x40
		_, err := anomalystate.DecodeShard(broken, visit)
		assert.True(t, errors.Is(err, anomalystate.ErrCorrupt) || (i < 4 && errors.Is(err, anomalystate.ErrForeign)), "byte %d: %v", i, err)
		_, err = anomalystate.DecodeShard(data[:i], visit)
		assert.ErrorIs(t, err, anomalystate.ErrCorrupt)
	}
	old := bytes.Clone(data)
	old[3] = 0
	_, err := anomalystate.DecodeShard(old, visit)
	assert.ErrorIs(t, err, anomalystate.ErrForeign)
}

// A right checksum does not make impossible records possible.
func TestLyingShard(t *testing.T) {
	data := shard(t, streams(2))
	for name, change := range map[string]func([]byte){
		"more records":   func(b []byte) { binary.LittleEndian.PutUint32(b[28:], 9) },
		"fewer records":  func(b []byte) { binary.LittleEndian.PutUint32(b[28:], 1) },
		"length":         func(b []byte) { binary.LittleEndian.PutUint32(b[32:], 1) },
		"record's end":   func(b []byte) { binary.LittleEndian.PutUint32(b[36:], 50) },
		"kind":           func(b []byte) { b[40] = 2 },
		"no resource":    func(b []byte) { b[40+1+24+1+24] = 0 },
		"endless record": func(b []byte) { binary.LittleEndian.PutUint32(b[36:], 1<<31) },
	} {
		t.Run(name, func(t *testing.T) {
			lie := bytes.Clone(data)
			change(lie)
			binary.LittleEndian.PutUint64(lie[len(lie)-8:], xxh3.Hash(lie[:len(lie)-8]))
			_, err := anomalystate.DecodeShard(lie, func(*anomalystate.Header, *anomalystate.Stream) error { return nil })
			assert.ErrorIs(t, err, anomalystate.ErrCorrupt)
		})
	}
}

func TestBoundsOfRecords(t *testing.T) {
	var w anomalystate.ShardWriter
	w.Begin(header)
	for name, s := range map[string]anomalystate.Stream{
		"rest":     {Rest: make([]byte, 3<<20)},
		"signals":  {Signals: make([]anomalystate.Signal, 70_000)},
		"text":     {Text: make([]byte, 65<<10)},
		"resource": {Resource: &anomalystate.Resource{Text: make([]byte, 65<<10)}},
		"shadow":   {Signals: []anomalystate.Signal{{Shadow: make([]byte, 65<<10)}}},
		"state":    {Signals: []anomalystate.Signal{{State: make([]byte, 65<<10)}}},
		"name":     {Signals: []anomalystate.Signal{{Name: string(make([]byte, 65))}}},
	} {
		assert.False(t, w.Add(&s), name)
	}
	large := anomalystate.Stream{Rest: make([]byte, 2<<20)}
	for range 31 {
		require.True(t, w.Add(&large))
	}
	assert.False(t, w.Add(&large), "a shard has a bound too")
	n := 0
	_, err := anomalystate.DecodeShard(w.End(), func(*anomalystate.Header, *anomalystate.Stream) error { n++; return nil })
	require.NoError(t, err)
	assert.Equal(t, 31, n)
}

func TestAccept(t *testing.T) {
	require.NoError(t, header.Accept(3, 0xabcdef))
	require.ErrorIs(t, header.Accept(4, 0xabcdef), anomalystate.ErrModel)
	require.ErrorIs(t, header.Accept(3, 1), anomalystate.ErrIdentity)
}

func file(t *testing.T, all []anomalystate.Stream) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := anomalystate.NewFileWriter(&out, header)
	require.NoError(t, err)
	for i := range all {
		require.NoError(t, w.Add(&all[i]))
	}
	require.NoError(t, w.Close())
	return out.Bytes()
}

func read(data []byte) (seen, damaged int, err error) {
	err = anomalystate.ReadFile(bytes.NewReader(data), func(*anomalystate.Header, *anomalystate.Stream) error {
		seen++
		return nil
	}, func(error) { damaged++ })
	return seen, damaged, err
}

func TestFile(t *testing.T) {
	for _, n := range []int{0, 1, 3000} {
		seen, damaged, err := read(file(t, streams(n)))
		require.NoError(t, err)
		assert.Equal(t, n, seen)
		assert.Zero(t, damaged)
	}
}

func TestDamagedFile(t *testing.T) {
	data := file(t, streams(3000))
	broken := bytes.Clone(data)
	broken[len(data)/2]++
	seen, damaged, err := read(broken)
	require.NoError(t, err)
	assert.Equal(t, 1, damaged, "a damaged byte costs its shard")
	assert.Greater(t, seen, 2000)

	seen, _, err = read(data[:len(data)-1])
	require.ErrorIs(t, err, anomalystate.ErrCorrupt, "an early end is known")
	assert.Equal(t, 3000, seen, "and what precedes it used")

	_, _, err = read([]byte("PARANOM\x02........"))
	require.ErrorIs(t, err, anomalystate.ErrForeign)
	_, _, err = read(nil)
	require.ErrorIs(t, err, anomalystate.ErrCorrupt)
	_, _, err = read([]byte("PARANOM\x01\xff\xff\xff\xff"))
	require.ErrorIs(t, err, anomalystate.ErrCorrupt)

	stop := errors.New("enough")
	require.ErrorIs(t, anomalystate.ReadFile(bytes.NewReader(data), func(*anomalystate.Header, *anomalystate.Stream) error { return stop }, func(error) {}), stop)
}

func client(t *testing.T) storage.Client {
	t.Helper()
	ext := storagetest.NewInMemoryStorageExtension("test")
	c, err := ext.GetClient(t.Context(), component.KindProcessor, component.MustNewID("anomaly"), anomalystate.StorageName)
	require.NoError(t, err)
	return c
}

func load(t *testing.T, s *anomalystate.Store) map[int]string {
	t.Helper()
	all := map[int]string{}
	require.NoError(t, s.Load(t.Context(), func(i int, data []byte) error {
		all[i] = string(data)
		return nil
	}))
	return all
}

func TestStore(t *testing.T) {
	c := client(t)
	open := func(shards int) *anomalystate.Store {
		s, err := anomalystate.OpenStore(t.Context(), c, shards)
		require.NoError(t, err)
		return s
	}
	s := open(4)
	assert.Empty(t, load(t, s))
	for i := range 4 {
		require.NoError(t, s.Write(t.Context(), i, fmt.Append(nil, "a", i)))
	}
	assert.Empty(t, load(t, open(4)), "what is not committed is not there")
	require.NoError(t, s.Commit(t.Context()))
	assert.Equal(t, map[int]string{0: "a0", 1: "a1", 2: "a2", 3: "a3"}, load(t, open(4)))

	// Once committed, every write counts at once.
	s = open(4)
	assert.True(t, s.Committed())
	require.NoError(t, s.Write(t.Context(), 1, []byte("b1")))
	require.NoError(t, s.Write(t.Context(), 2, nil))
	assert.Equal(t, map[int]string{0: "a0", 1: "b1", 3: "a3"}, load(t, open(4)))

	// Another number of shards takes over when all of them are there.
	s = open(2)
	assert.Equal(t, 4, s.Stored())
	assert.Len(t, load(t, s), 3)
	require.NoError(t, s.Write(t.Context(), 0, []byte("c0")))
	assert.Len(t, load(t, open(2)), 3)
	require.NoError(t, s.Write(t.Context(), 1, []byte("c1")))
	require.NoError(t, s.Commit(t.Context()))
	assert.Equal(t, map[int]string{0: "c0", 1: "c1"}, load(t, open(2)))
	for i := range 4 {
		value, err := c.Get(t.Context(), fmt.Sprintf("shard/4/%d", i))
		require.NoError(t, err)
		assert.Nil(t, value, "the old ones are gone")
	}

	require.NoError(t, s.Reset(t.Context()))
	assert.Empty(t, load(t, open(2)))
	assert.Zero(t, open(2).Stored())
}

func TestStoreNotUnderstood(t *testing.T) {
	for name, tc := range map[string]struct {
		meta string
		want error
	}{
		"foreign": {"something else", anomalystate.ErrForeign},
		"newer":   {"PARSTOR\x02...", anomalystate.ErrForeign},
		"damaged": {"PARSTOR\x01............", anomalystate.ErrCorrupt},
	} {
		t.Run(name, func(t *testing.T) {
			c := client(t)
			require.NoError(t, c.Set(t.Context(), "meta", []byte(tc.meta)))
			s, err := anomalystate.OpenStore(t.Context(), c, 1)
			require.ErrorIs(t, err, tc.want)
			require.NoError(t, s.Write(t.Context(), 0, []byte("x")))
			require.NoError(t, s.Commit(t.Context()))
			s, err = anomalystate.OpenStore(t.Context(), c, 1)
			require.NoError(t, err)
			assert.Equal(t, map[int]string{0: "x"}, load(t, s))
		})
	}
}

type broken struct{ storage.Client }

func (broken) Get(context.Context, string) ([]byte, error) { return nil, errors.New("disk is gone") }

func TestStoreUnreadable(t *testing.T) {
	s, err := anomalystate.OpenStore(t.Context(), broken{}, 1)
	require.ErrorContains(t, err, "disk is gone")
	assert.Nil(t, s)
}

func FuzzDecodeShard(f *testing.F) {
	var w anomalystate.ShardWriter
	w.Begin(header)
	w.Add(&anomalystate.Stream{Kind: 2, Rest: []byte{1}, Resource: &anomalystate.Resource{}, Signals: []anomalystate.Signal{{Name: "rate", Quantile: -1, State: []byte{1, 2}}}})
	w.Add(&anomalystate.Stream{})
	f.Add(w.End())
	f.Add([]byte("PAS\x01"))
	f.Fuzz(func(t *testing.T, data []byte) {
		// Past the checksum, which random bytes would never pass.
		if len(data) > 8 {
			data = binary.LittleEndian.AppendUint64(data[:len(data)-8:len(data)-8], xxh3.Hash(data[:len(data)-8]))
		}
		var again anomalystate.ShardWriter
		seen := 0
		h, err := anomalystate.DecodeShard(data, func(h *anomalystate.Header, s *anomalystate.Stream) error {
			if seen == 0 {
				again.Begin(*h)
			}
			seen++
			assert.True(t, again.Add(s), "what is accepted can be written")
			return nil
		})
		if err != nil || seen == 0 {
			return
		}
		n := 0
		second, err := anomalystate.DecodeShard(again.End(), func(*anomalystate.Header, *anomalystate.Stream) error { n++; return nil })
		require.NoError(t, err)
		assert.Equal(t, seen, n)
		assert.Equal(t, h, second)
	})
}

func FuzzReadFile(f *testing.F) {
	var out bytes.Buffer
	w, _ := anomalystate.NewFileWriter(&out, header)
	_ = w.Add(&anomalystate.Stream{Kind: 2})
	_ = w.Close()
	f.Add(out.Bytes())
	f.Add([]byte("PARANOM\x01\xff\xff\xff\x03"))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, _, err := read(data)
		if err != nil {
			assert.True(t, errors.Is(err, anomalystate.ErrCorrupt) || errors.Is(err, anomalystate.ErrForeign))
		}
	})
}

func BenchmarkShard(b *testing.B) {
	all := streams(256)
	for i := range all {
		all[i].Signals = all[i].Signals[:1]
		all[i].Rest = nil
	}
	var w anomalystate.ShardWriter
	b.ReportAllocs()
	for b.Loop() {
		w.Begin(header)
		for i := range all {
			w.Add(&all[i])
		}
		w.End()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(all)), "ns/stream")
}
