package diagnose

import (
	"path/filepath"
	"strings"
	"time"

	"rekey"
)

// judgeTogether looks at what only several sections show together: a GitLab that
// went back in time or lost its secrets, and hosts that were cloned.
func (c *court) judgeTogether(s *section) {
	if s.Answer.Kind == rekey.AnswerRefused && !s.reference && !s.ofAnother() {
		c.judgeOlderWorks(s)
		c.judgeSecrets(s)
		c.judgeNewestGone(s)
		c.judgeAllRefused(s)
	}
	c.judgeClone(s)
}

// judgeOlderWorks: of two tokens of one record the later one is refused and the
// earlier one accepted. A reset never leads there; a backup put back does.
func (c *court) judgeOlderWorks(s *section) {
	const apart = time.Minute
	if s.RunnerID == 0 || s.ObtainedAt.IsZero() {
		return
	}
	for _, o := range c.gathered(s.base).accepted[s.RunnerID] {
		if o.token == s.token || o.ObtainedAt.IsZero() || s.ObtainedAt.Sub(o.ObtainedAt) < apart {
			continue
		}
		s.found(rekey.ServerRestored, rekey.Failing, rekey.Likely, s.answerSeen(),
			s.inFile("this token was obtained %s", day(s.ObtainedAt)),
			o.inAnswer("an older token of runner %d, %s of section %d of %s, obtained %s, is accepted", s.RunnerID, o.token, o.Index, o.Config, day(o.ObtainedAt)),
			missing("GitLab's administrator would make it certain: was it restored from a backup of before %s?", day(s.ObtainedAt)))
		return
	}
}

// judgeSecrets: GitLab refuses every token, and fails where it has to decrypt.
func (c *court) judgeSecrets(s *section) {
	const least = 2
	all := c.gathered(s.base)
	if len(all.accepted) > 0 {
		return
	}
	if s.server != nil && s.server.Undecryptable.Seen != "" {
		e := s.server.Undecryptable
		s.found(rekey.ServerRestored, rekey.Failing, rekey.Likely, s.answerSeen(), s.evidence(e.Where, e.At, "%s, and it accepts no token: it may have lost its secrets (gitlab-secrets.json)", e.Seen),
			missing("`gitlab-rake gitlab:doctor:secrets` on the server would make it certain"))
		return
	}
	if broken := all.broken; s.brokenPage() && len(broken) >= least {
		s.found(rekey.ServerRestored, rekey.Failing, rekey.Likely, s.answerSeen(),
			s.inRecord("GitLab fails to show runner %d%s", s.RunnerID, because(s.Record.Reason)),
			missing("the same holds for %d runners of this GitLab, and it accepts no token: it may have lost its secrets (gitlab-secrets.json); `gitlab-rake gitlab:doctor:secrets` on the server would make it certain", len(broken)))
	}
}

// judgeBeyond: several records are gone whose ids this GitLab has not reached,
// while it accepts the token of another section: it went back in time.
func (c *court) judgeBeyond(s *section, newest rekey.Evidence) bool {
	const least = 3 // one or two may well have been deleted
	all := c.gathered(s.base)
	beyond := 0
	for id := range all.gone {
		if id > s.server.NewestRunner {
			beyond++
		}
	}
	if beyond < least || len(all.accepted) == 0 {
		return false
	}
	s.found(rekey.ServerRestored, rekey.Failing, rekey.Likely, s.answerSeen(), newest,
		missing("the same holds for %d runners of these configs, while an older one is accepted; GitLab's administrator would make it certain: when was it restored from a backup?", beyond))
	return true
}

func (s *section) brokenPage() bool {
	return s.Record.Lookup == LookupFailed && strings.Contains(s.Record.Reason, "500")
}

