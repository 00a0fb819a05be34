package lab

import (
	"cmp"
	"context"

	"rekey"
)

// Upgraded is what an upgrade changed.
type Upgraded struct {
	From                string `json:"from"`
	To                  string `json:"to"`
	Profile             string `json:"profile"`
	RegistrationAllowed bool   `json:"registration_tokens_allowed"`
}

// Upgrade makes the lab GitLab of a later version, as a self-managed server is
// upgraded: tokens and settings stay, what is made from now on is of the new
// version. The same version changes nothing; an older one is refused.
func (r *Rehearsal) Upgrade(ctx context.Context, to rekey.Version) (Upgraded, error) {
	r.change.Lock()
	defer r.change.Unlock()
	s, err := r.server()
	if err != nil {
		return Upgraded{}, err
	}
	from := s.version
	if older(to, from) {
		return Upgraded{}, downgrade(from, to)
	}
	if err := checkOptions(&Options{Dir: r.options.Dir, Now: r.options.Now, Version: to}); err != nil {
		return Upgraded{}, err
	}
	if from != to {
		r.options.Version = to
		err = r.restart(ctx, func() error { return nil })
		r.options.Version = rekey.Version{}
	}
	if err != nil {
		return Upgraded{}, err
	}
	if s, err = r.server(); err != nil {
		return Upgraded{}, err
	}
	return Upgraded{from.String(), to.String(), s.profile, s.settings().flag("allow_runner_registration_token")}, nil
}

// older reports whether a comes before b.
func older(a, b rekey.Version) bool {
	return cmp.Or(cmp.Compare(a.Major, b.Major), cmp.Compare(a.Minor, b.Minor), cmp.Compare(a.Patch, b.Patch)) < 0
}

func downgrade(from, to rekey.Version) error {
	return rekey.Errorf(rekey.KindInvalid, "the lab is GitLab %s: it cannot go back to %s", from, to).
		WithHint("GitLab cannot be downgraded; restore a snapshot from before the upgrade, or use another --data directory")
}
