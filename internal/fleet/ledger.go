package fleet

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"rekey"
)

// LedgerSchema is what a ledger calls itself.
const LedgerSchema = "rekey.owners/1"

// LedgerFile is the usual name of a ledger.
const LedgerFile = "runners.owners.yaml"

// ledgerLimit bounds a ledger: 100,000 runners fit several times.
const ledgerLimit = 64 << 20

// Entry is what people wrote down about one runner. Zero fields were not.
type Entry struct {
	ID          rekey.RunnerID
	Owner       string // a person, a team or an address
	Description string // as GitLab had it when the entry was written
	CreatedBy   string // username
	CreatedAt   time.Time
	RotatedAt   time.Time // its token was changed last
	Due         time.Time // when it is to be changed next
	ExpiresAt   time.Time // when GitLab ends it
	Keep        bool      // no prune may delete it
	Note        string
}

// Ledger is a file of owners: entries, and everything else that people wrote into
// it. Comments, the order of keys and fields whose names begin with "x-" survive
// a change; blank lines between entries do not. It is not safe for concurrent use.
type Ledger struct {
	// GitLab is the base URL that the ids belong to; "" before the first change.
	GitLab string

	document yaml.Node
	runners  *yaml.Node // the mapping of entries; nil before the first one
	entries  map[rekey.RunnerID]Entry
}

// NewLedger is an empty one for the GitLab at a base URL.
func NewLedger(gitlab string) *Ledger {
	root := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", HeadComment: "# Who owns which runner, and when its token was changed. `rekey runner owner`\n# keeps this file sorted; edit it by hand as you like. No token belongs here."}
	put(root, "schema", text(LedgerSchema))
	put(root, "gitlab", text(gitlab))
	return &Ledger{GitLab: gitlab, document: yaml.Node{Kind: yaml.DocumentNode, Content: []*yaml.Node{root}}, entries: map[rekey.RunnerID]Entry{}}
}

// ParseLedger reads a ledger. What it does not understand is KindInvalid with the
// line: broken YAML, a runner named twice, a field it does not know, a value that
// is no date, an alias.
func ParseLedger(data []byte) (*Ledger, error) {
	if len(data) > ledgerLimit {
		return nil, rekey.Errorf(rekey.KindInvalid, "the owners file is larger than %d MiB", ledgerLimit>>20)
	}
	l := &Ledger{entries: map[rekey.RunnerID]Entry{}}
	if err := yaml.Load(data, &l.document); err != nil {
		return nil, rekey.Errorf(rekey.KindInvalid, "the owners file is no YAML: %w", err).WithHint("mend it by hand, or restore it from version control")
	}
	if err := l.read(); err != nil {
		return nil, err
	}
	return l, nil
}

func (l *Ledger) read() error {
	if len(l.document.Content) != 1 || l.document.Content[0].Kind != yaml.MappingNode {
		return broken(&l.document, "it is no mapping with schema, gitlab and runners")
	}
	fields, err := pairs(l.document.Content[0])
	if err != nil {
		return err
	}
	schema := ""
	for _, f := range fields {
		switch name := f.key.Value; {
		case name == "schema":
			schema = f.value.Value
		case name == "gitlab":
			l.GitLab = f.value.Value
		case name == "runners" && f.value.Kind == yaml.MappingNode:
			l.runners = f.value
		case name == "runners" && f.value.Tag == "!!null":
		case name == "runners":
			return broken(f.value, "runners is no mapping from ids to entries")
		case !strings.HasPrefix(name, "x-"):
			return broken(f.key, "the field %q is not known; begin your own fields with x-", name)
		}
	}
	if schema != LedgerSchema {
		return broken(l.document.Content[0], "its schema is %q, want %s", schema, LedgerSchema)
	}
	return l.readEntries()
}

func (l *Ledger) readEntries() error {
	if l.runners == nil {
		return nil
	}
	if len(l.runners.Content) == 0 {
		l.runners.Style = 0
	}
	at := map[rekey.RunnerID]int{}
	for i := 0; i < len(l.runners.Content); i += 2 {
		key, value := l.runners.Content[i], l.runners.Content[i+1]
		id, err := strconv.ParseInt(key.Value, 10, 64)
		if err != nil || id < 1 {
			return broken(key, "%q is not a runner id", key.Value)
		}
		if first, twice := at[rekey.RunnerID(id)]; twice {
			return broken(key, "runner %d is named twice: the first time on line %d", id, first)
		}
		at[rekey.RunnerID(id)] = key.Line
		e, err := entry(rekey.RunnerID(id), value)
		if err != nil {
			return err
		}
		l.entries[e.ID] = e
	}
	return nil
}

