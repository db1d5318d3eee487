package anomalystate

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

const fileMagic = "PARANOM\x01"

// fileShard is the size past which a file's next stream begins a new shard: what one damaged byte costs.
const fileShard = 1 << 20

// FileWriter writes a portable file.
type FileWriter struct {
	out    *bufio.Writer
	shards uint32
	header Header
	shard  ShardWriter
}

// NewFileWriter begins a file of streams under one header.
func NewFileWriter(out io.Writer, h Header) (*FileWriter, error) {
	w := &FileWriter{out: bufio.NewWriterSize(out, 1<<16), header: h}
	w.header.Shard = 0
	w.shard.Begin(w.header)
	_, err := w.out.WriteString(fileMagic)
	return w, err
}

// Add appends a stream.
func (w *FileWriter) Add(s *Stream) error {
	if !w.shard.Add(s) {
		return fmt.Errorf("stream %s is larger than a record can be", s.Key)
	}
	if w.shard.Size() < fileShard {
		return nil
	}
	return w.flush()
}

func (w *FileWriter) flush() error {
	shard := w.shard.End()
	w.shards++
	_, err := w.out.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(shard)))) //nolint:gosec // at most MaxShard
	if err == nil {
		_, err = w.out.Write(shard)
	}
	w.shard.Begin(w.header)
	return err
}

// Close completes the file; it does not close what it writes to.
func (w *FileWriter) Close() error {
	if w.shard.Streams() > 0 {
		if err := w.flush(); err != nil {
			return err
		}
	}
	end := binary.LittleEndian.AppendUint32(make([]byte, 4), w.shards)
	if _, err := w.out.Write(end); err != nil {
		return err
	}
	return w.out.Flush()
}

// ReadFile shows visit every stream of a portable file. A shard that cannot be used is reported to damaged, and the rest
// goes on; a file that ends early is an error after everything before its end was shown. An error of visit ends it.
func ReadFile(in io.Reader, visit func(*Header, *Stream) error, damaged func(error)) error {
	r := bufio.NewReaderSize(in, 1<<16)
	start := make([]byte, len(fileMagic))
	if _, err := io.ReadFull(r, start); err != nil {
		return fmt.Errorf("%w file: %w", ErrCorrupt, err)
	}
	if string(start) != fileMagic {
		return fmt.Errorf("%w: this is no file of learnt state of format 1", ErrForeign)
	}
	var buf []byte
	for shards := uint32(0); ; shards++ {
		n, err := length(r)
		if err != nil {
			return err
		}
		if n == 0 {
			total, err := length(r)
			if err == nil && total != shards {
				err = fmt.Errorf("%w file: %d shards, not %d", ErrCorrupt, shards, total)
			}
			return err
		}
		if n > MaxShard {
			return fmt.Errorf("%w file: a shard of %d bytes", ErrCorrupt, n)
		}
		if buf, err = read(r, buf[:0], int(n)); err != nil {
			return fmt.Errorf("%w file: %w", ErrCorrupt, err)
		}
		var stop error
		_, err = DecodeShard(buf, func(h *Header, s *Stream) error {
			stop = visit(h, s)
			return stop
		})
		switch {
		case stop != nil:
			return stop
		case err != nil:
			damaged(err)
		}
	}
}

func length(r io.Reader) (uint32, error) {
	var b [4]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return 0, fmt.Errorf("%w file: it ends early: %w", ErrCorrupt, err)
	}
	return binary.LittleEndian.Uint32(b[:]), nil
}

// read appends n bytes to buf, growing it no faster than they come: a length alone takes no memory.
func read(r io.Reader, buf []byte, n int) ([]byte, error) {
	const step = 1 << 20
	for len(buf) < n {
		part := min(step, n-len(buf))
		at := len(buf)
		buf = append(buf, make([]byte, part)...)
		if _, err := io.ReadFull(r, buf[at:]); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return buf[:0], err
		}
	}
	return buf, nil
}
