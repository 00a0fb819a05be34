// Package gitlabvar keeps tokens in CI/CD variables of projects and groups. It owns
// which attributes a variable gets and what its description keeps. It refuses to
// claim more than GitLab has: no earlier values, no comparison in the write itself,
// and no reading of a variable that is hidden.
package gitlabvar

import (
	"context"
	"errors"
	"strings"
	"sync"

	"rekey"
	"rekey/internal/secretstore"
)

// Owner is a project or a group.
type Owner struct {
	Group bool
	Path  string
}

// Variable is a CI/CD variable.
type Variable struct {
	Key         string
	Value       rekey.Token
	Scope       string // environment scope, "*" for all
	Masked      bool
	Hidden      bool
	Protected   bool
	Raw         bool
	Description string
}

// API is what the store needs of GitLab. Changes are never repeated; errors are
// *rekey.Error.
type API interface {
	Variable(ctx context.Context, o Owner, key, scope string) (Variable, error)
	Variables(ctx context.Context, o Owner) ([]Variable, error)
	CreateVariable(ctx context.Context, o Owner, v Variable) error
	UpdateVariable(ctx context.Context, o Owner, v Variable) error
	DeleteVariable(ctx context.Context, o Owner, key, scope string) error
	// Lost reports whether err leaves open if a change was made.
	Lost(err error) bool
}

// Store is one GitLab, asked as one user.
type Store struct {
	api API

	mu     sync.Mutex
	owners map[string]Owner // what a path turned out to be
}

// New returns the store; nothing is sent yet.
func New(api API) *Store { return &Store{api: api, owners: map[string]Owner{}} }

// Features says what GitLab has.
func (s *Store) Features(context.Context, secretstore.Ref) (secretstore.Features, error) {
	return secretstore.Features{Write: true, Swap: secretstore.SwapChecked, List: true, Delete: true, Metadata: true}, nil
}

// scope is the environment scope of a reference; GitLab's own default is all.
func scope(ref secretstore.Ref) string {
	if env := ref.Option("env"); env != "" {
		return env
	}
	return "*"
}

// of calls do with the owner, which is a project or else a group: by the option kind,
// by what it was before, or by asking for the one and then for the other.
func (s *Store) of(ref secretstore.Ref, do func(Owner) error) error {
	switch ref.Option("kind") {
	case "project":
		return do(Owner{Path: ref.Place})
	case "group":
		return do(Owner{Group: true, Path: ref.Place})
	}
	s.mu.Lock()
	o, known := s.owners[ref.Place]
	s.mu.Unlock()
	if known {
		return do(o)
	}
	o = Owner{Path: ref.Place}
	err := do(o)
	if rekey.KindOf(err) == rekey.KindNotFound && !missingVariable(err) {
		group := Owner{Group: true, Path: ref.Place}
		if of := do(group); of == nil || rekey.KindOf(of) != rekey.KindNotFound || missingVariable(of) {
			o, err = group, of
		}
	}
	if err == nil || missingVariable(err) {
		s.mu.Lock()
		s.owners[ref.Place] = o
		s.mu.Unlock()
	}
	return err
}

// missingVariable tells a variable that is not there from an owner that is not:
// 404 Variable Not Found.
func missingVariable(err error) bool {
	return errors.Is(err, errNoVariable) || err != nil && rekey.KindOf(err) == rekey.KindNotFound && strings.Contains(err.Error(), "Variable Not Found")
}

var errNoVariable = errors.New("there is no such variable")

func (s *Store) variable(ctx context.Context, ref secretstore.Ref) (o Owner, v Variable, err error) {
	err = s.of(ref, func(owner Owner) (err error) {
		o = owner
		v, err = s.api.Variable(ctx, owner, ref.Name, scope(ref))
		return err
	})
	if missingVariable(err) {
		err = &rekey.Error{Kind: rekey.KindNotFound, Msg: ref.String() + ": there is no such variable in the scope " + scope(ref), Err: errNoVariable,
			Hint: "`rekey secret list gitlab-var://" + ref.Place + "` shows those there are; name another scope with ?env="}
	}
	return o, v, err
}

func version(v Variable) secretstore.Version {
	if v.Hidden {
		return "hidden"
	}
	return secretstore.Version(v.Value.Fingerprint())
}

// Get reads the variable; its fingerprint is its version.
func (s *Store) Get(ctx context.Context, ref secretstore.Ref, want secretstore.Version) (secretstore.Secret, error) {
	_, v, err := s.variable(ctx, ref)
	switch {
	case err != nil:
		return secretstore.Secret{}, err
	case v.Hidden:
		return secretstore.Secret{}, rekey.Errorf(rekey.KindDenied, "%s: the variable is hidden: GitLab shows its value to jobs alone", ref).
			WithHint("keep a token that must be read again in a variable that is masked, not hidden: delete this one and put it anew")
	case want != "" && want != version(v):
		return secretstore.Secret{}, secretstore.NoEarlier(ref, "GitLab keeps no earlier values of a variable")
	case v.Value.IsZero():
		return secretstore.Secret{}, rekey.Errorf(rekey.KindInvalid, "%s: the variable is empty", ref).WithHint("write it: `rekey secret put %s`", ref)
	}
	return secretstore.Secret{Value: v.Value, Version: version(v), Meta: described(v.Description)}, nil
}

