package anomalystate

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"github.com/zeebo/xxh3"
	"go.opentelemetry.io/collector/extension/xextension/storage"
)

const (
	blobMagic = "PAB\x01"
	blobIndex = "blobs"
	// maxBlobs bounds what an index can make us read.
	maxBlobs = 1 << 20
)

func blobKey(k Key) string { return "blob/" + k.String() }

// Blobs keep states that are no streams, such as those of entities, in a storage client: one value each, behind a
// checksum, and an index of their keys. It is not safe for concurrent use.
type Blobs struct {
	client storage.Client
	// held are the sizes of what is stored.
	held map[Key]int
	// stale says that the index is not that of what is held.
	stale bool
}

// OpenBlobs reads the index. When it is not understood, the error wraps ErrCorrupt or ErrForeign and what is returned is fit
// for use and empty; any other error is the client's.
func OpenBlobs(ctx context.Context, client storage.Client) (*Blobs, error) {
	b := &Blobs{client: client, held: map[Key]int{}}
	sealed, err := client.Get(ctx, blobIndex)
	if err != nil {
		return nil, fmt.Errorf("read index: %w", err)
	}
	if sealed == nil {
		return b, nil
	}
	index, err := Unseal(sealed)
	if err != nil {
		return b, err
	}
	if len(index)%16 != 0 || len(index)/16 > maxBlobs {
		return b, fmt.Errorf("%w index", ErrCorrupt)
	}
	for ; len(index) > 0; index = index[16:] {
		b.held[Key{Hi: binary.LittleEndian.Uint64(index), Lo: binary.LittleEndian.Uint64(index[8:])}] = 0
	}
	return b, nil
}

// Seal puts data behind a mark of the format and before a checksum, as states that are no streams are stored.
func Seal(data []byte) []byte {
	sealed := append([]byte(blobMagic), data...)
	return binary.LittleEndian.AppendUint64(sealed, xxh3.Hash(sealed))
}

// Unseal returns what was sealed. The error wraps ErrForeign or ErrCorrupt.
func Unseal(sealed []byte) ([]byte, error) {
	if len(sealed) < len(blobMagic) || string(sealed[:len(blobMagic)]) != blobMagic {
		return nil, fmt.Errorf("%w: this is no state of format 1", ErrForeign)
	}
	end := len(sealed) - sumBytes
	if end < len(blobMagic) || binary.LittleEndian.Uint64(sealed[end:]) != xxh3.Hash(sealed[:end]) {
		return nil, fmt.Errorf("%w state", ErrCorrupt)
	}
	return sealed[len(blobMagic):end], nil
}

// Keys returns what is held, in order.
func (b *Blobs) Keys() []Key {
	return slices.SortedFunc(maps.Keys(b.held), func(x, y Key) int {
		if x.Hi != y.Hi {
			return compare(x.Hi, y.Hi)
		}
		return compare(x.Lo, y.Lo)
	})
}

// Load returns a state; nil when there is none. The error wraps ErrCorrupt or ErrForeign, or is the client's.
func (b *Blobs) Load(ctx context.Context, k Key) ([]byte, error) {
	sealed, err := b.client.Get(ctx, blobKey(k))
	if err != nil || sealed == nil {
		return nil, err
	}
	b.held[k] = len(sealed)
	return Unseal(sealed)
}

// Size is how many bytes are held under a key.
func (b *Blobs) Size(k Key) int { return b.held[k] }

// Write stores a state; nil removes it.
func (b *Blobs) Write(ctx context.Context, k Key, data []byte) error {
	_, known := b.held[k]
	if data == nil {
		// Held until it is gone: else nothing would know of it any more.
		if err := b.client.Delete(ctx, blobKey(k)); err != nil {
			return err
		}
		delete(b.held, k)
		b.stale = b.stale || known
		return nil
	}
	sealed := Seal(data)
	if err := b.client.Set(ctx, blobKey(k), sealed); err != nil {
		return err
	}
	b.held[k] = len(sealed)
	b.stale = b.stale || !known
	return nil
}

// Commit writes the index, if it has changed.
func (b *Blobs) Commit(ctx context.Context) error {
	if !b.stale {
		return nil
	}
	var index []byte
	for _, k := range b.Keys() {
		index = binary.LittleEndian.AppendUint64(index, k.Hi)
		index = binary.LittleEndian.AppendUint64(index, k.Lo)
	}
	if err := b.client.Set(ctx, blobIndex, Seal(index)); err != nil {
		return err
	}
	b.stale = false
	return nil
}

// Reset removes everything.
func (b *Blobs) Reset(ctx context.Context) error {
	for _, k := range b.Keys() {
		if err := b.Write(ctx, k, nil); err != nil {
			return err
		}
	}
	return b.Commit(ctx)
}
