package secretstore

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strings"

	"rekey"
	"rekey/internal/redact"
)

// Pattern is a reference in which {name} stands for the name of a section and {host}
// for that of its runner host, so that one text names a secret for each section.
type Pattern struct {
	text string
	ref  Ref // with stand-ins
}

// Names are what a pattern is filled with.
type Names struct {
	Section string // [[runners]] name
	Host    string
}

// The stand-ins are letters and digits, which may stand anywhere in a reference.
const (
	standInName = "rekey0section0name"
	standInHost = "rekey0host0name"
)

var placeholder = regexp.MustCompile(`\{[^{}]*\}`)

// ParsePattern reads a reference with or without placeholders. Errors are KindInvalid.
func ParsePattern(text string) (Pattern, error) {
	filled := strings.NewReplacer("{name}", standInName, "{host}", standInHost).Replace(text)
	if found := placeholder.FindString(filled); found != "" {
		return Pattern{}, rekey.Errorf(rekey.KindInvalid, "the reference %q: nothing is known for %s", redact.Scrub(text), redact.Scrub(found)).
			WithHint("{name} stands for the section's name, {host} for the host's")
	}
	ref, err := Parse(filled)
	if err != nil { // in the words of what was typed
		if _, plain := Parse(text); plain != nil {
			err = plain
		}
		return Pattern{}, err
	}
	return Pattern{text, ref}, nil
}

// String is the pattern as it was typed.
func (p Pattern) String() string { return p.text }

// Scheme says which store the pattern is for.
func (p Pattern) Scheme() Scheme { return p.ref.Scheme }

// Single reports whether the pattern names one secret only, whatever the section.
func (p Pattern) Single() bool { return !strings.Contains(p.ref.String(), standInName) }

// For returns the secret of one section. A character that the store does not take
// becomes a dash or an underscore, and the name then ends in a digest of what it was,
// so that no two names meet. Two sections of one name have one secret: the caller
// refuses them. Errors are KindInvalid.
func (p Pattern) For(n Names) (Ref, error) {
	text := p.ref.String()
	for standIn, value := range map[string]string{standInName: n.Section, standInHost: n.Host} {
		if value == "" && strings.Contains(text, standIn) {
			return Ref{}, rekey.Errorf(rekey.KindInvalid, "the reference %q needs a name, and the section or the host has none", redact.Scrub(p.text)).
				WithHint("give the section a name in config.toml, or write the reference without a placeholder")
		}
		text = strings.ReplaceAll(text, standIn, p.part(value))
	}
	return Parse(text)
}

// part makes value fit into one part of a reference.
func (p Pattern) part(value string) string {
	fits, filler := keeps(p.ref.Scheme)
	clean := value
	if p.ref.Scheme == Kube {
		clean = strings.ToLower(value)
	}
	clean = strings.Map(func(c rune) rune {
		if fits(c) {
			return c
		}
		return filler
	}, clean)
	clean = strings.Trim(clean, "-_.")
	if clean == value {
		return value
	}
	sum := sha256.Sum256([]byte(value))
	return strings.TrimLeft(clean+string(filler), "-_.") + hex.EncodeToString(sum[:4])
}

// keeps returns what the store takes in a name, and what stands for the rest. What
// has a meaning in a reference (/ # ? %) is never taken.
func keeps(s Scheme) (fits func(rune) bool, filler rune) {
	lower := func(c rune) bool { return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' }
	letters := func(c rune) bool { return lower(c) || c >= 'A' && c <= 'Z' }
	switch s {
	case GitLabVar, Env: // GitLab: letters, digits and _ only (POST /projects/:id/variables)
		return func(c rune) bool { return letters(c) || c == '_' }, '_'
	case Kube: // a DNS subdomain
		return func(c rune) bool { return lower(c) || c == '-' || c == '.' }, '-'
	}
	return func(c rune) bool { return letters(c) || strings.ContainsRune("-_.", c) }, '-'
}
