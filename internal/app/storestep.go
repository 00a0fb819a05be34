package app

import (
	"context"
	"net/url"
	"os"
	"path"
	"strings"

	"rekey"
	"rekey/internal/remedy"
	"rekey/internal/secretstore"
)

// storeStep puts new tokens into secrets: those of a pattern, and those that journals
// name. The stores are opened when they are first needed.
type storeStep struct {
	stores  *Stores
	pattern *secretstore.Pattern // nil: plans put nothing into a store
	// ask asks the target's GitLab about a token that was found in a store.
	ask   func(ctx context.Context, t rekey.Target, token rekey.Token) rekey.Answer
	given rekey.Token // what goes into the section, where it is known beforehand
}

func (a *App) storeStep(in FixInput) (storeStep, error) {
	s := storeStep{stores: a.Stores(StoreInput{Access: in.Access, State: in.State})}
	if in.Store == "" {
		return s, nil
	}
	p, err := secretstore.ParsePattern(in.Store)
	if err != nil {
		return s, err
	}
	if p.Scheme() == secretstore.Env {
		return s, rekey.Errorf(rekey.KindInvalid, "%s cannot be written: it is a variable of this process", p).WithHint("name a store; docs/stores.md says which can be written")
	}
	s.pattern = &p
	return s, nil
}

func (s storeStep) close() {
	if s.stores != nil {
		_ = s.stores.Close()
	}
}

// secret opens what a target's Store names.
func (s storeStep) secret(text string) (remedy.Secret, error) {
	ref, err := secretstore.Parse(text)
	if err != nil {
		return nil, err
	}
	store, err := s.stores.For(ref)
	return keptSecret{s.stores.app, store, ref}, err
}

// keptSecret is remedy.Secret on a store.
type keptSecret struct {
	app   *App
	store secretstore.Store
	ref   secretstore.Ref
}

// Held reads the current version.
func (k keptSecret) Held(ctx context.Context) (remedy.Held, error) {
	got, err := k.store.Get(ctx, k.ref, "")
	if err != nil && rekey.KindOf(err) == rekey.KindNotFound {
		return remedy.Held{}, nil
	}
	k.app.saw(got.Value)
	return remedy.Held{Token: got.Value, Version: string(got.Version), RunnerID: got.Meta.RunnerID}, err
}

// Put writes over what was read and nothing else.
func (k keptSecret) Put(ctx context.Context, over remedy.Held, token rekey.Token, about remedy.About) (string, error) {
	expect := secretstore.Current(secretstore.Version(over.Version))
	if over.Version == "" {
		expect = secretstore.Absent()
	}
	k.app.saw(token)
	v, err := k.store.Put(ctx, k.ref, token, secretstore.Put{Meta: secretstore.Metadata(about), If: expect})
	return string(v), err
}

// Remove deletes the secret.
func (k keptSecret) Remove(ctx context.Context) error {
	err := k.store.Delete(ctx, k.ref)
	if err != nil && rekey.KindOf(err) == rekey.KindNotFound {
		return nil
	}
	return err
}

func noOwner(rekey.Target) string { return "" }

// deposit gives the plan's targets their secrets.
func (s storeStep) deposit(ctx context.Context, plan *rekey.Plan, owner func(rekey.Target) string) error {
	if s.pattern == nil || len(plan.Targets) == 0 {
		return nil
	}
	if len(plan.Targets) > 1 && s.pattern.Single() {
		return rekey.Errorf(rekey.KindInvalid, "%s is one secret, and %d sections would put their tokens into it", s.pattern, len(plan.Targets)).
			WithHint("write {name} into the reference: it stands for the section's name; or choose one section")
	}
	return remedy.Deposit(ctx, plan, s.look(owner))
}

// look reads what stands where a target's token is to go, and refuses what could not
// be written, or is somebody else's: before GitLab is asked for anything.
func (s storeStep) look(owner func(rekey.Target) string) func(context.Context, rekey.Target) (remedy.Stored, error) {
	return func(ctx context.Context, t rekey.Target) (remedy.Stored, error) {
		var stored remedy.Stored
		host, err := hostName(t)
		if err != nil {
			return stored, err
		}
		ref, err := s.pattern.For(secretstore.Names{Section: t.Name, Host: host})
		if err != nil {
			return stored, err
		}
		stored.Ref, stored.Owner = ref.String(), owner(t)
		if ref.Scheme == secretstore.Kube && strings.HasPrefix(t.Host, "k8s://") {
			return stored, rekey.Errorf(rekey.KindInvalid, "the pods of %s take their token from the cluster already", t.Host).WithHint("leave --store away, or name another store than the cluster's own Secrets")
		}
		store, err := s.stores.For(ref)
		if err != nil {
			return stored, unready(ref, err)
		}
		f, err := store.Features(ctx, ref)
		if err != nil {
			return stored, unready(ref, err)
		}
		if !f.Write {
			return stored, rekey.Errorf(rekey.KindInvalid, "%s cannot be written", ref).WithHint("docs/stores.md says which stores can be")
		}
		k := keptSecret{s.stores.app, store, ref}
		if stored.Held, err = k.Held(ctx); err != nil {
			return stored, unready(ref, err)
		}
		stored.Swap, stored.Version = string(f.Swap), stored.Held.Version
		stored.Notes = storeNotes(f)
		return stored, s.judgeStored(ctx, &stored, t)
	}
}

