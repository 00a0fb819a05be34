package guard_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"rekey"
	"rekey/internal/guard"
)

// namesakes is world with one name for all sections, as gitlab-runner gives it, and
// an owner of its own for each record.
func namesakes() guard.Snapshot {
	s := world()
	for i := range s.Sections {
		s.Sections[i].Name = "host"
		s.Records[i].Attributes.Scope, s.Records[i].Attributes.Owner = rekey.ScopeProject, rekey.Ref{ID: int64(10 + i)}
	}
	return s
}

// remove takes a section out: those behind it move up.
func remove(s *guard.Snapshot, at int) {
	s.Sections = slices.Delete(s.Sections, at, at+1)
	for i := range s.Sections {
		s.Sections[i].Index = i
	}
}

// overlapped gives a section the token and the id of a record that the snapshot does
// not have.
func overlapped(s *guard.Section) { s.RunnerID, s.Token = s.RunnerID+100, "new"+s.Token }

// lose refuses all tokens; their records are gone.
func lose(s *guard.Snapshot) {
	for i := range s.Sections {
		s.Sections[i].Verdict = rekey.Invalid
	}
	for i := range s.Records {
		s.Records[i] = guard.Record{GitLab: gitlab, ID: s.Records[i].ID, Presence: guard.PresenceGone}
	}
}

// Namesakes in one config: what the snapshot has of a record is never taken for
// another's, whatever was taken out, moved or rotated since.
func TestASectionKeepsItsRecordAmongNamesakes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		edit func(*guard.Snapshot)
		want string // change, id now and owner that is remembered, of each section
	}{
		"the first was taken out": {func(s *guard.Snapshot) { remove(s, 0) }, "section-gone 1 10, record-gone 2 11, record-gone 3 12"},
		"and the others were reset": {func(s *guard.Snapshot) { remove(s, 0); s.Sections[0].Token, s.Sections[1].Token = "n2", "n3" },
			"section-gone 1 10, record-gone 2 11, record-gone 3 12"},
		"one stands in another's place": {func(s *guard.Snapshot) {
			s.Sections[0].Index, s.Sections[2].Index = 2, 0
			slices.Reverse(s.Sections)
		}, "record-gone 1 10, record-gone 2 11, record-gone 3 12"},
		"one was renamed":            {func(s *guard.Snapshot) { remove(s, 0); s.Sections[0].Name = "other" }, "section-gone 1 10, record-gone 2 11, record-gone 3 12"},
		"all have new records":       {func(s *guard.Snapshot) { each(s, overlapped) }, "token-later 101 10, token-later 102 11, token-later 103 12"},
		"one has, where none moved":  {func(s *guard.Snapshot) { overlapped(&s.Sections[1]) }, "record-gone 1 10, token-later 102 11, record-gone 3 12"},
		"the first out, all renewed": {func(s *guard.Snapshot) { remove(s, 0); each(s, overlapped) }, "token-later 102 ?, token-later 103 ?, section-gone 3 12"},
		"out, and one came":          {func(s *guard.Snapshot) { remove(s, 0); s.Sections = append(s.Sections, stranger(2)) }, "token-later 50 ?, record-gone 2 11, record-gone 3 12"},
		"its name is its own": {func(s *guard.Snapshot) {
			remove(s, 0)
			overlapped(&s.Sections[1])
			s.Sections[1].Name = "sole"
		}, "section-gone 1 10, record-gone 2 11, token-later 103 12"},
		"it points to another's record": {func(s *guard.Snapshot) {
			s.Sections = s.Sections[:1]
			s.Sections[0].RunnerID, s.Sections[0].Token = 3, "n"
		},
			"section-gone 1 10, section-gone 2 11, record-gone 3 12"},
	} {
		was, now := namesakes(), namesakes()
		if name == "its name is its own" {
			was.Sections[2].Name = "sole"
		}
		c.edit(&now)
		lose(&now)
		d, err := guard.Compare(was, now)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, s := range d.Sections {
			owner := "?"
			if s.Attributes != nil {
				owner = fmt.Sprint(s.Attributes.Owner.ID)
			} else if !strings.Contains(s.Text, "several sections have this name") {
				t.Errorf("%s: the text of runner %d does not say why there are no attributes: %s", name, s.RunnerID, s.Text)
			}
			got = append(got, fmt.Sprint(s.Change, " ", s.RunnerID, " ", owner))
		}
		if text := strings.Join(got, ", "); text != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", name, text, c.want)
		}
	}
}

