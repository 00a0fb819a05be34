package redact

import (
	"io"
	"strings"
	"sync"
)

// longestWord is far beyond any token in any encoding.
const longestWord = 64 << 10

// Writer scrubs what is written through it. A token may be split over two
// writes, so the unfinished word at the end of a write is held back until the
// next write, Flush or Close. It is safe for concurrent use.
type Writer struct {
	mu       sync.Mutex
	out      io.Writer
	scrubber *Scrubber
	held     string
}

// NewWriter returns a Writer in front of out; s may be nil.
func NewWriter(out io.Writer, s *Scrubber) *Writer { return &Writer{out: out, scrubber: s} }

// Write accepts all of p unless the underlying writer fails.
func (w *Writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	text := w.held + string(p)
	cut := len(text) - unfinished(text)
	w.held = text[cut:]
	if err := w.emit(text[:cut]); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Flush writes what is held back, as when a prompt ends without a newline.
func (w *Writer) Flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	text := w.held
	w.held = ""
	return w.emit(text)
}

// Close flushes; the underlying writer stays open.
func (w *Writer) Close() error { return w.Flush() }

func (w *Writer) emit(text string) error {
	if text == "" {
		return nil
	}
	_, err := io.WriteString(w.out, w.scrubber.Scrub(text))
	return err
}

// unfinished returns how many bytes at the end may be the beginning of a
// secret: the last word, which no token outlives. A word beyond longestWord is
// let through, so that memory stays bounded.
func unfinished(text string) int {
	tail := len(text) - 1 - strings.LastIndexAny(text, " \t\r\n\"'`,;()[]{}<>|")
	if tail > longestWord {
		return 0
	}
	return tail
}
