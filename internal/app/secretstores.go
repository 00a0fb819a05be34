package app

import (
	"context"
	"errors"
	"path/filepath"
	"sync"

	"rekey"
	"rekey/internal/gitlab"
	"rekey/internal/secretstore"
	"rekey/internal/secretstore/awssm"
	"rekey/internal/secretstore/env"
	"rekey/internal/secretstore/file"
	"rekey/internal/secretstore/gitlabvar"
	"rekey/internal/secretstore/kube"
	"rekey/internal/secretstore/vault"
)

// StoreInput says how the stores are reached. What it does not say comes from the
// environment that each product's own command reads.
type StoreInput struct {
	Access Access // for gitlab-var://
	State  StateInput
}

// Stores opens each store once, when it is first asked for. It is safe for
// concurrent use; Close ends what was opened.
type Stores struct {
	app *App
	in  StoreInput

	mu   sync.Mutex
	open map[secretstore.Scheme]secretstore.Store
}

// Stores opens nothing yet.
func (a *App) Stores(in StoreInput) *Stores {
	return &Stores{app: a, in: in, open: map[secretstore.Scheme]secretstore.Store{}}
}

// For returns the store of a reference.
func (s *Stores) For(ref secretstore.Ref) (secretstore.Store, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if store := s.open[ref.Scheme]; store != nil {
		return store, nil
	}
	store, err := s.app.openStore(ref.Scheme, s.in)
	if err == nil {
		s.open[ref.Scheme] = store
	}
	return store, err
}

// Close closes the stores that were opened.
func (s *Stores) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all error
	for scheme, store := range s.open {
		all = errors.Join(all, store.Close())
		delete(s.open, scheme)
	}
	return all
}

func (a *App) openStore(scheme secretstore.Scheme, in StoreInput) (secretstore.Store, error) {
	getenv := func(name string) string { return a.env(name) }
	switch scheme {
	case secretstore.Env:
		return env.New(a.getenv), nil
	case secretstore.File:
		key, err := a.storeKey(in.State)
		return file.New(file.Options{KeyFile: key, Now: a.Now}), err
	case secretstore.Vault:
		o := vault.FromEnvironment(getenv, a.env("HOME", "USERPROFILE"))
		o.Now, o.Patience = a.Now, in.Access.Timeout
		a.saw(o.Auth.Token, o.Auth.SecretID)
		return vault.New(o)
	case secretstore.AWS:
		return awssm.New(awssm.Options{Patience: in.Access.Timeout}), nil
	case secretstore.Kube:
		return kube.New(kube.Options{Getenv: getenv, Home: a.env("HOME", "USERPROFILE"), Patience: in.Access.Timeout}), nil
	case secretstore.GitLabVar:
		n, err := a.network(in.Access)
		if err != nil {
			return nil, err
		}
		client, err := n.needClient()
		if err != nil {
			return nil, err
		}
		return gitlabvar.New(variables{client}), nil
	}
	return nil, rekey.Errorf(rekey.KindInternal, "no store is for %s", scheme)
}

// storeKey is the key file of file:// where a reference names none.
func (a *App) storeKey(in StateInput) (string, error) {
	if key := a.env("REKEY_SECRET_KEY_FILE"); key != "" {
		return key, nil
	}
	dir, err := a.stateDir(in)
	return filepath.Join(dir, "secret", "key.txt"), err // a directory of its own: a repair holds the state directory's lock
}

// variables is gitlabvar.API on a client.
type variables struct{ *gitlab.Client }

// Variable reads a variable.
func (v variables) Variable(ctx context.Context, o gitlabvar.Owner, key, scope string) (gitlabvar.Variable, error) {
	found, err := v.Client.Variable(ctx, gitlab.VariableOwner(o), key, scope)
	return gitlabvar.Variable(found), noRoute(err)
}

// Variables lists them.
func (v variables) Variables(ctx context.Context, o gitlabvar.Owner) ([]gitlabvar.Variable, error) {
	found, err := v.Client.Variables(ctx, gitlab.VariableOwner(o))
	all := make([]gitlabvar.Variable, 0, len(found))
	for _, one := range found {
		all = append(all, gitlabvar.Variable(one))
	}
	return all, noRoute(err)
}

// CreateVariable fits the port.
func (v variables) CreateVariable(ctx context.Context, o gitlabvar.Owner, one gitlabvar.Variable) error {
	return v.Client.CreateVariable(ctx, gitlab.VariableOwner(o), gitlab.Variable(one))
}

// UpdateVariable fits the port.
func (v variables) UpdateVariable(ctx context.Context, o gitlabvar.Owner, one gitlabvar.Variable) error {
	return v.Client.UpdateVariable(ctx, gitlab.VariableOwner(o), gitlab.Variable(one))
}

// DeleteVariable fits the port.
func (v variables) DeleteVariable(ctx context.Context, o gitlabvar.Owner, key, scope string) error {
	return v.Client.DeleteVariable(ctx, gitlab.VariableOwner(o), key, scope)
}

// Lost fits the port.
func (v variables) Lost(err error) bool { return gitlab.OutcomeUnknown(err) }
