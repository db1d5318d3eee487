package otlpjsonl

import (
	"container/heap"
	"errors"
	"io"
	"math"
	"sync"

	"go.opentelemetry.io/collector/pdata/pcommon"
)

// ErrClosed is what Next returns once the Merger was closed.
var ErrClosed = errors.New("reader is closed")

// Merger delivers the lines of many files in the order of event time. Ties go by the order of the
// files, then of the lines, so two runs deliver the same.
type Merger struct {
	files []*file
	wg    sync.WaitGroup
	done  chan struct{}
	close sync.Once

	heads byTime  // at most one batch of each file
	empty []*file // files to be asked before the next batch is chosen
}

// file is one source with the goroutine that decodes it.
type file struct {
	path     string
	index    int
	src      *source
	opts     Options
	from, to pcommon.Timestamp
	out      chan Batch

	mu sync.Mutex
	// mu guards everything below.
	stats Stats
}

// Open opens all files and starts reading ahead, one goroutine a file. The Merger must be closed.
func Open(paths []string, opts Options) (*Merger, error) {
	if err := opts.Validate(); err != nil {
		return nil, err
	}
	m := &Merger{done: make(chan struct{})}
	from, to := bounds(opts)
	for i, path := range paths {
		src, err := openSource(path, opts.MaxLineBytes)
		if err != nil {
			for _, f := range m.files {
				err = errors.Join(err, f.src.close())
			}
			return nil, err
		}
		m.files = append(m.files, &file{
			path: path, index: i, src: src, opts: opts, from: from, to: to, out: make(chan Batch, opts.Ahead),
		})
	}
	m.empty = append(m.empty, m.files...)
	for _, f := range m.files {
		m.wg.Go(func() { f.run(m.done) })
	}
	return m, nil
}

func bounds(opts Options) (from, to pcommon.Timestamp) {
	to = math.MaxUint64
	if !opts.From.IsZero() {
		from = pcommon.NewTimestampFromTime(opts.From)
	}
	if !opts.To.IsZero() {
		to = pcommon.NewTimestampFromTime(opts.To)
	}
	return from, to
}

// Next waits for the next batch. It returns io.EOF after the last one and ErrClosed after Close.
// It is for one goroutine; Close, Stats and Progress are for any.
func (m *Merger) Next() (Batch, error) {
	select {
	case <-m.done:
		return Batch{}, ErrClosed
	default:
	}
	for len(m.empty) > 0 {
		f := m.empty[len(m.empty)-1]
		select {
		case b, ok := <-f.out:
			if ok {
				heap.Push(&m.heads, b)
			}
			m.empty = m.empty[:len(m.empty)-1]
		case <-m.done:
			return Batch{}, ErrClosed
		}
	}
	if len(m.heads) == 0 {
		return Batch{}, io.EOF
	}
	b := heap.Pop(&m.heads).(Batch)
	m.empty = append(m.empty, m.files[b.File])
	return b, nil
}

// Close stops the reading, waits for its goroutines and closes the files.
func (m *Merger) Close() error {
	var err error
	m.close.Do(func() {
		close(m.done)
		for _, f := range m.files {
			err = errors.Join(err, f.src.close()) // ends a read that waits, as from a pipe
		}
		m.wg.Wait()
		for _, f := range m.files {
			if f.src.zstd != nil {
				f.src.zstd.Close()
			}
		}
	})
	m.wg.Wait()
	return err
}

func (f *file) run(done <-chan struct{}) {
	defer close(f.out)
	w := window{maxLines: f.opts.WindowLines, maxBytes: f.opts.WindowBytes}
	send := func() bool {
		b := w.release()
		if b.Late {
			f.count(func(s *Stats) { s.Late++ })
		}
		select {
		case f.out <- b:
			return true
		case <-done:
			return false
		}
	}
	var last pcommon.Timestamp
	for {
		line, err := f.src.next()
		if errors.Is(err, errTooLong) {
			f.problem(err, func(s *Stats) { s.TooLong++ })
			continue
		}
		if err != nil {
			if !errors.Is(err, io.EOF) && !isDone(done) {
				f.problem(err, func(s *Stats) { s.Unreadable++ })
			}
			break
		}
		b, ok := f.decode(line)
		if !ok {
			continue
		}
		if b.Undated {
			b.Time, b.First = last, last
		}
		last = b.Time
		for w.add(b); w.over(); {
			if !send() {
				return
			}
		}
		if isDone(done) {
			return
		}
	}
	for len(w.waiting) > 0 {
		if !send() {
			return
		}
	}
}

func isDone(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}

// decode also cuts; it says false when nothing is left to deliver.
func (f *file) decode(line []byte) (Batch, bool) {
	b, err := Decode(line, f.opts.MaxDepth)
	if err != nil {
		f.problem(err, func(s *Stats) { s.Broken++ })
		return Batch{}, false
	}
	b.File, b.Line = f.index, f.src.number
	before := b.Items
	if !f.opts.From.IsZero() || !f.opts.To.IsZero() {
		if b.First < f.from || b.Time >= f.to || b.undated > 0 {
			b.cut(f.from, f.to)
		}
	}
	f.count(func(s *Stats) {
		s.Lines++
		s.Items[b.Signal] += int64(b.Items)
		s.Cut += int64(before - b.Items)
		if before == 0 {
			s.Empty++
		} else if b.Undated && b.Items > 0 {
			s.Undated++
		}
	})
	return b, b.Items > 0
}

func (f *file) count(change func(*Stats)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(&f.stats)
}

func (f *file) problem(err error, change func(*Stats)) {
	f.count(func(s *Stats) {
		change(s)
		if len(s.Problems) < f.opts.MaxProblems {
			s.Problems = append(s.Problems, Problem{Path: f.path, Line: f.src.number, Err: err})
		}
	})
}

// Progress is how many bytes of the files were read, as they lie on disk, and how many there are.
// Both leave out what has no size, such as pipes.
func (m *Merger) Progress() (read, total int64) {
	for _, f := range m.files {
		if f.src.size > 0 {
			read += f.src.read.Load()
			total += f.src.size
		}
	}
	return min(read, total), total
}
