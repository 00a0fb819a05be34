// Package vault keeps tokens in the KV secrets engines, versions 1 and 2, of Vault
// and OpenBao. It owns the logins, the paths of both versions, and which line of a
// policy a refusal misses. It refuses to follow a redirect, to repeat a write, and
// to write a field without the others that stand beside it.
package vault

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/vault/api"

	"rekey"
	"rekey/internal/secretstore"
)

// Options of a store.
type Options struct {
	Address    string // https://vault.example.com:8200
	Namespace  string // "" for the root's; a reference may name another
	CACert     string // PEM files, "" for the system's
	CAPath     string
	Cert, Key  string // of the client
	ServerName string
	Auth       Auth
	Patience   time.Duration // of one request; 0: 30 s
	Now        func() time.Time
}

// Store is one Vault, asked with one identity.
type Store struct {
	opts   Options
	client *api.Client

	mu     sync.Mutex
	login  login
	mounts map[string]mount // by namespace and first part of the path
}

// New prepares to ask; nothing is sent yet.
func New(o Options) (*Store, error) {
	if o.Patience <= 0 {
		o.Patience = 30 * time.Second
	}
	if o.Address == "" {
		return nil, rekey.Errorf(rekey.KindInvalid, "which Vault is meant is not known").WithHint("set VAULT_ADDR, as for the vault command: export VAULT_ADDR=https://vault.example.com:8200")
	}
	config := api.DefaultConfig()
	config.Address, config.AgentAddress = o.Address, ""
	config.MaxRetries, config.Timeout, config.DisableRedirects = 0, o.Patience, true
	config.Backoff, config.Limiter, config.Logger = nil, nil, nil
	tls := &api.TLSConfig{CACert: o.CACert, CAPath: o.CAPath, ClientCert: o.Cert, ClientKey: o.Key, TLSServerName: o.ServerName}
	if err := config.ConfigureTLS(tls); err != nil {
		return nil, rekey.Errorf(rekey.KindInvalid, "the TLS files for Vault cannot be used: %w", err).WithHint("check VAULT_CACERT, VAULT_CLIENT_CERT and VAULT_CLIENT_KEY")
	}
	config.HttpClient.Transport = noRedirect{config.HttpClient.Transport}
	client, err := api.NewClient(config)
	if err != nil {
		return nil, rekey.Errorf(rekey.KindInvalid, "the address of Vault cannot be used: %w", err).WithHint("write VAULT_ADDR as https://vault.example.com:8200")
	}
	client.ClearToken() // api reads VAULT_TOKEN by itself
	client.ClearNamespace()
	return &Store{opts: o, client: client, mounts: map[string]mount{}}, nil
}

// errRedirected marks an answer that points elsewhere.
var errRedirected = errors.New("it redirects elsewhere, which was not followed")

// noRedirect makes an error of every redirect: the client library takes one that it
// does not follow for an empty success.
type noRedirect struct{ next http.RoundTripper }

// RoundTrip sends the request.
func (n noRedirect) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := n.next.RoundTrip(r)
	if err == nil && resp.StatusCode >= 300 && resp.StatusCode < 400 {
		_ = resp.Body.Close()
		return nil, fmt.Errorf("%w (to %s)", errRedirected, hostOf(resp.Header.Get("Location")))
	}
	return resp, err
}

func hostOf(location string) string {
	_, rest, ok := strings.Cut(location, "://")
	if !ok {
		return "another path"
	}
	host, _, _ := strings.Cut(rest, "/")
	return host
}

// Features depends on the version of the engine.
func (s *Store) Features(ctx context.Context, ref secretstore.Ref) (secretstore.Features, error) {
	at, err := s.locate(ctx, ref)
	if err != nil {
		return secretstore.Features{}, err
	}
	f := secretstore.Features{Write: true, Swap: secretstore.SwapChecked, List: true, Delete: true, Metadata: true}
	if at.v2 {
		f.Swap, f.Versions = secretstore.SwapAtomic, true
	}
	return f, nil
}

// Get reads the field of a secret.
func (s *Store) Get(ctx context.Context, ref secretstore.Ref, version secretstore.Version) (secretstore.Secret, error) {
	at, err := s.locate(ctx, ref)
	if err != nil {
		return secretstore.Secret{}, err
	}
	doc, err := s.read(ctx, ref, at, version)
	if err != nil {
		return secretstore.Secret{}, err
	}
	return doc.secret(ref, at)
}

// Put reads the secret, sets the field and its metadata, and writes all of it: with
// check-and-set on version 2, so that nothing written meanwhile is lost.
func (s *Store) Put(ctx context.Context, ref secretstore.Ref, value rekey.Token, p secretstore.Put) (secretstore.Version, error) {
	at, err := s.locate(ctx, ref)
	if err != nil {
		return "", err
	}
	return s.edit(ctx, ref, at, value, p.If, func(fields map[string]any) bool {
		old, _ := fields[secretstore.Beside(ref.Key)].(string)
		fields[ref.Key] = value.Reveal()
		if text := p.Meta.Over(secretstore.ParseMetadata(old)).Text(); text != "" {
			fields[secretstore.Beside(ref.Key)] = text
		}
		return true
	})
}

// Delete takes the field out of the secret, or deletes the newest version when it
// was the last field; version 2 can bring that back.
func (s *Store) Delete(ctx context.Context, ref secretstore.Ref) error {
	at, err := s.locate(ctx, ref)
	if err != nil {
		return err
	}
	if _, err := s.Get(ctx, ref, ""); err != nil && rekey.KindOf(err) != rekey.KindInvalid {
		return err
	}
	_, err = s.edit(ctx, ref, at, rekey.Token{}, secretstore.Expect{}, func(fields map[string]any) bool {
		delete(fields, ref.Key)
		delete(fields, secretstore.Beside(ref.Key))
		return len(fields) > 0
	})
	return err
}

// Watch fails: only Vault Enterprise tells of changes.
func (s *Store) Watch(_ context.Context, ref secretstore.Ref, _ secretstore.Version) error {
	return secretstore.Cannot(ref, "Vault is polled")
}

// Close gives a token back that a login made.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.login.made {
		s.giveBack(s.client)
		s.login = login{}
	}
	return nil
}
