package auditchain

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Write writes records as lines of JSON.
func Write(w io.Writer, records ...Record) error {
	for _, r := range records {
		line, err := encode(r)
		if err != nil {
			return fmt.Errorf("write record %d: %w", r.Seq, err)
		}
		if _, err := w.Write(line); err != nil {
			return fmt.Errorf("write record %d: %w", r.Seq, err)
		}
	}
	return nil
}

// encode returns the one way to write a record, with its line feed.
func encode(r Record) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	r.Time = storable(r.Time)
	err := e.Encode(r)
	return b.Bytes(), err
}

// Reader reads lines of JSON. It takes nothing but what [Write] writes: a name that comes twice or is not known, or another way
// to write the same, would be seen by people and not by the hash.
type Reader struct {
	r    *bufio.Reader
	max  int
	line int
	err  error
}

// NewReader reads lines of up to maxLine bytes.
func NewReader(r io.Reader, maxLine int) *Reader {
	return &Reader{r: bufio.NewReader(r), max: maxLine}
}

// Line is the number of the line that was read last, from 1.
func (r *Reader) Line() int { return r.line }

// Next returns the next record, io.EOF behind the last, or what is wrong with its line. After an error there is no more.
func (r *Reader) Next() (Record, error) {
	if r.err != nil {
		return Record{}, r.err
	}
	rec, err := r.next()
	if err != nil {
		r.err = err
		return Record{}, err
	}
	return rec, nil
}

func (r *Reader) next() (Record, error) {
	line, err := r.read()
	if errors.Is(err, io.EOF) && len(line) == 0 {
		return Record{}, io.EOF
	}
	r.line++
	if err != nil && !errors.Is(err, io.EOF) {
		return Record{}, fmt.Errorf("line %d: %w", r.line, err)
	}
	var rec Record
	if jsonErr := json.Unmarshal(line, &rec); jsonErr != nil {
		if err != nil {
			jsonErr = fmt.Errorf("it was cut off: %w", jsonErr)
		}
		return Record{}, fmt.Errorf("line %d: %w", r.line, jsonErr)
	}
	again, jsonErr := encode(rec)
	if jsonErr != nil {
		return Record{}, fmt.Errorf("line %d: %w", r.line, jsonErr)
	}
	if !bytes.Equal(bytes.TrimSuffix(line, []byte("\n")), bytes.TrimSuffix(again, []byte("\n"))) {
		return Record{}, fmt.Errorf("line %d: it must be written as the audit is written, with each name once, in order, and nothing else", r.line)
	}
	return rec, nil
}

// read returns the next line with its line feed; the last one may be without.
func (r *Reader) read() ([]byte, error) {
	var line []byte
	for {
		part, err := r.r.ReadSlice('\n')
		line = append(line, part...)
		if len(line) > r.max {
			return nil, fmt.Errorf("it must be at most %d bytes long", r.max)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
	}
}
