package simrunner

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
)

// lineLog writes lines as gitlab-runner's default log format does: level
// prefix, message padded to column 50, then key=value by key.
type lineLog struct {
	mu sync.Mutex
	w  io.Writer
}

type field struct {
	key   string
	value any
}

func (l *lineLog) info(message string, fields ...field) { l.line("", message, fields) }

func (l *lineLog) warn(message string, fields ...field) { l.line("WARNING: ", message, fields) }

func (l *lineLog) error(message string, fields ...field) { l.line("ERROR: ", message, fields) }

func (l *lineLog) line(prefix, message string, fields []field) {
	fields = slices.Clone(fields)
	slices.SortFunc(fields, func(a, b field) int { return cmp.Compare(a.key, b.key) })
	var b strings.Builder
	fmt.Fprintf(&b, "%-50s ", prefix+message)
	for _, f := range fields {
		fmt.Fprintf(&b, " %s=%v", f.key, f.value)
	}
	b.WriteByte('\n')
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = io.WriteString(l.w, b.String())
}

// lockedWriter serialises the lines of several runners.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}
