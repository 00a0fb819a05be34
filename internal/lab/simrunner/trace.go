package simrunner

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"regexp"
	"strings"
	"sync"
)

// maxLine is how much of a line without an end is held back for masking.
const maxLine = 64 << 10

// trace collects a job's log, masked, and remembers how much of it the server
// has. It is written by the script and read by the reporter.
type trace struct {
	mask   *strings.Replacer
	tokens *regexp.Regexp // nil: no prefixes announced
	hold   int            // bytes kept back when a line has no end
	limit  int

	mu      sync.Mutex
	line    []byte // not yet masked: the last line, without its end
	data    []byte // masked
	clipped bool
}

// newTrace makes a trace that masks secrets (longest first) and whatever follows
// one of the token prefixes, and stops at limit bytes.
func newTrace(secrets, prefixes []string, limit int) *trace {
	t := &trace{limit: limit}
	var pairs []string
	for _, s := range secrets {
		pairs = append(pairs, s, "[MASKED]")
		t.hold = max(t.hold, len(s))
	}
	t.mask = strings.NewReplacer(pairs...)
	var quoted []string
	for _, p := range prefixes {
		if p != "" {
			quoted = append(quoted, regexp.QuoteMeta(p))
		}
	}
	if len(quoted) > 0 {
		t.tokens = regexp.MustCompile(`(` + strings.Join(quoted, "|") + `)[A-Za-z0-9_.=-]+`)
	}
	return t
}

// Write takes output. It masks by whole lines, so that no secret escapes because
// it was written in two pieces.
func (t *trace) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.line = append(t.line, p...)
	if end := bytes.LastIndexByte(t.line, '\n'); end >= 0 {
		t.emit(t.masked(t.line[:end+1]))
		t.line = append([]byte(nil), t.line[end+1:]...)
	}
	if len(t.line) > maxLine+t.hold {
		text := t.masked(t.line)
		cut := max(0, len(text)-t.hold)
		t.emit(text[:cut])
		t.line = []byte(text[cut:])
	}
	return len(p), nil
}

func (t *trace) printf(format string, args ...any) { _, _ = fmt.Fprintf(t, format, args...) }

// finish masks what is left of the last line.
func (t *trace) finish() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.emit(t.masked(t.line))
	t.line = nil
}

func (t *trace) masked(text []byte) string {
	out := string(text)
	if t.tokens != nil { // first: a masked piece would end a token early
		out = t.tokens.ReplaceAllString(out, "${1}[MASKED]")
	}
	return t.mask.Replace(out)
}

func (t *trace) emit(text string) {
	if t.clipped {
		return
	}
	if room := t.limit - len(t.data); len(text) > room {
		text = text[:max(0, room)] + fmt.Sprintf("\nJob's log exceeded limit of %d bytes.\nJob execution will continue but no more output will be collected.\n", t.limit)
		t.clipped = true
	}
	t.data = append(t.data, text...)
}

// from returns up to max bytes that start at offset; the result is not written
// to again.
func (t *trace) from(offset, max int) []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	if offset >= len(t.data) {
		return nil
	}
	end := min(offset+max, len(t.data))
	return t.data[offset:end:end]
}

// sum returns checksum and size as the final PUT tells them.
func (t *trace) sum() (checksum string, size int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return fmt.Sprintf("crc32:%08x", crc32.ChecksumIEEE(t.data)), len(t.data)
}
