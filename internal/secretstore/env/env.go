// Package env reads tokens from environment variables. It owns nothing but the
// reading: it refuses to write, and cannot know when a variable changed.
package env

import (
	"context"

	"rekey"
	"rekey/internal/secretstore"
)

// Store reads variables through a function.
type Store struct{ lookup func(string) (string, bool) }

// New returns the store of one environment.
func New(lookup func(string) (string, bool)) *Store { return &Store{lookup} }

// Features says that it reads, and nothing else.
func (s *Store) Features(context.Context, secretstore.Ref) (secretstore.Features, error) {
	return secretstore.Features{Swap: secretstore.SwapNone}, nil
}

// Get reads the variable; its fingerprint is its version.
func (s *Store) Get(_ context.Context, ref secretstore.Ref, version secretstore.Version) (secretstore.Secret, error) {
	text, set := s.lookup(ref.Name)
	if !set || text == "" {
		return secretstore.Secret{}, rekey.Errorf(rekey.KindNotFound, "%s: the variable is not set", ref).
			WithHint("export it, or see whether sudo dropped it: sudo --preserve-env=%s", ref.Name)
	}
	value := rekey.NewToken(text)
	now := secretstore.Version(value.Fingerprint())
	if version != "" && version != now {
		return secretstore.Secret{}, secretstore.NoEarlier(ref, "the environment keeps no earlier values")
	}
	return secretstore.Secret{Value: value, Version: now}, nil
}

// Put fails: a process cannot set what others read.
func (s *Store) Put(_ context.Context, ref secretstore.Ref, _ rekey.Token, _ secretstore.Put) (secretstore.Version, error) {
	return "", secretstore.Cannot(ref, "a variable can be read only")
}

// Versions fails.
func (s *Store) Versions(_ context.Context, ref secretstore.Ref) ([]secretstore.VersionInfo, error) {
	return nil, secretstore.Cannot(ref, "the environment keeps no earlier values")
}

// List fails: an environment holds more than secrets of rekey.
func (s *Store) List(_ context.Context, place secretstore.Ref) ([]secretstore.Entry, error) {
	return nil, secretstore.Cannot(place, "an environment is not listed")
}

// Delete fails.
func (s *Store) Delete(_ context.Context, ref secretstore.Ref) error {
	return secretstore.Cannot(ref, "a variable can be read only")
}

// Watch fails.
func (s *Store) Watch(_ context.Context, ref secretstore.Ref, _ secretstore.Version) error {
	return secretstore.Cannot(ref, "a process's environment does not change")
}

// Close does nothing.
func (s *Store) Close() error { return nil }
