package anomalystate

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/zeebo/xxh3"
	"go.opentelemetry.io/collector/extension/xextension/storage"
)

const (
	// StorageName is what the processor's client is called within its storage extension.
	StorageName = "learnt"
	metaKey     = "meta"
	metaMagic   = "PARSTOR\x01"
	// MaxShards bounds the shards of a store.
	MaxShards = 1 << 20
	// deleteBatch bounds the keys of one transaction.
	deleteBatch = 256
)

// Store keeps shards in a storage client, one value each. The number of shards may change from one run to the next: then
// the old ones stay until Commit says that all new ones are written, so that a crash between loses nothing. It is not
// safe for concurrent use.
type Store struct {
	client storage.Client
	// shards is the number written now, stored the number that a reader would look for.
	shards, stored int
}

// OpenStore reads how many shards are stored; shards is the number that will be written. When what is stored is not
// understood, the error wraps ErrCorrupt or ErrForeign and the store is fit for use and empty. Any other error is the
// client's, and there is no store.
func OpenStore(ctx context.Context, client storage.Client, shards int) (*Store, error) {
	meta, err := client.Get(ctx, metaKey)
	if err != nil {
		return nil, fmt.Errorf("read what is stored: %w", err)
	}
	s := &Store{client: client, shards: shards}
	if meta == nil {
		return s, nil
	}
	s.stored, err = decodeMeta(meta)
	return s, err
}

func encodeMeta(shards int) []byte {
	b := binary.LittleEndian.AppendUint32([]byte(metaMagic), uint32(shards)) //nolint:gosec // at most MaxShards
	return binary.LittleEndian.AppendUint64(b, xxh3.Hash(b))
}

func decodeMeta(b []byte) (int, error) {
	if len(b) < len(metaMagic) || string(b[:len(metaMagic)]) != metaMagic {
		return 0, fmt.Errorf("%w: this is no store of format 1", ErrForeign)
	}
	if len(b) != len(metaMagic)+4+sumBytes || xxh3.Hash(b[:len(metaMagic)+4]) != binary.LittleEndian.Uint64(b[len(metaMagic)+4:]) {
		return 0, fmt.Errorf("%w store", ErrCorrupt)
	}
	n := binary.LittleEndian.Uint32(b[len(metaMagic):])
	if n > MaxShards {
		return 0, fmt.Errorf("%w store: %d shards", ErrCorrupt, n)
	}
	return int(n), nil
}

func shardKey(shard, of int) string { return fmt.Sprintf("shard/%d/%d", of, shard) }

// Stored returns the number of shards that are stored, some of which may be empty.
func (s *Store) Stored() int { return s.stored }

// Load shows visit every shard that is stored. The bytes are visit's own.
func (s *Store) Load(ctx context.Context, visit func(shard int, data []byte) error) error {
	for i := range s.stored {
		data, err := s.client.Get(ctx, shardKey(i, s.stored))
		if err != nil {
			return fmt.Errorf("read shard %d: %w", i, err)
		}
		if data == nil {
			continue
		}
		if err := visit(i, data); err != nil {
			return err
		}
	}
	return nil
}

// Write stores a shard; empty data removes it.
func (s *Store) Write(ctx context.Context, shard int, data []byte) error {
	key := shardKey(shard, s.shards)
	var err error
	if len(data) == 0 {
		err = s.client.Delete(ctx, key)
	} else {
		err = s.client.Set(ctx, key, data)
	}
	if err != nil {
		return fmt.Errorf("write shard %d: %w", shard, err)
	}
	return nil
}

// Commit says that every shard was written at least once since OpenStore. The first time it makes these the ones that
// are loaded next, and removes those of an earlier number; after that it does nothing.
func (s *Store) Commit(ctx context.Context) error {
	if s.stored == s.shards {
		return nil
	}
	if err := s.client.Set(ctx, metaKey, encodeMeta(s.shards)); err != nil {
		return fmt.Errorf("write what is stored: %w", err)
	}
	before := s.stored
	s.stored = s.shards
	return s.remove(ctx, before)
}

// Committed reports whether the shards now written are those that are loaded next.
func (s *Store) Committed() bool { return s.stored == s.shards }

// Reset removes everything.
func (s *Store) Reset(ctx context.Context) error {
	if err := s.client.Delete(ctx, metaKey); err != nil {
		return fmt.Errorf("remove what is stored: %w", err)
	}
	before := s.stored
	s.stored = 0
	return s.remove(ctx, before)
}

func (s *Store) remove(ctx context.Context, shards int) error {
	ops := make([]*storage.Operation, 0, deleteBatch)
	for i := range shards {
		ops = append(ops, storage.DeleteOperation(shardKey(i, shards)))
		if len(ops) < deleteBatch && i+1 < shards {
			continue
		}
		if err := s.client.Batch(ctx, ops...); err != nil {
			return fmt.Errorf("remove old shards: %w", err)
		}
		ops = ops[:0]
	}
	return nil
}
