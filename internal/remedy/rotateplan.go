package remedy

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"rekey"
	"rekey/internal/configtoml"
)

// RotationFlags are what the operator asks of a rotation.
type RotationFlags struct {
	Runners  []string         // record ids, section names or fingerprints; empty with Due: all
	Due      bool             // only tokens whose time has come
	Strategy rekey.Remedy     // RemedyOverlap, RemedyReset, or "" for what is safe
	MaxAge   time.Duration    // 0: the token's own expiry alone
	Skip     []rekey.RunnerID // just rotated by a resumption
	Stored   bool             // a store gets the token: managers elsewhere may come over by their agents
	Agents   bool             // the operator says that they do, and takes a reset's refusals until then
	// Self is the runner whose job this process is, at SelfURL; 0: none.
	Self    rekey.RunnerID
	SelfURL string // "": unknown, and taken for every GitLab
}

// RotationPlanner plans rotations of tokens that are good. It asks GitLab only
// about the records that it plans for: when nothing is due, nothing.
type RotationPlanner struct {
	Flags  RotationFlags
	Host   Host
	Probe  Probe
	GitLab func(base string) GitLab
	Now    func() time.Time
	// SameGitLab reports whether two URLs name one GitLab.
	SameGitLab func(a, b string) bool
	// Generated says which tool writes a config, "" when none is recognised.
	Generated func(path string) string
	// Rights says which scopes the user token for a GitLab has; known is false
	// where GitLab does not tell.
	Rights func(base string) (scopes []string, known bool)
	// Admin reports whether that user is known to be an administrator.
	Admin func(base string) bool
	// RotatedAt is what an owners file says of a runner; zero when nothing.
	RotatedAt func(base string, id rekey.RunnerID) time.Time
	// Headroom is how many more runners a group or project may have; known is
	// false where the user may not read the limits.
	Headroom func(ctx context.Context, base string, scope rekey.Scope, owner rekey.Ref) (free int, known bool)
	// Open are the targets that earlier runs left open.
	Open []rekey.Target
	// Release is where the configs stand that Host reads, if that is a cluster; nil
	// for this machine.
	Release *Release
	// Neighbours returns what other gitlab-runners of this machine run on; nil is
	// none.
	Neighbours func(paths []string) []Neighbour
	// Progress is told how many records were looked at; nil is silence.
	Progress func(done, total int)

	others neighbours

	mu    sync.Mutex
	taken map[rekey.Ref]int // room that targets of this plan take
}

// held is one token and the sections that hold it.
type held struct {
	token    rekey.Token
	url      string
	sections []heldSection
}

type heldSection struct {
	rekey.Place
	configtoml.Section
	doc *configtoml.Document
}

func (h held) first() heldSection { return h.sections[0] }

// obtained is the youngest date that a section tells, with its end; without one, the
// nearest end that any tells.
func (h held) obtained() (obtained, expires time.Time) {
	for _, s := range h.sections {
		if s.ObtainedAt.After(obtained) {
			obtained, expires = s.ObtainedAt, s.ExpiresAt
		}
		if e := s.ExpiresAt; obtained.IsZero() && !e.IsZero() && (expires.IsZero() || e.Before(expires)) {
			expires = e
		}
	}
	return obtained, expires
}

// Plan reads the configs and plans what was asked for. Sections whose time has not
// come are not in it.
func (p *RotationPlanner) Plan(ctx context.Context, paths []string) (rekey.Plan, error) {
	plan := rekey.Plan{Targets: []rekey.Target{}, Left: []rekey.Left{}}
	all, err := p.read(paths)
	if err != nil {
		return plan, err
	}
	chosen, err := p.chosen(all)
	if err != nil {
		return plan, err
	}
	p.taken = map[rekey.Ref]int{}
	var wanted []held
	for _, h := range chosen {
		if h.first().ID != 0 && slices.Contains(p.Flags.Skip, h.first().ID) {
			continue
		}
		switch due, why := p.due(h); {
		case why != "":
			plan.Left = append(plan.Left, left(h, rekey.Info, leave("give its age with rotated_at in the owners file, or rotate it once by name", "%s", why)))
		case due:
			wanted = append(wanted, h)
		}
	}
	if len(wanted) > 0 {
		p.others = p.neighboursOf(paths)
	}
	targets, reasons := make([]rekey.Target, len(wanted)), make([]choice, len(wanted))
	done := 0
	forEach(wanted, func(i int, h held) {
		targets[i], reasons[i] = p.plan(ctx, h)
		p.mu.Lock()
		defer p.mu.Unlock()
		if done++; p.Progress != nil {
			p.Progress(done, len(wanted))
		}
	})
	for i, h := range wanted {
		if id := targets[i].RunnerID; id != 0 && slices.Contains(p.Flags.Skip, id) { // a section without an id, as of a release
			continue
		}
		if reasons[i].why != "" {
			plan.Left = append(plan.Left, left(h, rekey.Failing, reasons[i]))
			continue
		}
		plan.Targets = append(plan.Targets, targets[i])
	}
	return plan, ctx.Err()
}

