package guard_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"rekey"
	"rekey/internal/guard"
)

const gitlab = "https://gitlab.example.com"

var (
	taken  = time.Date(2026, 4, 1, 12, 0, 0, 0, time.UTC)
	secret = rekey.NewToken("glrt-CANARYsnapshot000001")
)

func key(t *testing.T, seed byte) guard.Key {
	t.Helper()
	k, err := guard.NewKey(bytes.NewReader(bytes.Repeat([]byte{seed}, 32)))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// Without the key a mark tests no guess: it is neither the token's own fingerprint
// nor any plain digest of it, and another key makes another.
func TestAMarkSaysNothingWithoutItsKey(t *testing.T) {
	t.Parallel()
	k := key(t, 1)
	mark := string(k.Mark(secret))
	plain := sha256.Sum256([]byte(secret.Reveal()))
	for name, other := range map[string]string{
		"another key's": string(key(t, 2).Mark(secret)), "another token's": string(k.Mark(rekey.NewToken("glrt-CANARYsnapshot000002"))),
		"the fingerprint": string(secret.Fingerprint()), "a plain digest": hex.EncodeToString(plain[:16]),
	} {
		if mark == other || strings.Contains(other, mark) || strings.Contains(mark, other) {
			t.Errorf("the mark is %s: %s", name, mark)
		}
	}
	if again := string(k.Mark(secret)); again != mark {
		t.Errorf("one token has two marks: %s, %s", mark, again)
	}
	if k.Mark(rekey.Token{}) != "" {
		t.Error("the empty token has a mark")
	}
}

func TestAKeyIsReadAsItWasWrittenAndNeverShown(t *testing.T) {
	t.Parallel()
	k := key(t, 7)
	again, err := guard.ParseKey(k.Encode())
	if err != nil || again.Mark(secret) != k.Mark(secret) || again.Name() != k.Name() {
		t.Errorf("read back: %v, %v; want the same key", again, err)
	}
	shown := fmt.Sprintf("%v %+v %#v %s %x", k, k, k, k, k)
	if text := hex.EncodeToString(bytes.Repeat([]byte{7}, 32)); strings.Contains(shown, text[:12]) {
		t.Errorf("the key shows itself: %s", shown)
	}
	for _, text := range []string{"", "rekey-snapshot-key-1 ", "rekey-snapshot-key-1 0707", "AGE-SECRET-KEY-1", string(k.Encode()[:40]), string(bytes.TrimSpace(k.Encode())) + "00"} {
		if _, err := guard.ParseKey([]byte(text)); rekey.KindOf(err) != rekey.KindInvalid {
			t.Errorf("%q: got %v, want an error of kind invalid", text, err)
		}
	}
}

// world is a snapshot of three sections and their records, all good.
func world() guard.Snapshot {
	s := guard.Snapshot{Schema: guard.SchemaSnapshot, TakenAt: taken, Key: "k", GitLabs: []guard.GitLab{{URL: gitlab, Version: "18.1.0"}}}
	for i := range 3 {
		id := rekey.RunnerID(i + 1)
		s.Sections = append(s.Sections, guard.Section{Config: "/etc/c.toml", Index: i, Name: fmt.Sprint("s", id), URL: gitlab, GitLab: gitlab, RunnerID: id,
			Token: guard.Mark(fmt.Sprint("mark", id)), Verdict: rekey.Valid})
		s.Records = append(s.Records, guard.Record{GitLab: gitlab, ID: id, Presence: guard.PresenceThere, CreatedAt: taken.Add(-time.Hour * 24 * 9), ContactAt: taken.Add(-time.Minute),
			Attributes: rekey.Attributes{Scope: rekey.ScopeInstance, Description: fmt.Sprint("r", id), Tags: []string{"a", "b"}}})
	}
	return s
}

func TestCompare(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		was, now func(s *guard.Snapshot)
		section  guard.Change // of the first, "" for intact
		repair   bool
		same     bool
		record   guard.Change // of the first, "" for none
		note     string
	}{
		"nothing changed":       {now: func(*guard.Snapshot) {}},
		"tags in another order": {now: func(s *guard.Snapshot) { s.Records[0].Attributes.Tags = []string{"b", "a"} }},
		"the token is refused":  {now: func(s *guard.Snapshot) { s.Sections[0].Verdict = rekey.Invalid }, section: guard.TokenRefused, repair: true, same: true},
		"nobody can tell":       {now: func(s *guard.Snapshot) { s.Sections[0].Verdict = rekey.Unknown }, section: guard.Untold, same: true},
		"rotated, and good":     {now: func(s *guard.Snapshot) { s.Sections[0].Token = "new" }},
		"rotated, and GitLab went back": {now: func(s *guard.Snapshot) { s.Sections[0].Token, s.Sections[0].Verdict = "new", rekey.Invalid },
			section: guard.TokenLater, repair: true, same: true},
		"the record is gone": {now: func(s *guard.Snapshot) {
			s.Sections[0].Verdict = rekey.Invalid
			s.Records[0] = guard.Record{GitLab: gitlab, ID: 1, Presence: guard.PresenceGone}
		},
			section: guard.RecordGone, repair: true, record: guard.Gone},
		"the id is another's": {now: func(s *guard.Snapshot) {
			s.Sections[0].Verdict = rekey.Invalid
			s.Records[0].CreatedAt = taken.Add(time.Hour)
		},
			section: guard.RecordReplaced, repair: true, record: guard.Replaced, note: "was put back to an earlier time"},
		"an older token is good": {was: func(s *guard.Snapshot) { s.Sections[0].Verdict = rekey.Invalid }, now: func(s *guard.Snapshot) { s.Sections[0].Verdict = rekey.Valid },
			section: guard.OlderTokenGood, same: true, note: "older tokens are accepted again"},
		"it was refused before": {was: func(s *guard.Snapshot) { s.Sections[0].Verdict = rekey.Invalid }, now: func(s *guard.Snapshot) { s.Sections[0].Verdict = rekey.Invalid },
			section: guard.RefusedBefore, same: true},
		"the record is older":       {now: func(s *guard.Snapshot) { s.Records[0].ContactAt = taken.Add(-24 * time.Hour) }, record: guard.Older, note: "was put back"},
		"a cache was emptied":       {now: func(s *guard.Snapshot) { s.Records[0].ContactAt = taken.Add(-50 * time.Minute) }},
		"somebody edited it":        {now: func(s *guard.Snapshot) { s.Records[0].Attributes.Tags = nil }, record: guard.Changed},
		"the section went":          {now: func(s *guard.Snapshot) { s.Sections = s.Sections[1:] }, section: guard.SectionGone, same: true},
		"the config cannot be read": {now: func(s *guard.Snapshot) { s.Sections, s.Unread = nil, []string{"/etc/c.toml: no"} }},
		"sections changed places": {now: func(s *guard.Snapshot) {
			s.Sections[0].Index, s.Sections[1].Index = 1, 0
			slices.Reverse(s.Sections[:2])
		}},
		"secrets lost": {now: func(s *guard.Snapshot) {
			for i := range s.Sections {
				s.Sections[i].Verdict = rekey.Invalid
			}
		}, section: guard.TokenRefused, repair: true, same: true, note: "lost its secrets"},
		"upgraded": {now: func(s *guard.Snapshot) { s.GitLabs[0].Version = "19.0.0" }, note: "was GitLab 18.1.0, and is 19.0.0"},
	} {
		was, now := world(), world()
		if c.was != nil {
			c.was(&was)
		}
		c.now(&now)
		d, err := guard.Compare(was, now)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var s guard.StaleSection
		if len(d.Sections) > 0 {
			s = d.Sections[0]
		}
		if s.Change != c.section || s.Repair != c.repair || s.Same != c.same {
			t.Errorf("%s: got %+v, want %q, repaired: %v, the same record: %v", name, s, c.section, c.repair, c.same)
		}
		if s.Repair && (s.Attributes == nil || s.Attributes.Description != "r1" || !strings.Contains(s.Attributes.Source, "snapshot of 2026-04-01")) {
			t.Errorf("%s: got attributes %+v, want those of the snapshot", name, s.Attributes)
		}
		var r guard.StaleRecord
		if len(d.Records) > 0 {
			r = d.Records[0]
		}
		if notes := strings.Join(d.Notes, "\n"); r.Change != c.record || !strings.Contains(notes, c.note) || c.note == "" && notes != "" {
			t.Errorf("%s: record %+v, notes %q; want %q and %q", name, r, notes, c.record, c.note)
		}
	}
}

func TestOtherKeysAndOtherDocumentsAreRefused(t *testing.T) {
	t.Parallel()
	now := world()
	now.Key = "other"
	if _, err := guard.Compare(world(), now); rekey.KindOf(err) != rekey.KindConflict || rekey.HintOf(err) == "" {
		t.Errorf("got %v, want a conflict with a hint", err)
	}
	text, err := json.Marshal(world())
	if err != nil {
		t.Fatal(err)
	}
	if s, err := guard.ParseSnapshot(text); err != nil || len(s.Sections) != 3 {
		t.Errorf("read back: %+v, %v; want three sections", s, err)
	}
	for _, bad := range []string{"", "{}", `{"schema":"rekey.snapshot/2"}`, "[1]"} {
		if _, err := guard.ParseSnapshot([]byte(bad)); rekey.KindOf(err) != rekey.KindInvalid {
			t.Errorf("%q: got %v, want an error of kind invalid", bad, err)
		}
	}
	if _, err := guard.ParseDiff(text); rekey.KindOf(err) != rekey.KindInvalid {
		t.Errorf("a snapshot is taken for a comparison: %v", err)
	}
}
