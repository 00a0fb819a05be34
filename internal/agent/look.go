package agent

import (
	"context"
	"time"

	"rekey"
	"rekey/internal/secretstore"
)

const (
	// doubtFor is how long a refusal of a token is given to pass that nothing but the
	// refusal speaks against: a GitLab of several nodes may not know it everywhere yet.
	doubtFor = 3 * time.Second
	// unknownFor and refusedFor bound how rarely GitLab is asked the same again.
	unknownFor, refusedFor = time.Minute, 10 * time.Minute
	// awayFor bounds how rarely a store is tried that is away.
	awayFor = 5 * time.Minute
	// restless is how long the memory of quiet passes may gather.
	restless = 5 * time.Minute
	// shortly is when to look again at what changed under the look.
	shortly = 500 * time.Millisecond
)

// look is one look at one section.
type look struct {
	*track
	sight   Sight
	version secretstore.Version
	absent  bool // there is no secret at all
	err     error
	asked   bool
	unknown string // the last answer that told nothing
}

func (l *look) pair() pair { return pair{l.sight.Config.Fingerprint(), l.sight.Store.Fingerprint()} }

// read reads the store.
func (a *Agent) read(ctx context.Context, t *track) *look {
	l := &look{track: t, sight: Sight{Config: t.Token, Read: Found, Agreed: a.agreed[t.key()]}}
	t.looked = a.opts.Now()
	secret, err := a.ports.Store.Get(ctx, t.ref, "")
	switch {
	case rekey.KindOf(err) == rekey.KindNotFound && err != nil:
		l.sight.Read, l.absent, l.seen = Missing, true, "" // a watch of what was there would end at once
		return l
	case err != nil:
		l.sight.Read, l.err = Away, err
		return l
	}
	l.version, l.seen, l.sight.Store = secret.Version, secret.Version, secret.Value
	j := secretstore.Judge(secret.Value)
	switch {
	case secret.Value.IsZero():
		l.sight.Read = Missing
	case j.Mended:
		l.sight.Store = j.Cleaned
		a.note(l, j.Problem+": what stands around the token is left away", "`rekey secret get "+t.ref.String()+" --mend > /dev/null` takes it away in the store")
	case !j.Fit:
		l.sight.Read, l.err = Wrong, rekey.Errorf(rekey.KindInvalid, "%s", j.Problem)
	case j.Problem != "" && secret.Value != t.Token:
		a.note(l, "the store's token looks wrong: "+j.Problem, "")
	}
	return l
}

// note tells something about a version of a secret, once.
func (a *Agent) note(l *look, text, next string) {
	if l.noted != l.version {
		l.noted = l.version
		a.tell(l.track, EventNote, text, next)
	}
}

// decide judges, and asks GitLab as far as the judgement needs it. Of one pair of
// tokens the same is not asked again at once.
func (a *Agent) decide(ctx context.Context, l *look, down map[string]string) Decision {
	if d := Judge(l.sight); d.Action != Ask {
		return d
	}
	if l.pair() == l.track.pair && a.opts.Now().Before(l.until) {
		return l.last
	}
	for {
		d := Judge(l.sight)
		if d.Action != Ask {
			return d
		}
		if d.AskStore {
			l.sight.OfStore = a.ask(ctx, l, l.sight.Store, down)
		}
		if d.AskConfig {
			l.sight.OfConfig = a.ask(ctx, l, l.sight.Config, down)
		}
	}
}

// ask returns one of the three answers. A GitLab that was silent a moment ago is not
// waited for by every section in turn.
func (a *Agent) ask(ctx context.Context, l *look, token rekey.Token, down map[string]string) rekey.Verdict {
	l.asked = true
	if !token.Lexical().Sendable {
		return rekey.Invalid
	}
	if said, is := down[l.URL]; is {
		l.unknown = said
		return rekey.Unknown
	}
	a.at("asking GitLab", hangs)
	answer := a.ports.Ask(ctx, l.Section, token)
	a.ports.Alive()
	verdict := answer.Verdict()
	if verdict == rekey.Unknown {
		l.unknown = answer.Message
		if answer.Kind == rekey.AnswerUnreachable {
			down[l.URL] = answer.Message
		}
	}
	return verdict
}

// backoff is when the same is tried again that came to nothing n times.
func (a *Agent) backoff(n int, most time.Duration) time.Duration {
	d := a.opts.Interval
	for range min(n, 20) {
		d = min(2*d, max(most, a.opts.Interval))
	}
	return jittered(d)
}

// fruitless puts a section off whose difference stays, for a reason.
func (a *Agent) fruitless(l *look, d Decision) {
	if l.pair() != l.track.pair {
		l.tries = 0
	}
	if l.asked || l.pair() != l.track.pair {
		most := refusedFor
		if l.unknown != "" || l.err != nil {
			most = unknownFor
		}
		l.track.pair, l.last, l.until = l.pair(), d, a.opts.Now().Add(a.backoff(l.tries, most))
		l.tries++
	}
	why, next := d.Why, l.command(d.Next)
	if next == "" {
		next = rekey.HintOf(l.err)
	}
	if l.unknown != "" {
		why += ": " + l.unknown
	}
	if l.err != nil {
		why += ": " + l.err.Error()
	}
	if !l.asked && l.why != "" && d == l.last && l.state == Behind {
		why, next = l.why, l.next // said with the answer that was had then
	}
	a.become(l.track, Behind, EventBehind, why, next)
}