func entry(id rekey.RunnerID, node *yaml.Node) (Entry, error) {
	e := Entry{ID: id}
	if node.Tag == "!!null" {
		return e, nil
	}
	if node.Kind != yaml.MappingNode {
		return e, broken(node, "runner %d is no mapping of fields", id)
	}
	fields, err := pairs(node)
	if err != nil {
		return e, err
	}
	for _, f := range fields {
		if err := e.take(f); err != nil {
			return e, err
		}
	}
	return e, nil
}

func (e *Entry) take(f pair) error {
	name := f.key.Value
	if strings.HasPrefix(name, "x-") {
		return nil
	}
	if f.value.Kind != yaml.ScalarNode {
		return broken(f.value, "%s of runner %d is not a single value", name, e.ID)
	}
	if t, ok := e.texts()[name]; ok {
		if f.value.Tag != "!!null" {
			*t = f.value.Value
		}
		return nil
	}
	if t, ok := e.times()[name]; ok {
		if f.value.Value == "" || f.value.Tag == "!!null" {
			return nil
		}
		at, err := ParseDay(f.value.Value)
		*t = at
		if err != nil {
			return broken(f.value, "%s of runner %d: %v", name, e.ID, err)
		}
		return nil
	}
	if name == "keep" && (f.value.Value == "" || f.value.Tag == "!!null") {
		return nil
	}
	if name == "keep" {
		keep, err := strconv.ParseBool(f.value.Value)
		e.Keep = keep
		if err != nil {
			return broken(f.value, "keep of runner %d is neither true nor false", e.ID)
		}
		return nil
	}
	return broken(f.key, "the field %q of runner %d is not known; begin your own fields with x-", name, e.ID)
}

func (e *Entry) texts() map[string]*string {
	return map[string]*string{"owner": &e.Owner, "description": &e.Description, "created_by": &e.CreatedBy, "note": &e.Note}
}

func (e *Entry) times() map[string]*time.Time {
	return map[string]*time.Time{"created_at": &e.CreatedAt, "rotated_at": &e.RotatedAt, "due": &e.Due, "expires_at": &e.ExpiresAt}
}

// Entry returns the entry of a runner, if there is one.
func (l *Ledger) Entry(id rekey.RunnerID) (Entry, bool) {
	e, ok := l.entries[id]
	if !ok {
		return Entry{ID: id}, false
	}
	return e, true
}

// Entries returns all entries by id.
func (l *Ledger) Entries() []Entry {
	var list []Entry
	for _, e := range l.entries {
		list = append(list, e)
	}
	slices.SortFunc(list, func(a, b Entry) int { return cmp.Compare(a.ID, b.ID) })
	return list
}

type pair struct{ key, value *yaml.Node }

// pairs are the fields of a mapping; YAML's aliases and merges are refused: who
// reviews a change should see all of it.
func pairs(mapping *yaml.Node) ([]pair, error) {
	var list []pair
	seen := map[string]bool{}
	for i := 0; i < len(mapping.Content); i += 2 {
		p := pair{mapping.Content[i], mapping.Content[i+1]}
		switch {
		case p.key.Kind != yaml.ScalarNode || p.key.Tag == "!!merge":
			return nil, broken(p.key, "a key is not a plain word")
		case p.value.Kind == yaml.AliasNode:
			return nil, broken(p.value, "aliases are not read")
		case seen[p.key.Value]:
			return nil, broken(p.key, "%s is given twice", p.key.Value)
		}
		seen[p.key.Value] = true
		list = append(list, p)
	}
	return list, nil
}

func broken(at *yaml.Node, format string, args ...any) *rekey.Error {
	return rekey.Errorf(rekey.KindInvalid, "the owners file, line %d: %s", max(1, at.Line), fmt.Sprintf(format, args...)).
		WithHint("mend it by hand; `rekey` does not change a file that it does not understand")
}
