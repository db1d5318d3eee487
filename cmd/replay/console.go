package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
)

const drawEvery = 200 * time.Millisecond

// console writes the progress line and notes, one at a time.
type console struct {
	terminal bool
	width    func() int

	mu sync.Mutex
	// mu guards everything below.
	to    io.Writer
	drawn bool
}

func newConsole(to io.Writer) *console {
	c := &console{to: to}
	if f, ok := to.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		c.terminal = true
		c.width = func() int {
			if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 0 {
				return w
			}
			return 80
		}
	}
	return c
}

func (c *console) note(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wipe()
	fmt.Fprintf(c.to, "replay: "+format+"\n", args...)
}

func (c *console) progress(line string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fmt.Fprint(c.to, "\r", line, "\x1b[K")
	c.drawn = true
}

func (c *console) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wipe()
}

func (c *console) wipe() {
	if c.drawn {
		fmt.Fprint(c.to, "\r\x1b[K")
		c.drawn = false
	}
}

// draw shows the progress until done is closed.
func (r *replay) draw(done <-chan struct{}) {
	ticker := time.NewTicker(drawEvery)
	defer ticker.Stop()
	for {
		select {
		case <-done:
			return
		case now := <-ticker.C:
			r.screen.progress(r.progressLine(now, r.screen.width()))
		}
	}
}

func (r *replay) progressLine(now time.Time, width int) string {
	read, size := r.merger.Progress()
	r.mu.Lock()
	total, stuck := r.tally.total(), r.tally.stuck
	r.mu.Unlock()
	n := total.accepted + total.rejected
	if r.exporter == nil {
		n = total.read
	}
	text := fmt.Sprintf(" %s  %d items  %.0f items/s", formatTime(total.last), n, float64(n)/now.Sub(r.started).Seconds())
	if total.rejected > 0 {
		text += fmt.Sprintf("  %d rejected", total.rejected)
	}
	if stuck {
		text += "  waiting for the receiver"
	}
	return bar(read, size, text, width)
}

// bar puts a bar before the text, as wide as there is room for, and keeps to one line.
func bar(read, size int64, text string, width int) string {
	share := 0.0
	if size > 0 {
		share = float64(read) / float64(size)
		text = fmt.Sprintf(" %3.0f%%%s", 100*share, text)
	}
	room := min(width-1-len(text)-2, 40)
	if size > 0 && room >= 5 {
		full := int(share * float64(room))
		text = "[" + strings.Repeat("=", full) + strings.Repeat(" ", room-full) + "]" + text
	}
	return text[:max(0, min(len(text), width-1))]
}