func left(h held, severity rekey.Severity, c choice) rekey.Left {
	s := h.first()
	return rekey.Left{Config: s.Config, Index: s.Place.Index, Name: s.Place.Name, Causes: []rekey.Cause{}, Severity: severity, Reason: c.why, Next: c.next}
}

// read groups the sections of all configs by their token.
func (p *RotationPlanner) read(paths []string) ([]held, error) {
	var all []held
	at := map[rekey.Token]int{}
	for _, path := range paths {
		data, err := p.Host.Read(path)
		if err != nil {
			return nil, err
		}
		doc, err := configtoml.Parse(data)
		if err != nil {
			return nil, rekey.Errorf(rekey.KindUnavailable, "%s: %w", path, err).WithHint("mend the file first; nothing was changed")
		}
		for _, s := range doc.Sections() {
			h := heldSection{rekey.Place{Config: path, Index: s.Index, Name: s.Name, Before: s.Token.Fingerprint()}, s, doc}
			i, known := at[s.Token]
			if known && p.SameGitLab(all[i].url, s.URL) {
				all[i].sections = append(all[i].sections, h)
				continue
			}
			at[s.Token] = len(all)
			all = append(all, held{s.Token, s.URL, []heldSection{h}})
		}
	}
	return all, nil
}

// chosen returns what the words name; each must name something.
func (p *RotationPlanner) chosen(all []held) ([]held, error) {
	if len(p.Flags.Runners) == 0 {
		if !p.Flags.Due && len(all) > 1 {
			return nil, rekey.Errorf(rekey.KindInvalid, "which of %d runners to rotate must be said", len(all)).
				WithHint("name a runner by id, section or fingerprint, or give --due for those whose time has come")
		}
		return all, nil
	}
	var chosen []held
	used := map[string]bool{}
	for _, h := range all {
		i := slices.IndexFunc(p.Flags.Runners, h.named)
		if i < 0 {
			continue
		}
		chosen = append(chosen, h)
		for _, word := range p.Flags.Runners {
			used[word] = used[word] || h.named(word)
		}
	}
	for _, word := range p.Flags.Runners {
		if !used[word] && !p.done(word) {
			return nil, rekey.Errorf(rekey.KindInvalid, "no section is of runner %q, by id, name or fingerprint", word).
				WithHint("`rekey doctor` lists the sections; more files are named with --config")
		}
	}
	return chosen, nil
}

// done reports whether the word is the id of a record that a resumption has just
// rotated, and that may be gone by now.
func (p *RotationPlanner) done(word string) bool {
	return slices.ContainsFunc(p.Flags.Skip, func(id rekey.RunnerID) bool { return fmt.Sprint(id) == word })
}

func (h held) named(word string) bool {
	if len(word) >= 8 && strings.HasPrefix(string(h.token.Fingerprint()), word) {
		return true
	}
	return slices.ContainsFunc(h.sections, func(s heldSection) bool {
		return s.Place.Name == word || s.ID != 0 && fmt.Sprint(s.ID) == word
	})
}

// undatedMargin is how long before its end a token is due of which nobody knows
// when it was obtained: gitlab-runner does not rotate it by itself.
const undatedMargin = 7 * 24 * time.Hour

// due reports whether the token's time has come; why says what keeps that from
// being told.
func (p *RotationPlanner) due(h held) (due bool, why string) {
	if !p.Flags.Due {
		return true, ""
	}
	obtained, expires := h.obtained()
	id := h.first().ID
	if p.RotatedAt != nil {
		if at := p.RotatedAt(h.url, id); at.After(obtained) {
			obtained = at
		}
	}
	at, known := Due(obtained, expires, p.Flags.MaxAge, fmt.Sprintf("%s %d", h.url, id))
	switch {
	case known:
		return !p.Now().Before(at), ""
	case !expires.IsZero(): // how long it lives is not known
		return !p.Now().Before(expires.Add(-undatedMargin)), ""
	case p.Flags.MaxAge > 0:
		return false, "neither the config nor an owners file tells when this token was obtained"
	}
	return false, "" // it does not expire, and no --max-age limits it
}

