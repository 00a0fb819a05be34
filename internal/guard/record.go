package guard

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"rekey"
)

// cached is how much a contact time may go back by itself: GitLab shows it from its
// cache, which an upgrade may empty, and stores it every 40 to 55 minutes.
const cached = time.Hour

// record compares one record of the snapshot with what GitLab has now.
func (c *comparison) record(was Record) {
	now, looked := c.present[recordKey{was.GitLab, was.ID}]
	if !looked || was.Presence != PresenceThere {
		return
	}
	stale := func(change Change, format string, args ...any) {
		c.diff.Records = append(c.diff.Records, StaleRecord{change, was.GitLab, was.ID, was.Attributes.Description, fmt.Sprintf(format, args...)})
	}
	switch {
	case now.Presence == PresenceGone:
		stale(Gone, "it is gone%s", made(was))
	case now.Presence != PresenceThere:
		return
	case identity(was, now) == otherRecord:
		stale(Replaced, "another record has its id: made %s, not %s", stamp(now.CreatedAt), stamp(was.CreatedAt))
	case !was.ContactAt.IsZero() && now.ContactAt.Before(was.ContactAt.Add(-cached)):
		text := "its last contact was " + stamp(was.ContactAt) + ", and GitLab says "
		if now.ContactAt.IsZero() {
			text += "never"
		} else {
			text += stamp(now.ContactAt)
		}
		stale(Older, "%s: the record is as it was before the snapshot%s", text, differing(was.Attributes, now.Attributes))
	default:
		if text := differences(was.Attributes, now.Attributes); len(text) > 0 {
			stale(Changed, "%s", strings.Join(text, "; "))
		}
	}
}

func made(r Record) string {
	if r.CreatedAt.IsZero() {
		return ""
	}
	return "; it was made " + stamp(r.CreatedAt)
}

func differing(was, now rekey.Attributes) string {
	if text := differences(was, now); len(text) > 0 {
		return "; " + strings.Join(text, "; ")
	}
	return ""
}

// differences names the attributes that are others now.
func differences(was, now rekey.Attributes) []string {
	var texts []string
	say := func(name string, a, b any) {
		if fmt.Sprint(a) != fmt.Sprint(b) {
			texts = append(texts, fmt.Sprintf("%s was %v, is %v", name, a, b))
		}
	}
	say("scope", was.Scope, now.Scope)
	say("description", fmt.Sprintf("%q", was.Description), fmt.Sprintf("%q", now.Description))
	say("tags", sorted(was.Tags), sorted(now.Tags))
	say("run_untagged", was.RunUntagged, now.RunUntagged)
	say("locked", was.Locked, now.Locked)
	say("paused", was.Paused, now.Paused)
	say("access_level", was.AccessLevel, now.AccessLevel)
	say("maximum_timeout", was.MaximumTimeout, now.MaximumTimeout)
	say("projects", ids(was.Projects), ids(now.Projects))
	return texts
}

func sorted(tags []string) []string {
	return slices.Sorted(slices.Values(tags))
}

func ids(refs []rekey.Ref) []int64 {
	list := []int64{}
	for _, r := range refs {
		list = append(list, r.ID)
	}
	slices.Sort(list)
	return list
}

// together says what the findings of one GitLab show as a whole.
func (c *comparison) together() {
	for _, g := range c.was.GitLabs {
		c.versions(g)
		if why := c.wentBack(g.URL); why != "" {
			c.note("%s was put back to an earlier time: %s. If the backup may be replaced by a newer one, do that first: what is repaired now is lost again then", g.URL, why)
			continue
		}
		c.secrets(g.URL)
	}
}

func (c *comparison) note(format string, args ...any) {
	c.diff.Notes = append(c.diff.Notes, fmt.Sprintf(format, args...))
}

func (c *comparison) versions(was GitLab) {
	for _, now := range c.now.GitLabs {
		if now.URL == was.URL && now.Version != was.Version && now.Version != "" && was.Version != "" {
			c.note("%s was GitLab %s, and is %s", was.URL, was.Version, now.Version)
		}
	}
}

// wentBack returns what shows that a GitLab went back in time: nothing else makes
// a replaced token good again, a contact earlier or an id another record's.
func (c *comparison) wentBack(gitlab string) string {
	count := map[Change]int{}
	for _, s := range c.diff.Sections {
		if s.GitLab == gitlab {
			count[s.Change]++
		}
	}
	for _, r := range c.diff.Records {
		if r.GitLab == gitlab {
			count[r.Change]++
		}
	}
	var why []string
	if n := count[OlderTokenGood]; n > 0 {
		why = append(why, fmt.Sprintf("older tokens are accepted again (%d)", n))
	}
	if n := count[Older]; n > 0 {
		why = append(why, fmt.Sprintf("records were last seen earlier than the snapshot has it (%d)", n))
	}
	if n := max(count[Replaced], count[RecordReplaced]); n > 0 {
		why = append(why, fmt.Sprintf("ids belong to other records, as far as can be told (%d)", n))
	}
	return strings.Join(why, ", ")
}

// secrets notes a GitLab that has the records and accepts none of the tokens.
func (c *comparison) secrets(gitlab string) {
	good, refused := 0, 0
	for _, s := range c.now.Sections {
		if s.GitLab == gitlab && s.Verdict == rekey.Valid {
			good++
		}
	}
	for _, s := range c.diff.Sections {
		if s.GitLab == gitlab && s.Change == TokenRefused && c.present[recordKey{gitlab, s.RunnerID}].Presence == PresenceThere {
			refused++
		}
	}
	if good == 0 && refused > 1 {
		c.note("%s has the records of %d sections and accepts none of their tokens: it may have lost its secrets (db_key_base in gitlab-secrets.json). "+
			"If they can be restored, that mends every runner at once: do that first", gitlab, refused)
	}
}
