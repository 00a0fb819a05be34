package agent

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"rekey"
	"rekey/internal/secretstore"
)

// State is how a section stands, for Health and Metrics.
type State string

// The states.
const (
	Starting State = "starting" // not looked at yet
	Stepped  State = "in_step"
	Behind   State = "behind"   // the two differ, or cannot be compared
	Degraded State = "degraded" // the store cannot be read; the config serves on
)

// track is one section that is looked after, from one look to the next.
type track struct {
	Section
	ref     secretstore.Ref
	problem *rekey.Error // why it cannot be looked after as it is
	twin    *rekey.Error // why not beside the others: theirs changes it, whatever its own config does

	due    time.Time // when it is looked at next
	soon   bool      // due for a reason that passes at once
	looked time.Time // when its secret was read last
	tries  int       // fruitless looks in a row that asked or wrote something
	lost   bool      // its secret could not be read, or was not tried since others could not
	failed int       // reads in a row that failed while others did not
	told   bool      // that was told

	state State
	since time.Time // of the state
	why   string
	next  string

	pair     pair // what the last fruitless look was about
	last     Decision
	until    time.Time           // nobody is asked about that pair before
	doubted  pair                // a Push.Over that was put off once
	seen     secretstore.Version // the version that was read last; "" where there was none
	noted    secretstore.Version
	watching bool
	watch    time.Time // not before
}

// pair is a config's token and a store's.
type pair struct{ config, store rekey.Fingerprint }

// refused is why it is not looked after, nil where it is.
func (t *track) refused() *rekey.Error { return cmp.Or(t.problem, t.twin) }

func (t *track) key() Key { return Key{t.Config, t.Name, t.ref.String()} }

// underRotation recognises the second section that an overlap rotation adds for a
// while, by the marker at the end of its name.
func underRotation(name string) bool {
	_, operation, found := strings.Cut(name, " "+rekey.Operation("").Marker())
	return found && operation != "" && !strings.ContainsFunc(operation, func(c rune) bool { return (c < '0' || c > '9') && (c < 'a' || c > 'z') && c != '-' })
}

// selects reports whether a section is looked after.
func (o Options) selects(s Section) bool {
	if len(o.Sections) > 0 {
		return slices.Contains(o.Sections, s.Name)
	}
	return s.Token.Kind() != rekey.TokenReference && !underRotation(s.Name)
}

// adopt takes what a config holds now. A section whose token has changed is due.
func (a *Agent) adopt(path string, sections []Section, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var kept []*track
	for _, t := range a.tracks {
		if t.Config != path {
			kept = append(kept, t)
		}
	}
	for _, s := range sections {
		if !a.opts.selects(s) {
			continue
		}
		t := a.known(path, s)
		if t.Token != s.Token || t.state == Starting {
			t.due, t.until = now, time.Time{}
		}
		t.Section = s
		t.ref, t.problem = a.refer(s)
		kept = append(kept, t)
	}
	a.tracks = kept
	a.refuseTwins(now)
}

// known returns the track of a section, a new one where there is none.
func (a *Agent) known(path string, s Section) *track {
	for _, t := range a.tracks {
		if t.Config == path && t.Name == s.Name && t.Index == s.Index {
			return t
		}
	}
	for _, t := range a.tracks { // it has moved within the file
		if t.Config == path && t.Name == s.Name {
			again := *t
			return &again
		}
	}
	return &track{state: Starting, since: a.opts.Now()}
}

// refer names the secret of a section.
func (a *Agent) refer(s Section) (secretstore.Ref, *rekey.Error) {
	if s.Token.Kind() == rekey.TokenReference {
		return secretstore.Ref{}, rekey.Errorf(rekey.KindInvalid, "its token is a reference to a variable, which is not kept in this file").
			WithHint("change it where the variable is set")
	}
	ref, err := a.opts.Pattern.For(secretstore.Names{Section: s.Name, Host: a.opts.Host})
	if err != nil {
		return ref, rekey.Errorf(rekey.KindInvalid, "%w", err).WithHint("%s", rekey.HintOf(err))
	}
	return ref, nil
}

// refuseTwins refuses every section whose secret is another one's too, in whatever
// config: each would be given the other's token. All are judged anew each time.
func (a *Agent) refuseTwins(now time.Time) {
	users := map[secretstore.Ref]int{}
	for _, t := range a.tracks {
		if t.problem == nil {
			users[t.ref]++
		}
	}
	for _, t := range a.tracks {
		was := t.twin
		t.twin = nil
		if n := users[t.ref]; t.problem == nil && n > 1 {
			t.twin = rekey.Errorf(rekey.KindInvalid, "%d sections would share %s", n, t.ref).
				WithHint("write {name} into --store and give the sections names of their own, or choose one with --section")
		}
		if (was == nil) != (t.twin == nil) {
			t.due = now
		}
	}
}

// become changes the state, and tells what is new about it; kind "" tells nothing.
func (a *Agent) become(t *track, state State, kind EventKind, why, next string) {
	a.mu.Lock()
	before, same := t.state, t.why == why
	if before != state {
		t.since = a.opts.Now()
	}
	t.state, t.why, t.next = state, why, next
	a.mu.Unlock()
	switch {
	case kind == "":
	case state == Stepped && (before == Behind || before == Degraded):
		a.tell(t, EventBack, "in step with "+t.ref.String(), "")
	case state != Stepped && (!same || before != state):
		a.tell(t, kind, why, next)
	}
}

func (a *Agent) tell(t *track, kind EventKind, text, next string) {
	a.ports.Report(Event{Kind: kind, Config: t.Config, Section: t.shown(), Text: text, Next: next})
}

// shown is the section's name for people.
func (t *track) shown() string {
	if t.Name == "" {
		return fmt.Sprintf("section %d", t.Index)
	}
	return t.Name
}

// command is the command that an advice stands for.
func (t *track) command(advice Advice) string {
	switch advice {
	case Diagnose:
		return fmt.Sprintf("`rekey doctor --config %s` says why", t.Config)
	case PutToken:
		return fmt.Sprintf("`rekey secret put %s` writes one, `rekey register` makes one", t.ref)
	case SeeStore:
		return fmt.Sprintf("`rekey secret list %s --versions` shows who was there when; `rekey secret put %s` writes another", t.ref, t.ref)
	case MakeRecord:
		return fmt.Sprintf("`rekey fix --config %s` gives the section a new token, which then goes into the store", t.Config)
	}
	return ""
}
