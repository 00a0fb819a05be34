package iac

import (
	"bytes"
	"encoding/binary"
)

// literals are what a file must hold, one of them at least, to be looked at
// closer; a file without any is only read past. at is where in the literal the
// rarest five bytes begin: the search looks for those.
var literals = []struct {
	text string
	at   int
}{
	{"glrt-", 0}, {"glrtr-", 0}, {"GR1348941", 3},
	{"glpat-", 1}, {"glcbt-", 1}, {"glptt-", 1}, {"gldt-", 0}, {"glrct-", 1}, {"glagent-", 3}, {"gloas-", 1}, {"glft-", 0}, {"glimt-", 1}, {"glsoat-", 2}, {"glffct-", 2}, {"glwt-", 0},
	{"Z2xydC", 0}, {"R1IxMzQ4OTQx", 4}, {"Z2xwYXQt", 3},
	{"gitlab-runner", 7}, {"gitlab_runner", 7}, {"gitlab_user_runner", 12}, {"gitlab-ci-multi-runner", 16}, {"api/v4/runners", 7},
	{"registration-token", 2}, {"registration_token", 2}, {"egistrationToken", 1}, {"REGISTRATION_TOKEN", 12},
	{"RUNNER_TOKEN", 6}, {"unner_token", 2}, {"unnerToken", 1}, {"CI_SERVER_TOKEN", 9},
	{"registrationConfigFile", 2}, {"[[runners]]", 2}, {"unners_token", 3},
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
	skip [1 << 16]uint8
	ends map[uint16][]int // the literals whose window ends so
}

func newSearcher() *searcher {
	s := &searcher{ends: map[uint16][]int{}}
	for i := range s.skip {
		s.skip[i] = window - 1
	}
	for n, l := range literals {
		part := l.text[l.at : l.at+window]
		for i := range window - 1 {
			block := binary.LittleEndian.Uint16([]byte(part[i : i+2]))
			s.skip[block] = min(s.skip[block], uint8(window-2-i))
		}
		last := binary.LittleEndian.Uint16([]byte(part[window-2:]))
		s.ends[last] = append(s.ends[last], n)
	}
	return s
}

// lanes is how many places of a text are looked at in turn: one step has to wait for
// what the last one read, and four wait no longer than one.
const lanes = 4

// find reports whether text holds a literal.
func (s *searcher) find(text []byte) bool {
	if len(text) < 1<<10 {
		return s.next(text, 0) >= 0
	}
	table, part := &s.skip, len(text)/lanes
	a, b, c, d := window-2, part, 2*part, 3*part
	endA, endB, endC, endD := part, 2*part, 3*part, len(text)-1
	for a < endA && b < endB && c < endC && d < endD {
		stepA := int(table[uint16(text[a])|uint16(text[a+1])<<8])
		stepB := int(table[uint16(text[b])|uint16(text[b+1])<<8])
		stepC := int(table[uint16(text[c])|uint16(text[c+1])<<8])
		stepD := int(table[uint16(text[d])|uint16(text[d+1])<<8])
		if stepA == 0 || stepB == 0 || stepC == 0 || stepD == 0 {
			for _, lane := range []struct {
				at   *int
				step *int
			}{{&a, &stepA}, {&b, &stepB}, {&c, &stepC}, {&d, &stepD}} {
				if *lane.step == 0 {
					if s.literalAt(text, *lane.at, 0) >= 0 {
						return true
					}
					*lane.step = 1
				}
			}
		}
		a, b, c, d = a+stepA, b+stepB, c+stepC, d+stepD
	}
	for _, rest := range [lanes][2]int{{a, endA}, {b, endB}, {c, endC}, {d, endD}} {
		for i := rest[0]; i < rest[1]; {
			step := int(table[uint16(text[i])|uint16(text[i+1])<<8])
			if step == 0 {
				if s.literalAt(text, i, 0) >= 0 {
					return true
				}
				step = 1
			}
			i += step
		}
	}
	return false
}

// literalAt returns the end of a literal whose window's last two bytes stand at i
// and that begins at start or later, -1 where there is none.
func (s *searcher) literalAt(text []byte, i, start int) int {
	for _, n := range s.ends[binary.LittleEndian.Uint16(text[i:])] {
		l := &literals[n]
		from := i - (window - 2) - l.at
		if from >= start && from+len(l.text) <= len(text) && string(text[from:from+len(l.text)]) == l.text {
			return from + len(l.text)
		}
	}
	return -1
}

// next returns where the first literal that begins at start or later ends, -1 where
// there is none.
func (s *searcher) next(text []byte, start int) int {
	for i := start + window - 2; i+1 < len(text); {
		step := int(s.skip[uint16(text[i])|uint16(text[i+1])<<8])
		if step == 0 {
			if end := s.literalAt(text, i, start); end >= 0 {
				return end
			}
			step = 1
		}
		i += step
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
