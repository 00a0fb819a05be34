package guard

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"rekey"
)

// Change is what became of a section or a record.
type Change string

// The changes of a section.
const (
	TokenRefused   Change = "token-refused"   // the token that was good is refused; its record is there
	TokenLater     Change = "token-later"     // the section got its token after the snapshot, and GitLab does not know it
	RecordGone     Change = "record-gone"     // the token is refused, and its record is gone
	RecordReplaced Change = "record-replaced" // the id belongs to another record now
	OlderTokenGood Change = "older-token"     // a token that was refused is accepted again
	RefusedBefore  Change = "refused-before"  // the token was refused when the snapshot was taken
	NewRefused     Change = "new-refused"     // a section that the snapshot does not know, and that is refused
	Untold         Change = "unknown"         // whether the token is good cannot be told
	SectionGone    Change = "section-gone"    // the config no longer has it
)

// The changes of a record.
const (
	Gone     Change = "gone"
	Replaced Change = "replaced" // another record has its id
	Older    Change = "older"    // its last contact is before the one in the snapshot
	Changed  Change = "changed"  // attributes differ
)

// repairable are the changes of a section that a fix is for.
var repairable = []Change{TokenRefused, TokenLater, RecordGone, RecordReplaced, NewRefused}

// StaleSection is one section that is not as it was.
type StaleSection struct {
	Change   Change         `json:"change"`
	Repair   bool           `json:"repair"` // `rekey fix --from-diff` takes it
	Config   string         `json:"config"`
	Index    int            `json:"index"`
	Name     string         `json:"name"`
	GitLab   string         `json:"gitlab"`
	RunnerID rekey.RunnerID `json:"runner_id"`
	Token    Mark           `json:"token"` // in the file now
	Text     string         `json:"text"`
	// Attributes of its record as the snapshot has them; nil where it has none.
	Attributes *rekey.Attributes `json:"attributes,omitempty"`
	// Same: the record of this id is certainly the one that the snapshot saw.
	Same bool `json:"same_record"`
}

// StaleRecord is one record that is not as it was.
type StaleRecord struct {
	Change      Change         `json:"change"`
	GitLab      string         `json:"gitlab"`
	ID          rekey.RunnerID `json:"id"`
	Description string         `json:"description"`
	Text        string         `json:"text"`
}

// Diff is what changed since a snapshot for the worse.
type Diff struct {
	Schema     string         `json:"schema"`
	SnapshotAt time.Time      `json:"snapshot_at"`
	At         time.Time      `json:"at"`
	Key        string         `json:"key"`
	Sections   []StaleSection `json:"sections"`
	Records    []StaleRecord  `json:"records"`
	Notes      []string       `json:"notes"`  // what they show together
	Intact     int            `json:"intact"` // sections that are as good as they were
	Unread     []string       `json:"unread"` // configs that could not be read now
}

// Repairs returns the sections that a fix is for.
func (d Diff) Repairs() []StaleSection {
	return slices.DeleteFunc(slices.Clone(d.Sections), func(s StaleSection) bool { return !s.Repair })
}

type recordKey struct {
	gitlab string
	id     rekey.RunnerID
}

// comparison is one comparison under way.
type comparison struct {
	was, now        Snapshot
	before, present map[recordKey]Record
	diff            Diff
}

// Compare says what is stale. Both snapshots were made with one key, and now has
// looked for every record that was and for those of the sections.
func Compare(was, now Snapshot) (Diff, error) {
	if was.Key != now.Key {
		return Diff{}, rekey.Errorf(rekey.KindConflict, "the snapshot was made with another key (%s, here is %s): its marks cannot be compared", was.Key, now.Key).
			WithHint("name the key of that host with --key-file; it lies in its state directory as snapshot.key")
	}
	c := &comparison{was: was, now: now, before: index(was.Records), present: index(now.Records),
		diff: Diff{Schema: SchemaDiff, SnapshotAt: was.TakenAt, At: now.TakenAt, Key: now.Key, Sections: []StaleSection{}, Records: []StaleRecord{}, Notes: []string{},
			Unread: append([]string{}, now.Unread...)}}
	found := matchSections(was.Sections, now.Sections)
	for i, s := range was.Sections {
		c.section(s, found.matches[i])
	}
	for i, s := range now.Sections {
		if !found.used[i] {
			c.newSection(s)
		}
	}
	for _, r := range was.Records {
		c.record(r)
	}
	c.together()
	return c.diff, nil
}

func index(records []Record) map[recordKey]Record {
	m := map[recordKey]Record{}
	for _, r := range records {
		m[recordKey{r.GitLab, r.ID}] = r
	}
	return m
}

// section compares one section of the snapshot with what its config has now.
func (c *comparison) section(was Section, found match) {
	if found.now < 0 {
		c.lost(was, found)
		return
	}
	now := c.now.Sections[found.now]
	switch {
	case now.Verdict == rekey.Unknown:
		c.stale(Untold, now, c.memory(was, now, found), "whether the token is good cannot be told%s", because(now.Seen))
	case now.Verdict == rekey.Valid && was.Verdict == rekey.Invalid && was.Token == now.Token:
		c.stale(OlderTokenGood, now, recordOf(was), "the token was refused on %s and is accepted again: GitLab went back to before it was replaced, and the one that replaced it is refused", day(c.was.TakenAt))
	case now.Verdict == rekey.Valid:
		c.diff.Intact++
	default:
		c.refused(was, now, found)
	}
}

