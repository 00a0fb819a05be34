package guard

import (
	"cmp"
	"slices"

	"rekey"
)

// match is what a section of the snapshot is now.
type match struct {
	now   int  // its place among the sections of now; -1: none
	known bool // by its token or its id: what the snapshot has of it is of this section
	doubt bool // a name that several have is all there is: it may be another section
}

// trait is what two sections have in common that are taken for one; the zero trait
// is none.
type trait struct {
	config, gitlab, url, name string
	index                     int
	token                     Mark
	id                        rekey.RunnerID
}

func named(t trait, s Section) trait {
	t.url, t.name = s.URL, s.Name
	return t
}

func byToken(s Section) trait {
	if s.Token == "" {
		return trait{}
	}
	return trait{config: s.Config, gitlab: s.GitLab, token: s.Token}
}

func byID(s Section) trait {
	if s.RunnerID == 0 || s.GitLab == "" {
		return trait{}
	}
	return trait{config: s.Config, gitlab: s.GitLab, id: s.RunnerID}
}

func byName(s Section) trait { return trait{config: s.Config, url: s.URL, name: s.Name} }

// given returns a trait that the sections have under the same name, too.
func given(of func(Section) trait) func(Section) trait {
	return func(s Section) trait {
		t := of(s)
		if t == (trait{}) {
			return t
		}
		return named(t, s)
	}
}

// matcher pairs the sections of a snapshot with those of now, each used once.
type matcher struct {
	was, now []Section
	matches  []match
	used     []bool // of now
}

// matchSections pairs all sections by what tells most before any is paired by what
// tells less: gitlab-runner names every section after its host, and a section that
// was taken out moves those behind it.
func matchSections(was, now []Section) *matcher {
	m := &matcher{was: was, now: now, matches: make([]match, len(was)), used: make([]bool, len(now))}
	for i := range m.matches {
		m.matches[i].now = -1
	}
	for _, of := range []func(Section) trait{given(byToken), byToken, given(byID), byID} {
		m.pair(of, func(Section) match { return match{known: true} })
	}
	shifted := m.shifted()
	m.pair(func(s Section) trait {
		if shifted[s.Config] {
			return trait{}
		}
		t := byName(s)
		t.index = s.Index + 1 // the first is no zero
		return t
	}, func(Section) match { return match{} })
	shared := m.shared()
	m.pair(byName, func(s Section) match { return match{doubt: shared[byName(s)]} })
	m.doubtLost()
	return m
}

// pair pairs the sections left that have one trait, in their order in the file; as
// says what that is worth.
func (m *matcher) pair(of func(Section) trait, as func(Section) match) {
	left := map[trait][]int{} // of now
	for _, i := range inFile(m.now) {
		if t := of(m.now[i]); t != (trait{}) && !m.used[i] {
			left[t] = append(left[t], i)
		}
	}
	for _, i := range inFile(m.was) {
		t := of(m.was[i])
		if m.matches[i].now >= 0 || len(left[t]) == 0 {
			continue
		}
		m.matches[i] = as(m.was[i])
		m.matches[i].now, left[t] = left[t][0], left[t][1:]
		m.used[m.matches[i].now] = true
	}
}

// inFile lists sections in the order in which their configs have them.
func inFile(sections []Section) []int {
	order := make([]int, len(sections))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(sections[a].Index, sections[b].Index) })
	return order
}

// shifted are the configs in which a section's place tells nothing: there are more
// sections or fewer than there were, or one that is known stands elsewhere.
func (m *matcher) shifted() map[string]bool {
	count, shifted := map[string]int{}, map[string]bool{}
	for i, s := range m.was {
		count[s.Config]--
		if f := m.matches[i]; f.now >= 0 && m.now[f.now].Index != s.Index {
			shifted[s.Config] = true
		}
	}
	for _, s := range m.now {
		count[s.Config]++
	}
	for config, n := range count {
		shifted[config] = shifted[config] || n != 0
	}
	return shifted
}

// shared are the names that several sections of a config have, or had.
func (m *matcher) shared() map[trait]bool {
	shared := map[trait]bool{}
	for _, sections := range [][]Section{m.was, m.now} {
		seen := map[trait]bool{}
		for _, s := range sections {
			shared[byName(s)] = shared[byName(s)] || seen[byName(s)]
			seen[byName(s)] = true
		}
	}
	return shared
}

// doubtLost puts in doubt what has no match, where another of its name may have got
// its place.
func (m *matcher) doubtLost() {
	doubted := map[trait]bool{}
	for i, f := range m.matches {
		if f.doubt {
			doubted[byName(m.was[i])] = true
		}
	}
	for i := range m.matches {
		if m.matches[i].now < 0 {
			m.matches[i].doubt = doubted[byName(m.was[i])]
		}
	}
}
