package otlpjsonl

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// zstdMaxWindow is the largest window a zstd stream may ask for, the default limit of the zstd command.
const zstdMaxWindow = 128 << 20

var errTooLong = errors.New("line is longer than the limit")

// source reads the lines of one file, whatever it is compressed with.
type source struct {
	file    *os.File
	size    int64
	read    atomic.Int64 // bytes of the file as it lies on disk
	content *bufio.Reader
	zstd    *zstd.Decoder

	max    int
	line   []byte
	number int64
}

func openSource(path string, maxLine int) (*source, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	s := &source{file: file, max: maxLine}
	info, err := file.Stat()
	if err == nil && info.IsDir() {
		err = fmt.Errorf("%s is a folder", path)
	}
	if err == nil {
		if info.Mode().IsRegular() {
			s.size = info.Size()
		}
		err = s.detect()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", path, err), file.Close())
	}
	return s, nil
}

// detect looks at the first bytes: names of files lie.
func (s *source) detect() error {
	raw := bufio.NewReaderSize(countingReader{s.file, &s.read}, 256<<10)
	head, err := raw.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	switch {
	case len(head) >= 2 && head[0] == 0x1f && head[1] == 0x8b:
		plain, err := gzip.NewReader(raw)
		if err != nil {
			return err
		}
		s.content = bufio.NewReaderSize(plain, 256<<10)
	case isZstd(head):
		// One at a time: the decoder then starts no goroutine.
		s.zstd, err = zstd.NewReader(raw, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(zstdMaxWindow))
		if err != nil {
			return err
		}
		s.content = bufio.NewReaderSize(s.zstd, 256<<10)
	default:
		s.content = raw
	}
	return nil
}

func isZstd(head []byte) bool {
	if len(head) < 4 {
		return false
	}
	magic := binary.LittleEndian.Uint32(head)
	return magic == 0xFD2FB528 || magic&^0xF == 0x184D2A50 // a frame, or one to be skipped
}

var byteOrderMark = []byte("\xef\xbb\xbf")

// next returns the next line that is not blank, without its end. It is good until the next call.
// After errTooLong reading goes on behind that line; other errors are the end.
func (s *source) next() ([]byte, error) {
	for {
		line, err := s.readLine()
		if err != nil {
			return nil, err
		}
		if s.number == 1 {
			line = bytes.TrimPrefix(line, byteOrderMark)
		}
		if line = bytes.TrimSpace(line); len(line) > 0 {
			return line, nil
		}
	}
}

func (s *source) readLine() ([]byte, error) {
	s.line = s.line[:0]
	s.number++
	tooLong := false
	for {
		part, err := s.content.ReadSlice('\n')
		if !tooLong && len(s.line)+len(bytes.TrimRight(part, "\r\n")) > s.max {
			tooLong = true
		}
		if !tooLong {
			if err == nil && len(s.line) == 0 {
				return part, nil
			}
			s.line = append(s.line, part...)
		}
		switch {
		case err == nil || errors.Is(err, io.EOF) && (len(s.line) > 0 || tooLong):
			if tooLong {
				return nil, errTooLong
			}
			return s.line, nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		}
	}
}

func (s *source) close() error {
	err := s.file.Close()
	if errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}

type countingReader struct {
	from  io.Reader
	count *atomic.Int64
}

func (r countingReader) Read(p []byte) (int, error) {
	n, err := r.from.Read(p)
	r.count.Add(int64(n))
	return n, err
}
