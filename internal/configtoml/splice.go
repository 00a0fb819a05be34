package configtoml

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"time"

	"rekey"
)

// splice writes text over the bytes of at.
type splice struct {
	at   span
	text string
}

// spliced applies splices and returns the outcome parsed again, if intended
// finds nothing wrong with it.
func (d *Document) spliced(splices []splice, intended func(*Document) string) (*Document, error) {
	slices.SortStableFunc(splices, func(a, b splice) int { return a.at.start - b.at.start })
	var out bytes.Buffer
	from := 0
	for _, s := range splices {
		if s.at.start < from {
			return nil, rekey.Errorf(rekey.KindInternal, "two edits of config.toml overlap; nothing was changed")
		}
		out.Write(d.data[from:s.at.start])
		out.WriteString(s.text)
		from = s.at.end
	}
	out.Write(d.data[from:])
	next, err := Parse(out.Bytes())
	if err != nil {
		return nil, rekey.Errorf(rekey.KindInternal, "the edited config.toml would not load (%w); nothing was changed", err)
	}
	if next.layout.unknown != d.layout.unknown {
		return nil, rekey.Errorf(rekey.KindInternal, "the edited config.toml would be read in two ways; nothing was changed")
	}
	if wrong := intended(next); wrong != "" {
		return nil, rekey.Errorf(rekey.KindInternal, "the edit of config.toml would change %s; nothing was changed", wrong)
	}
	return next, nil
}

// verifyEdit checks that the changes, and nothing else, are in the new document.
// What it returns names the difference without a value.
func (d *Document) verifyEdit(changes map[int]Change) func(*Document) string {
	return func(next *Document) string {
		if !sameBut(d.tree, next.tree, "runners") {
			return "a global key"
		}
		before, after := runnersOf(d.tree), runnersOf(next.tree)
		if len(before) != len(after) {
			return "the number of sections"
		}
		for i := range before {
			c, changed := changes[i]
			if !changed && !same(before[i], after[i]) {
				return "another section"
			}
			if changed && !sameBut(before[i], after[i], c.keys()...) {
				return "another key of the section"
			}
			if changed && !c.holds(next.sections[i]) {
				return "the section to something else than asked"
			}
		}
		return ""
	}
}

func (c Change) keys() []string {
	var keys []string
	for f, set := range [fieldCount]bool{
		c.Name != nil, c.URL != nil, c.ID != nil, c.Token != nil, c.ObtainedAt != nil, c.ExpiresAt != nil,
	} {
		if set {
			keys = append(keys, fieldKeys[f])
		}
	}
	return keys
}

func (c Change) holds(s Section) bool {
	return (c.Name == nil || *c.Name == s.Name) &&
		(c.URL == nil || *c.URL == s.URL) &&
		(c.ID == nil || *c.ID == s.ID) &&
		(c.Token == nil || *c.Token == s.Token) &&
		(c.ObtainedAt == nil || c.ObtainedAt.Equal(s.ObtainedAt)) &&
		(c.ExpiresAt == nil || c.ExpiresAt.Equal(s.ExpiresAt))
}

// sameBut compares two tables without the keys given, whose case does not count.
func sameBut(a, b map[string]any, keys ...string) bool {
	ignored := func(key string) bool {
		return slices.ContainsFunc(keys, func(k string) bool { return strings.EqualFold(k, key) })
	}
	covers := func(a, b map[string]any) bool {
		for key, value := range a {
			if other, there := b[key]; !ignored(key) && (!there || !same(value, other)) {
				return false
			}
		}
		return true
	}
	return covers(a, b) && covers(b, a)
}

// same compares two decoded values.
func same(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		return ok && len(a) == len(b) && sameBut(a, b)
	case []map[string]any:
		b, ok := b.([]map[string]any)
		return ok && slices.EqualFunc(a, b, func(a, b map[string]any) bool { return same(a, b) })
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, same)
	case time.Time:
		b, ok := b.(time.Time)
		return ok && a.Equal(b) && a.Location().String() == b.Location().String()
	case float64:
		b, ok := b.(float64)
		return ok && math.Float64bits(a) == math.Float64bits(b)
	}
	return a == b
}
