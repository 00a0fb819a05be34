package iac

import (
	"bytes"
	"slices"

	"rekey/internal/lazyregexp"
)

// siteKind says what a parser saw at a place.
type siteKind int

const (
	siteField   siteKind = iota // a name with a value: variable, key, attribute
	siteCommand                 // the words of one command
	siteEcho                    // a command that prints, with what it prints
	siteBlock                   // a resource, module or output of Terraform
	siteMention                 // a phrase that says it all, such as a rails accessor
)

// site is a fact about a file: what stands where. It is not judged.
type site struct {
	kind  siteKind
	name  view     // of a field: its name; of a mention: the phrase; of a block: its type
	value view     // of a field; of a block: its label
	path  []string // the names around a field, outermost first
	words []word   // of a command
	text  string   // of a mention: which; of a command: how it was found
	pair  bool     // a field whose name is a value too: {name: X, value: Y}
	set   bool     // a field that assigns, rather than declares
	bare  bool     // an echo of nothing but a variable, as functions return values
	stdin view     // what a heredoc gives a command
	hasIn bool
	parts []site // fields of a block
}

// telling reports a site that a judge can have something to say of: of a million
// fields and commands few are.
func (s site) telling() bool {
	switch s.kind {
	case siteField:
		return tellingName.Match(s.name.orig)
	case siteCommand:
		return s.hasIn || slices.ContainsFunc(s.words, func(w word) bool {
			return bytes.HasPrefix(w.val.text, []byte("-")) || bytes.IndexByte(w.val.text, '=') >= 0 || tellingWord.Match(w.val.text)
		})
	}
	return true
}

// tellingName begins what a field is named that is judged, or that is judged beside
// another one; the default of a variable is.
var (
	tellingName = lazyregexp.New(`(?i)token|regist|runner|glrt|^default$`)
	tellingWord = lazyregexp.New(`(?i)register|runner|token`)
)

// word is one argument of a command.
type word struct {
	view      // as written, quotes included
	val  view // without its quotes
}

func wordOf(v view) word { return word{view: v, val: v.trim().unquote()} }