// plan works one token out, or says why it is left alone.
func (p *RotationPlanner) plan(ctx context.Context, h held) (rekey.Target, choice) {
	s := h.first()
	t := rekey.Target{Config: s.Config, Index: s.Place.Index, Name: s.Place.Name, URL: s.URL, GitLab: s.URL, RunnerID: s.ID, Before: s.Before, Causes: []rekey.Cause{}}
	if p.Release != nil {
		t.Host = p.Release.Address
	}
	for _, more := range h.sections[1:] {
		t.Also = append(t.Also, more.Place)
	}
	if c := p.local(h, t); c.why != "" {
		return t, c
	}
	gl := p.GitLab(t.GitLab)
	if gl == nil {
		return t, leave("set GITLAB_TOKEN and GITLAB_HOST, or --url", "a rotation needs a user token for %s", t.GitLab)
	}
	found, c := p.look(ctx, gl, h, &t)
	if c.why == "" {
		c = p.itself(t) // a section without an id has one now
	}
	if c.why != "" {
		return t, c
	}
	if t.Remedy, c = p.strategy(h, found, t); c.why != "" {
		return t, c
	}
	if c = p.elsewhere(found, &t); c.why != "" {
		return t, c
	}
	if c = p.allowed(ctx, h, found, &t); c.why != "" {
		return t, c
	}
	t.Steps, t.Notes = describe(t), p.notes(h, found, t)
	return t, choice{}
}

// local is what can be told without asking GitLab.
func (p *RotationPlanner) local(h held, t rekey.Target) choice {
	if r := p.Release; r != nil && r.Refused != "" {
		return leave(r.Next, "%s", r.Refused)
	}
	seen := map[string]bool{}
	for _, s := range h.sections {
		open := rekey.Target{Config: s.Config, Index: s.Place.Index, Name: s.Place.Name, Before: s.Before}
		if slices.ContainsFunc(p.Open, func(o rekey.Target) bool { return sameSection(o, open) }) {
			return leave("`rekey rotate` finishes it first; `rekey fix --undo` gives it up", "an earlier operation on this section is not finished, and nothing new is begun before it is")
		}
		if p.Release == nil && begunBeside(s.doc, s.Place.Index) {
			return leave("run `rekey rotate` as the user, and with the --state-dir, that began it; where that journal is lost, look which of the two records serves and take the other one and its section out",
				"a second section stands right above it: a rotation is open that the journals here do not know")
		}
		if tool := p.Generated(s.Config); tool != "" {
			return leave(fmt.Sprintf("rotate it at its source (%s)", tool), "%s is written by %s, which would undo an edit", s.Config, tool)
		}
		if err := p.Host.CheckWritable(s.Config); err != nil {
			return leave(rekey.HintOf(err), "%v", err)
		}
		if seen[s.Config] {
			return leave("`rekey fix` gives each section a record of its own", "two sections of %s hold this token", s.Config)
		}
		seen[s.Config] = true
	}
	switch {
	case h.token.Kind() == rekey.TokenReference:
		return leave("rotate it where the variable comes from", "the token is a reference to the environment of gitlab-runner")
	case !h.token.Lexical().Sendable:
		return leave("`rekey fix` repairs the section", "the section holds no token that could be rotated")
	}
	for _, c := range []choice{p.itself(t), p.beside(h)} {
		if c.why != "" {
			return c
		}
	}
	return p.untimely(h)
}

// itself refuses the runner whose job this process is.
func (p *RotationPlanner) itself(t rekey.Target) choice {
	here := p.Flags.SelfURL == "" || p.SameGitLab(p.Flags.SelfURL, t.URL)
	if p.Flags.Self == 0 || p.Flags.Self != t.RunnerID || !here {
		return choice{}
	}
	return leave("run it from another runner, or from the host", "this is the runner that executes this job (CI_RUNNER_ID=%d): it would wait for its own end", p.Flags.Self)
}

// ownRotationMargin is how far from gitlab-runner's own rotation an edit keeps.
const ownRotationMargin = 10 * time.Minute

// untimely keeps away from gitlab-runner's own rotation: it would write the file,
// and reset the token, under the edit.
func (p *RotationPlanner) untimely(h held) choice {
	for _, s := range h.sections {
		at := ownRotation(s.ObtainedAt, s.ExpiresAt)
		if at.IsZero() || s.FeatureFlags[rotationSwitch] || s.ExpiresAt.Before(p.Now()) || p.Now().Before(at.Add(-ownRotationMargin)) {
			continue
		}
		return leave("let gitlab-runner do it; or set "+rotationSwitch+" = true for the section, restart gitlab-runner when idle, and run `rekey rotate` again; due dates of `rekey rotate --due` come before that moment",
			"gitlab-runner rotates this token by itself from %s on, and an edit under it would be lost", at.UTC().Format(time.RFC3339))
	}
	return choice{}
}

// rotationSwitch turns gitlab-runner's own rotation off (17.0 and later).
const rotationSwitch = "FF_DISABLE_AUTOMATIC_TOKEN_ROTATION"
