package fleet

import (
	"bytes"
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"go.yaml.in/yaml/v4"

	"rekey"
	"rekey/internal/redact"
)

// entryOrder is the order in which a new entry has its fields.
var entryOrder = []string{"owner", "description", "created_by", "created_at", "rotated_at", "due", "expires_at", "keep", "note"}

// Set writes an entry: fields that are zero go, fields that did not change keep
// their text. KindInvalid for a value with control characters or that looks like
// a token.
func (l *Ledger) Set(e Entry) error {
	old, known := l.Entry(e.ID)
	for name, value := range e.texts() {
		if err := checkText(name, *value, name == "note"); err != nil {
			return err
		}
	}
	node := l.entryNode(e.ID)
	for _, name := range entryOrder {
		before, after := old.value(name), e.value(name)
		if !known || !same(before, after) {
			put(node, name, after)
		}
	}
	if len(node.Content) > 0 && node.Style == 0 {
		node.Tag = "!!map"
	}
	l.entries[e.ID] = e
	return nil
}

// Forget removes an entry and the comments that are its own; false if there was
// none.
func (l *Ledger) Forget(id rekey.RunnerID) bool {
	if _, ok := l.entries[id]; !ok {
		return false
	}
	delete(l.entries, id)
	for i := 0; i < len(l.runners.Content); i += 2 {
		if idOf(l.runners.Content[i]) == id {
			l.runners.Content = slices.Delete(l.runners.Content, i, i+2)
			break
		}
	}
	return true
}

// Bytes is the file, entries sorted by id, so that two people's changes meet
// rarely and a reviewer finds a runner. It is read back first: KindInvalid where
// odd YAML would come out as something else.
func (l *Ledger) Bytes() ([]byte, error) {
	root := l.document.Content[0]
	put(root, "gitlab", text(l.GitLab))
	if l.runners != nil {
		l.sort()
	}
	data, err := yaml.Dump(&l.document, yaml.WithIndent(2))
	if err != nil {
		return nil, rekey.Errorf(rekey.KindInternal, "write the owners file: %w", err)
	}
	data = append(bytes.TrimRight(data, "\n"), '\n')
	again, err := ParseLedger(data)
	if err != nil || !slices.Equal(again.Entries(), l.Entries()) {
		return nil, rekey.Errorf(rekey.KindInvalid, "the owners file is written in a way that does not survive a change").
			WithHint("make this change by hand, or write the file in plain block style without tags")
	}
	return data, nil
}

func (l *Ledger) sort() {
	var list []pair
	for i := 0; i < len(l.runners.Content); i += 2 {
		p := pair{l.runners.Content[i], l.runners.Content[i+1]}
		if p.value.Kind != yaml.MappingNode { // "4711:" with nothing beneath, which would be written as a text
			p.value = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", LineComment: p.value.LineComment}
		}
		list = append(list, p)
	}
	slices.SortStableFunc(list, func(a, b pair) int { return cmp.Compare(idOf(a.key), idOf(b.key)) })
	l.runners.Content = l.runners.Content[:0]
	for _, p := range list {
		l.runners.Content = append(l.runners.Content, p.key, p.value)
	}
}

func idOf(key *yaml.Node) rekey.RunnerID {
	id, _ := strconv.ParseInt(key.Value, 10, 64)
	return rekey.RunnerID(id)
}

// entryNode finds or makes the mapping of an entry.
func (l *Ledger) entryNode(id rekey.RunnerID) *yaml.Node {
	if l.runners == nil {
		l.runners = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
		put(l.document.Content[0], "runners", l.runners)
	}
	for i := 0; i < len(l.runners.Content); i += 2 {
		if idOf(l.runners.Content[i]) != id {
			continue
		}
		if l.runners.Content[i+1].Kind != yaml.MappingNode { // "4711:" with nothing beneath
			l.runners.Content[i+1] = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
		}
		return l.runners.Content[i+1]
	}
	node := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	key := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: strconv.FormatInt(int64(id), 10)}
	l.runners.Content = append(l.runners.Content, key, node)
	return node
}

// value is a field as a node, nil for one that is zero.
func (e *Entry) value(name string) *yaml.Node {
	if t, ok := e.texts()[name]; ok && *t != "" {
		return text(*t)
	}
	if t, ok := e.times()[name]; ok && !t.IsZero() {
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!timestamp", Value: DayText(t.Truncate(time.Second))}
	}
	if name == "keep" && e.Keep {
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: "true"}
	}
	return nil
}

func same(a, b *yaml.Node) bool {
	return a == nil && b == nil || a != nil && b != nil && a.Value == b.Value
}

func text(value string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: value}
}

// put sets a field, keeping the comments of the one before; nil removes it.
func put(mapping *yaml.Node, name string, value *yaml.Node) {
	for i := 0; i < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value != name {
			continue
		}
		if value == nil {
			mapping.Content = slices.Delete(mapping.Content, i, i+2)
			return
		}
		if old := mapping.Content[i+1]; old != value {
			value.LineComment, value.HeadComment, value.FootComment = old.LineComment, old.HeadComment, old.FootComment
		}
		mapping.Content[i+1] = value
		return
	}
	if value != nil {
		mapping.Content = append(mapping.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: name}, value)
	}
}

func checkText(name, value string, lines bool) error {
	if redact.Scrub(value) != value {
		return rekey.Errorf(rekey.KindInvalid, "%s looks like a token, and no token belongs into the owners file", name)
	}
	odd := func(r rune) bool { return unicode.IsControl(r) && !(lines && (r == '\n' || r == '\t')) }
	if strings.ContainsFunc(value, odd) || strings.ToValidUTF8(value, "") != value {
		return rekey.Errorf(rekey.KindInvalid, "%s holds a character that is no text", name)
	}
	return nil
}