func each(s *guard.Snapshot, do func(*guard.Section)) {
	for i := range s.Sections {
		do(&s.Sections[i])
	}
}

func stranger(index int) guard.Section {
	return guard.Section{Config: "/etc/c.toml", Index: index, Name: "host", URL: gitlab, GitLab: gitlab, RunnerID: 50, Token: "mark50"}
}

// What was refused before stays so when the sections before it are taken out.
func TestARefusalFromBeforeIsKnownInAnotherPlace(t *testing.T) {
	t.Parallel()
	was, now := namesakes(), namesakes()
	was.Sections[1].Verdict, now.Sections[1].Verdict = rekey.Invalid, rekey.Invalid
	remove(&now, 0)
	d, err := guard.Compare(was, now)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(d.Sections, func(s guard.StaleSection) bool { return s.RunnerID == 2 })
	if i < 0 || d.Sections[i].Change != guard.RefusedBefore || d.Sections[i].Repair || d.Intact != 1 {
		t.Errorf("got %+v and %d intact, want runner 2 refused before, and one intact", d.Sections, d.Intact)
	}
}

// Whatever order a config has after removals, moves and resets, each section's
// attributes are those of its own record, and each section is told of once.
func TestNoSectionGetsAnothersAttributes(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		was, now := namesakes(), namesakes()
		for i := range 4 {
			s := guard.Section{Config: "/etc/c.toml", Index: 3 + i, Name: "host", URL: gitlab, GitLab: gitlab, RunnerID: rekey.RunnerID(4 + i), Token: guard.Mark(fmt.Sprint("mark", 4+i)), Verdict: rekey.Valid}
			r := was.Records[0]
			r.ID, r.Attributes.Owner = s.RunnerID, rekey.Ref{ID: int64(13 + i)}
			was.Sections, now.Sections = append(was.Sections, s), append(now.Sections, s)
			was.Records, now.Records = append(was.Records, r), append(now.Records, r)
		}
		random.Shuffle(len(now.Sections), func(i, j int) { now.Sections[i], now.Sections[j] = now.Sections[j], now.Sections[i] })
		for range random.IntN(4) {
			remove(&now, random.IntN(len(now.Sections)))
		}
		for i := range now.Sections {
			now.Sections[i].Index = i
			switch random.IntN(3) {
			case 0:
				now.Sections[i].Token = "new" + now.Sections[i].Token
			case 1:
				now.Sections[i].RunnerID = 0
			}
		}
		lose(&now)
		d, err := guard.Compare(was, now)
		if err != nil {
			t.Fatal(err)
		}
		told := map[guard.Mark]bool{}
		for _, s := range d.Sections {
			if s.Change == guard.SectionGone {
				continue
			}
			var id int64
			if _, err := fmt.Sscanf(strings.TrimPrefix(string(s.Token), "new"), "mark%d", &id); err != nil || told[s.Token] {
				t.Fatalf("section %+v: told of twice, or %v", s, err)
			}
			told[s.Token] = true
			if s.Attributes == nil || s.Attributes.Owner.ID != 9+id {
				t.Fatalf("the section of runner %d got %+v, want the attributes of owner %d", id, s.Attributes, 9+id)
			}
		}
		if len(told) != len(now.Sections) {
			t.Fatalf("%d of %d sections were told of", len(told), len(now.Sections))
		}
	}
}
