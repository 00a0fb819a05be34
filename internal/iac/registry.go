package iac

import (
	"fmt"
	"slices"
	"strings"

	"rekey"
)

// DocsDir is where the pages of the audit's findings are, relative to the
// repository's root and with a trailing slash.
const DocsDir = "docs/audit/"

// Entry is what is written down about one slug. Every field is filled,
// Fix where Fixable is.
type Entry struct {
	Slug     Slug
	Severity rekey.Severity // unless the target's version says otherwise
	Meaning  string         // one sentence
	Why      string         // what it leads to
	Remedy   string         // imperative
	Known    string         // how the audit knows, and what it leaves in peace
	Fixable  bool           // a rewriting is possible in principle
	Fix      string         // what --fix does, "" where it does nothing
}

// Docs returns the path of the slug's page.
func (e Entry) Docs() string { return DocsDir + string(e.Slug) + ".md" }

// Code is the slug in capitals, as policies write it.
func (e Entry) Code() string {
	return strings.ToUpper(strings.ReplaceAll(string(e.Slug), "-", "_"))
}

// Registry returns every slug, gravest first. The slice is the caller's.
func Registry() []Entry { return slices.Clone(registry) }

// LookupEntry returns the entry of a slug.
func LookupEntry(slug Slug) (Entry, bool) {
	if i := rank(slug); i < len(registry) {
		return registry[i], true
	}
	return Entry{}, false
}

func rank(slug Slug) int {
	for i, e := range registry {
		if e.Slug == slug {
			return i
		}
	}
	return len(registry)
}

func entryOf(slug Slug) Entry {
	e, ok := LookupEntry(slug)
	if !ok {
		panic(fmt.Sprintf("iac: %s is judged but not registered", slug))
	}
	return e
}