func unready(ref secretstore.Ref, err error) error {
	return rekey.Errorf(rekey.KindOf(err), "nothing is asked of GitLab while %s cannot be used: %w", ref, err).WithHint("%s", rekey.HintOf(err))
}

// storeNotes say what the store cannot do.
func storeNotes(f secretstore.Features) []string {
	var notes []string
	if f.Swap != secretstore.SwapAtomic {
		notes = append(notes, "this store cannot compare and write in one act: rekey looks first, and who writes in between is not seen")
	}
	if !f.Versions {
		notes = append(notes, "this store keeps no earlier values: the token from before is sealed in the journal alone")
	}
	return notes
}

// judgeStored refuses to write over what is no runner token, or another record's. Where
// nobody wrote beside a token whose it is, GitLab is asked: a good one that the section
// does not have is somebody else's.
func (s storeStep) judgeStored(ctx context.Context, found *remedy.Stored, t rekey.Target) error {
	held := found.Held
	if held.Token.IsZero() {
		return nil
	}
	found.Holds = held.Token.Fingerprint()
	rotated := len(t.Causes) == 0
	others := held.RunnerID != 0 && t.RunnerID != 0 && held.RunnerID != t.RunnerID
	j := secretstore.Judge(held.Token)
	switch {
	case !j.Fit && !j.Mended:
		return noToken(found.Ref, j.Problem)
	case found.Holds == t.Before, held.Token == s.given:
		return nil
	case others && (rotated || s.ask == nil):
		return rekey.Errorf(rekey.KindConflict, "%s holds the token of runner %d, not of runner %d", found.Ref, held.RunnerID, t.RunnerID).
			WithHint("name the right secret; or, where that runner is gone, take its token away with `rekey secret rm %s`", found.Ref)
	case held.RunnerID != 0 && held.RunnerID == t.RunnerID:
		return nil
	case j.Fit && held.RunnerID == 0 && held.Token.Kind() == rekey.TokenUnknown:
		return noToken(found.Ref, "it has the shape of none")
	case s.ask == nil, j.Mended, t.Config == "": // without a section the secret has to say whose it is
		return nil
	}
	answer := s.ask(ctx, t, held.Token)
	switch verdict := answer.Verdict(); {
	case verdict == rekey.Valid && (rotated || answer.RunnerID != t.RunnerID):
		return rekey.Errorf(rekey.KindConflict, "%s holds another token (%s) than the section, and GitLab takes it: it is another runner's", found.Ref, held.Token).
			WithHint("name the right secret; should it be the section's, `rekey agent --once --store %s` delivers it", found.Ref)
	case verdict == rekey.Unknown && (rotated || others):
		return rekey.Errorf(rekey.KindUnavailable, "%s holds another token (%s) than the section, and whose it is cannot be told: %s", found.Ref, held.Token, answer.Message).
			WithHint("where it is old, take it away with `rekey secret rm %s`", found.Ref)
	}
	return nil
}

func noToken(ref, problem string) error {
	return rekey.Errorf(rekey.KindInvalid, "%s holds something else than a runner token, and it is not written over: %s", ref, problem).
		WithHint("name another secret, or take that one away with `rekey secret rm %s`", ref)
}

// hostName is what {host} stands for: the machine on which the target's config is.
func hostName(t rekey.Target) (string, error) {
	address := t.Host
	if address == "" && strings.Contains(t.Config, "://") {
		address = t.Config
	}
	if t.Afar() || t.Agents && t.Config == "" {
		return "", nil // the record's host is not known here
	}
	if address == "" {
		name, err := os.Hostname()
		if err != nil {
			return "", rekey.Errorf(rekey.KindUnavailable, "this host's name is not known: %w", err)
		}
		return name, nil
	}
	u, err := url.Parse(address)
	if err != nil {
		return "", rekey.Errorf(rekey.KindInvalid, "%q is no address", address)
	}
	if u.Scheme == "k8s" {
		return path.Base(u.Path), nil
	}
	return u.Hostname(), nil
}
