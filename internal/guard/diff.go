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
	met             []bool // sections of now that were found
}

// Compare says what is stale. Both snapshots were made with one key, and now has
// looked for every record that was and for those of the sections.
func Compare(was, now Snapshot) (Diff, error) {
	if was.Key != now.Key {
		return Diff{}, rekey.Errorf(rekey.KindConflict, "the snapshot was made with another key (%s, here is %s): its marks cannot be compared", was.Key, now.Key).
			WithHint("name the key of that host with --key-file; it lies in its state directory as snapshot.key")
	}
	c := &comparison{was: was, now: now, before: index(was.Records), present: index(now.Records), met: make([]bool, len(now.Sections)),
		diff: Diff{Schema: SchemaDiff, SnapshotAt: was.TakenAt, At: now.TakenAt, Key: now.Key, Sections: []StaleSection{}, Records: []StaleRecord{}, Notes: []string{},
			Unread: append([]string{}, now.Unread...)}}
	for _, s := range was.Sections {
		c.section(s)
	}
	for i, s := range now.Sections {
		if !c.met[i] {
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
func (c *comparison) section(was Section) {
	i := c.find(was)
	if i < 0 {
		if !slices.ContainsFunc(c.now.Sections, func(s Section) bool { return s.Config == was.Config }) && len(c.now.Unread) > 0 {
			return // its config cannot be read, which Unread tells
		}
		c.stale(SectionGone, was, was, "%s has no such section any more", was.Config)
		return
	}
	c.met[i] = true
	now := c.now.Sections[i]
	switch {
	case now.Verdict == rekey.Unknown:
		c.stale(Untold, was, now, "whether the token is good cannot be told%s", because(now.Seen))
	case now.Verdict == rekey.Valid && was.Verdict == rekey.Invalid && was.Token == now.Token:
		c.stale(OlderTokenGood, was, now, "the token was refused on %s and is accepted again: GitLab went back to before it was replaced, and the one that replaced it is refused", day(c.was.TakenAt))
	case now.Verdict == rekey.Valid:
		c.diff.Intact++
	default:
		c.refused(was, now)
	}
}

// find looks for a section again: the same place and name, else the name alone.
func (c *comparison) find(was Section) int {
	found := -1
	for i, s := range c.now.Sections {
		if c.met[i] || s.Config != was.Config || s.Name != was.Name || s.URL != was.URL {
			continue
		}
		if s.Index == was.Index {
			return i
		}
		if found < 0 || s.Token == was.Token {
			found = i
		}
	}
	return found
}

// refused says why a token may be refused that a section has now.
func (c *comparison) refused(was, now Section) {
	old, known := c.before[recordKey{now.GitLab, now.RunnerID}]
	rec := c.present[recordKey{now.GitLab, now.RunnerID}]
	switch {
	case rec.Presence == PresenceGone:
		c.stale(RecordGone, was, now, "runner %d is gone", now.RunnerID)
	case known && rec.Presence == PresenceThere && identity(old, rec) == otherRecord:
		c.stale(RecordReplaced, was, now, "runner %d is another record now, made %s: the one of %s is gone", now.RunnerID, stamp(rec.CreatedAt), stamp(old.CreatedAt))
	case known && rec.Presence == PresenceThere && identity(old, rec) == doubtful:
		c.stale(RecordReplaced, was, now, "runner %d may be another record now, so it is not touched: %s (this GitLab does not say when a record was made)",
			now.RunnerID, strings.Join(differences(old.Attributes, rec.Attributes), "; "))
	case was.Token == now.Token && was.Verdict == rekey.Invalid:
		c.stale(RefusedBefore, was, now, "the token was refused when the snapshot was taken, too")
	case was.Token != now.Token:
		c.stale(TokenLater, was, now, "the section got another token after the snapshot%s, and GitLab does not know it", obtained(now))
	default:
		c.stale(TokenRefused, was, now, "the token was good on %s and is refused%s", day(c.was.TakenAt), recordText(rec, now))
	}
}

func (c *comparison) newSection(now Section) {
	if now.Verdict != rekey.Invalid {
		return
	}
	rec := c.present[recordKey{now.GitLab, now.RunnerID}]
	text := "the snapshot does not know this section, and GitLab refuses its token"
	if rec.Presence == PresenceGone {
		text += fmt.Sprintf("; runner %d is gone", now.RunnerID)
	}
	c.stale(NewRefused, now, now, "%s", text)
}

func (c *comparison) stale(change Change, was, now Section, format string, args ...any) {
	s := StaleSection{Change: change, Repair: slices.Contains(repairable, change), Config: now.Config, Index: now.Index, Name: now.Name, GitLab: now.GitLab,
		RunnerID: now.RunnerID, Token: now.Token, Text: fmt.Sprintf(format, args...)}
	if old, ok := c.before[recordKey{was.GitLab, was.RunnerID}]; ok && old.Presence == PresenceThere {
		a := old.Attributes
		a.Source = "the snapshot of " + stamp(c.was.TakenAt)
		s.Attributes = &a
		rec := c.present[recordKey{now.GitLab, now.RunnerID}]
		s.Same = was.RunnerID == now.RunnerID && rec.Presence == PresenceThere && identity(old, rec) == certainlySame
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