// Put makes the variable masked and raw where it is new and the reference does not
// say otherwise; one that is there keeps what the reference does not name.
func (s *Store) Put(ctx context.Context, ref secretstore.Ref, value rekey.Token, p secretstore.Put) (secretstore.Version, error) {
	o, v, err := s.variable(ctx, ref)
	found := err == nil
	if err != nil && rekey.KindOf(err) != rekey.KindNotFound || err != nil && o == (Owner{}) {
		return "", err
	}
	if !found && !missingVariable(err) {
		return "", err
	}
	if err := p.If.Check(ref, version(v), found); err != nil {
		return "", err
	}
	if !found {
		v = Variable{Key: ref.Name, Scope: scope(ref), Masked: true, Raw: true}
	}
	v.Value = value
	v.Masked, v.Protected, v.Raw = option(ref, "masked", v.Masked), option(ref, "protected", v.Protected), option(ref, "raw", v.Raw)
	v.Description = describe(v.Description, p.Meta)
	if !found {
		v.Hidden = option(ref, "hidden", false)
		err = s.api.CreateVariable(ctx, o, v)
	} else {
		err = s.api.UpdateVariable(ctx, o, v)
	}
	switch {
	case err == nil:
		return version(v), nil
	case s.api.Lost(err):
		return secretstore.Settle(ctx, s, ref, value, err)
	}
	return "", refused(ref, v, err)
}

// refused words the refusals that speak of the value.
func refused(ref secretstore.Ref, v Variable, err error) error {
	switch {
	case rekey.KindOf(err) != rekey.KindInvalid:
		return err
	case strings.Contains(err.Error(), "has already been taken"):
		return secretstore.Moved(ref, "there is a secret already")
	case v.Masked && strings.Contains(err.Error(), "value"):
		return rekey.Errorf(rekey.KindInvalid, "%s: GitLab cannot mask this value: it needs 8 characters of one line, without spaces", ref).
			WithHint("a runner token can be masked: see whether the value has a newline; ?masked=false writes it unmasked, and jobs may print it then")
	}
	return err
}

func option(ref secretstore.Ref, name string, otherwise bool) bool {
	switch ref.Option(name) {
	case "true":
		return true
	case "false":
		return false
	}
	return otherwise
}

// mark begins a description that rekey keeps metadata in.
const mark = "rekey: "

// longestDescription is what GitLab keeps of one.
const longestDescription = 255

// describe leaves a description alone that a person wrote, and one that would grow
// too long.
func describe(old string, meta secretstore.Metadata) string {
	text := meta.Over(described(old)).Text()
	if text == "" || old != "" && !strings.HasPrefix(old, mark) || len(mark+text) > longestDescription {
		return old
	}
	return mark + text
}

func described(text string) secretstore.Metadata {
	return secretstore.ParseMetadata(strings.TrimPrefix(text, mark))
}

// Versions fails.
func (s *Store) Versions(_ context.Context, ref secretstore.Ref) ([]secretstore.VersionInfo, error) {
	return nil, secretstore.Cannot(ref, "GitLab keeps no earlier values of a variable")
}

// List names the variables of a project or group.
func (s *Store) List(ctx context.Context, place secretstore.Ref) ([]secretstore.Entry, error) {
	var found []Variable
	err := s.of(place, func(o Owner) (err error) {
		found, err = s.api.Variables(ctx, o)
		return err
	})
	if err != nil {
		return nil, err
	}
	var list []secretstore.Entry
	for _, v := range found {
		ref := place.With(v.Key, "")
		if v.Scope != "*" {
			ref = ref.Having("env", v.Scope)
		}
		list = append(list, secretstore.Entry{Ref: ref, Meta: described(v.Description)})
	}
	return list, nil
}

// Delete removes the variable of the reference's scope.
func (s *Store) Delete(ctx context.Context, ref secretstore.Ref) error {
	o, _, err := s.variable(ctx, ref)
	if err != nil {
		return err
	}
	return s.api.DeleteVariable(ctx, o, ref.Name, scope(ref))
}

// Watch fails.
func (s *Store) Watch(_ context.Context, ref secretstore.Ref, _ secretstore.Version) error {
	return secretstore.Cannot(ref, "GitLab is polled")
}

// Close does nothing: the client is the caller's.
func (s *Store) Close() error { return nil }
