package remedy_test

import (
	"context"
	"testing"

	"rekey"
	"rekey/internal/remedy"
)

// keptSafe is a store that something keeps a release's Secret in step with, at once.
type keptSafe struct {
	*safe
	release *release
}

func (s keptSafe) Put(ctx context.Context, over remedy.Held, token rekey.Token, about remedy.About) (string, error) {
	version, err := s.safe.Put(ctx, over, token, about)
	if err == nil {
		s.release.token = token
	}
	return version, err
}

// Where External Secrets or its like brings the new token to the Secret before rekey
// does, the rollout goes on with it, and an undo puts back what both held.
func TestAReleaseWhoseSecretFollowsTheStore(t *testing.T) {
	t.Parallel()
	all := newWorld(t)
	for name, stuck := range map[string]bool{"rotated": false, "undone": true} {
		w := all.fresh()
		r := w.released()
		old, token := w.records("runners/all")[0].ID, r.token
		s := keptSafe{holding(token.Reveal(), int64(old)), r}
		engine := func() *remedy.Engine {
			e := r.engine()
			e.Secrets = func(string) (remedy.Secret, error) { return s, nil }
			return e
		}
		r.stuck = stuck
		results, err := engine().Apply(t.Context(), rekey.Plan{Targets: []rekey.Target{s.into(r.target(old))}})
		if err != nil {
			t.Fatal(err)
		}
		if !stuck {
			if results[0].Status != rekey.StatusVerified || s.held.Token != r.token {
				t.Errorf("%s: got %+v, want it verified, and one token in both", name, results[0])
			}
			r.whole(name, old)
			continue
		}
		r.stuck = false
		if undone, err := engine().Undo(t.Context(), ""); err != nil || len(undone) != 1 {
			t.Errorf("%s: got %+v, %v", name, undone, err)
		}
		if records := w.records("runners/all"); len(records) != 1 || records[0].ID != old || r.token != token || s.held.Token != token {
			t.Errorf("%s: the records are %+v, the old token is in the Secret: %t, in the store: %t; want all as before", name, records, r.token == token, s.held.Token == token)
		}
	}
}
