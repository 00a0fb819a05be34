package iac

import "bytes"

// literals are what a file must hold, one of them at least, to be looked at
// closer; a file without any is only read past. at is where in the literal the
// rarest five bytes begin: the search looks for those.
var literals = []struct {
	text string
	at   int
}{
	{"glrt-", 0}, {"glrtr-", 1}, {"GR1348941", 2},
	{"glpat-", 0}, {"glcbt-", 0}, {"glptt-", 0}, {"gldt-", 0}, {"glrct-", 0}, {"glagent-", 0}, {"gloas-", 0}, {"glft-", 0}, {"glimt-", 0}, {"glsoat-", 0}, {"glffct-", 0}, {"glwt-", 0},
	{"Z2xydC", 0}, {"R1IxMzQ4OTQx", 2}, {"Z2xwYXQt", 1},
	{"gitlab-runner", 4}, {"gitlab_runner", 4}, {"gitlab-ci-multi-runner", 9}, {"api/v4/runners", 3},
	{"registration-token", 11}, {"registration_token", 11}, {"egistrationToken", 10}, {"REGISTRATION_TOKEN", 11},
	{"RUNNER_TOKEN", 5}, {"unner_token", 4}, {"unnerToken", 4}, {"CI_SERVER_TOKEN", 8},
	{"registrationConfigFile", 11}, {"[[runners]]", 0}, {"unners_token", 5},
}

// Literals returns the strings one of which a file must hold to be examined.
func Literals() []string {
	texts := make([]string, 0, len(literals))
	for _, l := range literals {
		texts = append(texts, l.text)
	}
	return texts
}

// window is how many bytes of a literal the search looks at before it compares.
const window = 5

// searcher finds the first literal in a text. It goes through it in steps of up to
// window-1 bytes, as Wu and Manber do: the last two bytes of the window say how far
// the next window may be.
type searcher struct {
	skip  [1 << 16]uint8
	ends  map[uint16][]int // the literals whose window ends so
	reach int              // the length of the longest literal
}

func newSearcher() *searcher {
	s := &searcher{ends: map[uint16][]int{}}
	for i := range s.skip {
		s.skip[i] = window - 1
	}
	for n, l := range literals {
		part := l.text[l.at : l.at+window]
		for i := range window - 1 {
			block := uint16(part[i])<<8 | uint16(part[i+1])
			s.skip[block] = min(s.skip[block], uint8(window-2-i))
		}
		last := uint16(part[window-2])<<8 | uint16(part[window-1])
		s.ends[last] = append(s.ends[last], n)
		s.reach = max(s.reach, len(l.text))
	}
	return s
}

// find reports whether text holds a literal.
func (s *searcher) find(text []byte) bool { return s.next(text, 0) >= 0 }

// next returns where the first literal that begins at start or later ends, -1 where
// there is none.
func (s *searcher) next(text []byte, start int) int {
	for i := start + window - 1; i < len(text); {
		block := uint16(text[i-1])<<8 | uint16(text[i])
		step := int(s.skip[block])
		if step > 0 {
			i += step
			continue
		}
		for _, n := range s.ends[block] {
			l := literals[n]
			from := i - (window - 1) - l.at
			if from >= start && from+len(l.text) <= len(text) && string(text[from:from+len(l.text)]) == l.text {
				return from + len(l.text)
			}
		}
		i++
	}
	return -1
}

// interesting reports whether a short text holds one of the literals.
func interesting(text []byte) bool {
	for _, l := range literals {
		if bytes.Contains(text, []byte(l.text)) {
			return true
		}
	}
	return false
}
