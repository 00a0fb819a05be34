package redact

import (
	"context"
	"fmt"
	"log/slog"
)

// handler scrubs records before the handler it wraps sees them.
type handler struct {
	next     slog.Handler
	scrubber *Scrubber
}

// NewHandler wraps next so that messages, attribute keys and values, groups and
// errors pass it without token shapes and without the secrets s knows. A value
// that is not a number, a time or a boolean is logged as its scrubbed text.
func NewHandler(next slog.Handler, s *Scrubber) slog.Handler {
	return &handler{next: next, scrubber: s}
}

// Enabled asks the wrapped handler.
func (h *handler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

// Handle passes a scrubbed copy on.
func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	clean := slog.NewRecord(r.Time, r.Level, h.scrubber.Scrub(r.Message), r.PC)
	r.Attrs(func(a slog.Attr) bool {
		clean.AddAttrs(h.attr(a))
		return true
	})
	return h.next.Handle(ctx, clean)
}

// WithAttrs scrubs the attributes once.
func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &handler{next: h.next.WithAttrs(h.attrs(attrs)), scrubber: h.scrubber}
}

// WithGroup opens a group of the wrapped handler.
func (h *handler) WithGroup(name string) slog.Handler {
	return &handler{next: h.next.WithGroup(h.scrubber.Scrub(name)), scrubber: h.scrubber}
}

func (h *handler) attrs(attrs []slog.Attr) []slog.Attr {
	clean := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		clean[i] = h.attr(a)
	}
	return clean
}

func (h *handler) attr(a slog.Attr) slog.Attr {
	v := a.Value.Resolve()
	switch v.Kind() {
	case slog.KindString:
		v = slog.StringValue(h.scrubber.Scrub(v.String()))
	case slog.KindGroup:
		v = slog.GroupValue(h.attrs(v.Group())...)
	case slog.KindAny:
		v = slog.StringValue(h.scrubber.Scrub(text(v.Any())))
	}
	return slog.Attr{Key: h.scrubber.Scrub(a.Key), Value: v}
}

// text formats v; bytes as the text they hold, since their numbers would hide a
// token from the scrubber and not from a reader.
func text(v any) string {
	if raw, ok := v.([]byte); ok {
		return string(raw)
	}
	return fmt.Sprintf("%+v", v)
}