// judgeNewestGone: several records are gone, and all of them are newer than every
// one that is there. Somebody may have deleted just these, so it is a hint.
func (c *court) judgeNewestGone(s *section) {
	const least = 3
	if s.Record.Lookup != LookupGone || s.beyondNewest() || s.onceThere() {
		return // GitLab's own newest id says more
	}
	all := c.gathered(s.base)
	gone, highest := all.gone, all.highest
	if highest > 0 && len(gone) >= least && all.lowestGone > highest {
		s.found(rekey.ServerRestored, rekey.Info, rekey.Likely,
			s.inRecord("%d runners of these configs are gone, and all of them are newer than runner %d, the newest that is there: GitLab may have been restored from a backup", len(gone), highest),
			missing("GitLab's administrator knows; an administrator's user token would decide, which can read the newest runner of the whole GitLab"))
	}
}

// judgeAllRefused: every record is there and no token is accepted. The configs may
// as well be the ones that are out of date (put back from a backup), or each token
// was reset: it is merely possible.
func (c *court) judgeAllRefused(s *section) {
	const least = 3
	all := c.gathered(s.base)
	if refused := all.refused; len(all.accepted) == 0 && s.record() != nil && len(refused) >= least {
		s.found(rekey.ServerRestored, rekey.Info, rekey.Possible, s.answerSeen(),
			missing("GitLab has the records of %d sections and accepts the token of none: it may have been restored or have lost its secrets, or these configs were; runners on other hosts would decide", len(refused)))
	}
}

func (s *section) directory() string {
	if s.config.File.Path != "" {
		return s.config.Host + filepath.Dir(s.config.File.Path)
	}
	return filepath.Dir(s.Config)
}

// gathering is what the sections of one GitLab show together. It is made once:
// a fleet has thousands of them.
type gathering struct {
	accepted   map[rekey.RunnerID][]*section // by the id that GitLab told, else the file's
	broken     map[rekey.RunnerID]bool       // refused, and their pages fail
	refused    map[rekey.RunnerID]bool       // refused, and their records are there
	gone       map[rekey.RunnerID]bool
	lowestGone rekey.RunnerID
	highest    rekey.RunnerID // that was found
	twins      map[rekey.SystemID]twins
}

// twins are the sections beside one system id.
type twins struct {
	sections    []*section
	directories int
	directory   string // of the last one
}

func (c *court) gathered(base string) *gathering {
	if c.gatherings == nil {
		c.gatherings = map[string]*gathering{}
		for _, s := range c.sections {
			if c.gatherings[s.base] == nil {
				c.gatherings[s.base] = &gathering{accepted: map[rekey.RunnerID][]*section{}, broken: map[rekey.RunnerID]bool{},
					refused: map[rekey.RunnerID]bool{}, gone: map[rekey.RunnerID]bool{}, twins: map[rekey.SystemID]twins{}}
			}
			c.gatherings[s.base].add(s)
		}
	}
	return c.gatherings[base]
}

func (g *gathering) add(s *section) {
	switch {
	case s.accepted():
		id := s.RunnerID
		if s.Answer.RunnerID != 0 {
			id = s.Answer.RunnerID
		}
		g.accepted[id] = append(g.accepted[id], s)
	case s.Answer.Kind == rekey.AnswerRefused && s.brokenPage():
		g.broken[s.RunnerID] = true
	case s.Answer.Kind == rekey.AnswerRefused && s.record() != nil:
		g.refused[s.RunnerID] = true
	}
	switch s.Record.Lookup {
	case LookupGone:
		g.gone[s.RunnerID] = true
		if g.lowestGone == 0 || s.RunnerID < g.lowestGone {
			g.lowestGone = s.RunnerID
		}
	case LookupFound:
		g.highest = max(g.highest, s.RunnerID)
	}
	g.beside(s)
}

// beside counts directories as they change along the configs: each config's
// sections stand together.
func (g *gathering) beside(s *section) {
	if s.SystemID == "" {
		return
	}
	t := g.twins[s.SystemID]
	if dir := s.directory(); len(t.sections) == 0 || dir != t.directory {
		t.directory, t.directories = dir, t.directories+1
	}
	t.sections = append(t.sections, s)
	g.twins[s.SystemID] = t
}
