package controller

import (
	"context"
	"sync"
	"time"

	"rekey"
	"rekey/internal/diagnose"
)

// Whole is what a user token may tell of a GitLab as a whole, most of it an
// administrator's only. A Fleet that has it is asked where sections leave a
// question that it answers, once for all of them.
type Whole interface {
	// NewestRunner returns the highest id of all runners; whole is false where there
	// may be a higher one.
	NewestRunner(ctx context.Context) (id rekey.RunnerID, whole bool, err error)
	// Undecryptable returns the request that GitLab fails to answer for want of its
	// secrets, "" where it decrypts.
	Undecryptable(ctx context.Context) (request string, err error)
	// TokenLife returns how long tokens issued now live, by scope; 0 is for ever.
	TokenLife(ctx context.Context) (map[rekey.Scope]time.Duration, error)
}

// wholes asks each GitLab what the answers about its sections leave open.
func (o *Observer) wholes(facts *diagnose.Facts, servers map[string]*server) {
	open := map[*server]*question{}
	for i := range facts.Configs {
		for j := range facts.Configs[i].Sections {
			s := &facts.Configs[i].Sections[j]
			url, _ := destination(s)
			base, err := o.BaseURL(url)
			if err != nil {
				continue
			}
			srv := servers[base]
			if open[srv] == nil {
				open[srv] = &question{}
			}
			open[srv].add(s)
		}
	}
	var wait sync.WaitGroup
	for srv, q := range open {
		if whole, ok := srv.fleet.(Whole); ok {
			wait.Go(func() { srv.whole(whole, *q) })
		}
	}
	wait.Wait()
}

// question is what the sections of one GitLab leave open.
type question struct {
	refused, accepted, gone, undated int
}

func (q *question) add(s *diagnose.Section) {
	switch s.Answer.Kind {
	case rekey.AnswerRefused:
		q.refused++
	case rekey.AnswerAccepted:
		q.accepted++
	}
	if s.Record.Lookup == diagnose.LookupGone {
		q.gone++
	}
	if s.Answer.Kind == rekey.AnswerAccepted && s.Answer.RunnerID == 0 && s.ExpiresAt.IsZero() {
		q.undated++ // discovery accepted it, which tells no date
	}
	if s.Answer.Kind == rekey.AnswerRefused && s.Record.Lookup == diagnose.LookupFound && !s.ObtainedAt.IsZero() && s.ExpiresAt.IsZero() {
		q.undated++ // by its age it may be over
	}
}

// whole asks; what GitLab refuses to tell stays unknown.
func (s *server) whole(ask Whole, q question) {
	const several = 2
	if q.gone > 0 {
		if id, whole, err := ask.NewestRunner(s.ctx); err == nil {
			s.facts.NewestRunner, s.facts.NewestIsWhole = id, whole
		}
	}
	if q.refused >= several && q.accepted == 0 {
		if request, err := ask.Undecryptable(s.ctx); err == nil && request != "" {
			s.facts.Undecryptable = rekey.Evidence{Seen: "GitLab answers 500 where it has to decrypt", Where: request, At: s.now().UTC()}
		}
	}
	if q.undated > 0 {
		if life, err := ask.TokenLife(s.ctx); err == nil {
			s.facts.TokenLife = life
		}
	}
}