// lost tells of a section that is not found again.
func (c *comparison) lost(was Section, found match) {
	switch {
	case len(c.now.Unread) > 0 && !slices.ContainsFunc(c.now.Sections, func(s Section) bool { return s.Config == was.Config }):
		// its config cannot be read, which Unread tells
	case found.doubt:
		c.stale(SectionGone, was, recordOf(was), "%s has fewer sections of this name, and which of them went cannot be told", was.Config)
	default:
		c.stale(SectionGone, was, recordOf(was), "%s has no such section any more", was.Config)
	}
}

// memory is the record whose attributes are a section's own. One that is known by
// its token or id has the record of then; any other rather the one that it names
// now, where the snapshot has that.
func (c *comparison) memory(was, now Section, found match) recordKey {
	_, named := c.before[recordOf(now)]
	if !found.known && (found.doubt || named) {
		return recordOf(now)
	}
	return recordOf(was)
}

func recordOf(s Section) recordKey { return recordKey{s.GitLab, s.RunnerID} }

// refused says why a token may be refused that a section has now.
func (c *comparison) refused(was, now Section, found match) {
	old, known := c.before[recordOf(now)]
	rec := c.present[recordOf(now)]
	doubt := ""
	if found.doubt {
		doubt = "; several sections have this name, and which of them it was cannot be told, so no other record's attributes are taken from the snapshot"
	}
	stale := func(change Change, format string, args ...any) {
		c.stale(change, now, c.memory(was, now, found), "%s%s", fmt.Sprintf(format, args...), doubt)
	}
	switch {
	case rec.Presence == PresenceGone:
		stale(RecordGone, "runner %d is gone", now.RunnerID)
	case known && rec.Presence == PresenceThere && identity(old, rec) == otherRecord:
		stale(RecordReplaced, "runner %d is another record now, made %s: the one of %s is gone", now.RunnerID, stamp(rec.CreatedAt), stamp(old.CreatedAt))
	case known && rec.Presence == PresenceThere && identity(old, rec) == doubtful:
		stale(RecordReplaced, "runner %d may be another record now, so it is not touched: %s (this GitLab does not say when a record was made)",
			now.RunnerID, strings.Join(differences(old.Attributes, rec.Attributes), "; "))
	case was.Token == now.Token && was.Verdict == rekey.Invalid:
		stale(RefusedBefore, "the token was refused when the snapshot was taken, too")
	case was.Token != now.Token:
		stale(TokenLater, "the section got another token after the snapshot%s, and GitLab does not know it", obtained(now))
	default:
		stale(TokenRefused, "the token was good on %s and is refused%s", day(c.was.TakenAt), recordText(rec, now))
	}
}

func (c *comparison) newSection(now Section) {
	if now.Verdict != rekey.Invalid {
		return
	}
	rec := c.present[recordOf(now)]
	text := "the snapshot does not know this section, and GitLab refuses its token"
	if rec.Presence == PresenceGone {
		text += fmt.Sprintf("; runner %d is gone", now.RunnerID)
	}
	c.stale(NewRefused, now, recordOf(now), "%s", text)
}

// stale tells of a section, with what the snapshot has of the record of.
func (c *comparison) stale(change Change, now Section, of recordKey, format string, args ...any) {
	s := StaleSection{Change: change, Repair: slices.Contains(repairable, change), Config: now.Config, Index: now.Index, Name: now.Name, GitLab: now.GitLab,
		RunnerID: now.RunnerID, Token: now.Token, Text: fmt.Sprintf(format, args...)}
	if old, ok := c.before[of]; ok && old.Presence == PresenceThere {
		a := old.Attributes
		a.Source = "the snapshot of " + stamp(c.was.TakenAt)
		s.Attributes = &a
		rec := c.present[recordOf(now)]
		s.Same = of == recordOf(now) && rec.Presence == PresenceThere && identity(old, rec) == certainlySame
	}
	c.diff.Sections = append(c.diff.Sections, s)
}

// sameness is whether two records of one id are the same.
type sameness int

const (
	certainlySame sameness = iota
	likelySame
	doubtful
	otherRecord
)

// identity compares when two records of one id were made: GitLab never changes
// that, and gives an id anew after it went back in time. GET /runners/:id tells it
// from 18.0 on; before, only what the record says of itself is left to compare.
func identity(a, b Record) sameness {
	switch {
	case !a.CreatedAt.IsZero() && !b.CreatedAt.IsZero():
		if a.CreatedAt.Truncate(time.Second).Equal(b.CreatedAt.Truncate(time.Second)) {
			return certainlySame
		}
		return otherRecord
	case a.Attributes.Scope == b.Attributes.Scope && a.Attributes.Description == b.Attributes.Description:
		return likelySame
	}
	return doubtful
}

func recordText(r Record, s Section) string {
	switch r.Presence {
	case PresenceThere:
		return fmt.Sprintf("; runner %d is there", s.RunnerID)
	case PresenceUnknown:
		return fmt.Sprintf("; whether runner %d is there cannot be told%s", s.RunnerID, because(r.Reason))
	}
	return "; its record was not looked for"
}

func obtained(s Section) string {
	if s.ObtainedAt.IsZero() {
		return ""
	}
	return " (" + stamp(s.ObtainedAt) + ")"
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}

func day(t time.Time) string   { return t.UTC().Format(time.DateOnly) }
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }
