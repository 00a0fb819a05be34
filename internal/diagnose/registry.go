package diagnose

import (
	"fmt"
	"slices"
	"strings"

	"rekey"
)

// DocsDir is where the findings' pages are, relative to the repository's root
// and with a trailing slash; a published address may be put before it.
const DocsDir = "docs/findings/"

// Entry is what is written down about one cause. Every field but Symptom and Explains is
// filled; a test refuses an incomplete one.
type Entry struct {
	Cause     rekey.Cause
	Meaning   string         // one sentence
	Symptom   string         // what people see who have it, "" for nothing of its own
	Severity  rekey.Severity // unless the evidence says otherwise
	Remedy    string         // imperative: the rekey command, and the way by hand
	Known     string         // how doctor knows
	ByHand    string         // the repair without rekey
	ByRekey   string         // what rekey does about it
	UserToken string         // whether a user token is needed to tell, and with which right
	// Explains names the causes that are only a consequence where both are
	// seen in one section; they are nested in this one's because.
	Explains []rekey.Cause
}

// Docs returns the path of the cause's page.
func (e Entry) Docs() string { return DocsDir + string(e.Cause) + ".md" }

// incomplete names the first thing that is missing from e, or "".
func (e Entry) incomplete() string {
	for _, field := range []struct{ name, text string }{
		{"cause", string(e.Cause)}, {"meaning", e.Meaning}, {"severity", string(e.Severity)},
		{"remedy", e.Remedy}, {"known", e.Known}, {"by hand", e.ByHand},
		{"by rekey", e.ByRekey}, {"user token", e.UserToken},
	} {
		if strings.TrimSpace(field.text) == "" {
			return field.name
		}
	}
	if !strings.Contains(e.Remedy, "`rekey ") {
		return "a rekey command in the remedy"
	}
	return ""
}

// Registry returns every cause that is judged, in the order in which findings of
// equal severity are shown. The slice is the caller's.
func Registry() []Entry { return slices.Clone(registry) }

// LookupEntry returns the entry of a cause that is judged.
func LookupEntry(cause rekey.Cause) (Entry, bool) {
	i := rank(cause)
	if i == len(registry) {
		return Entry{}, false
	}
	return registry[i], true
}

// Planned returns the slugs that are reserved for causes not judged yet. No
// finding carries them and they have no page.
func Planned() []rekey.Cause { return slices.Clone(planned) }

var planned []rekey.Cause

// rank is the cause's place in the registry, len(registry) when it has none.
func rank(cause rekey.Cause) int {
	for i, e := range registry {
		if e.Cause == cause {
			return i
		}
	}
	return len(registry)
}

// entryOf returns the entry of a cause that this package judges.
func entryOf(cause rekey.Cause) Entry {
	e, ok := LookupEntry(cause)
	if !ok {
		panic(fmt.Sprintf("diagnose: %s is judged but not registered", cause))
	}
	return e
}
