package vaultplugin

import (
	"context"
	"regexp"
	"sync"
	"time"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
)

// backend is the engine at one mount.
type backend struct {
	*framework.Backend
	opts Options

	mu       sync.Mutex
	client   *connected          // of the config as last read; nil after a change
	inFlight map[string]struct{} // markers of creations under way in this process
	swept    time.Time

	register sync.Mutex // held from reading the records written down until what follows of it is written; never while GitLab is asked
}

const backendHelp = `The rekey engine issues GitLab runners. Reading creds/ROLE creates a runner record
in GitLab and returns its authentication token (glrt-) with a lease; when the lease
ends or is revoked, the record is deleted and the token is dead.

Write "config" first (the GitLab, and a user token with the scopes create_runner,
manage_runner and read_api, or api), then "roles/NAME".`

// semantic is what Vault takes as a version.
const semantic = `^v\d+\.\d+\.\d+(?:[-+][0-9A-Za-z.+-]+)?$`

// Factory makes the engine for each mount.
func Factory(o Options) logical.Factory {
	if o.RollbackAfter <= 0 {
		o.RollbackAfter = DefaultRollbackAfter
	}
	return func(ctx context.Context, conf *logical.BackendConfig) (logical.Backend, error) {
		b := &backend{opts: o, inFlight: map[string]struct{}{}}
		b.Backend = &framework.Backend{
			Help:        backendHelp,
			BackendType: logical.TypeLogical,
			Paths:       framework.PathAppend(b.configPaths(), b.rolePaths(), b.credsPaths()),
			PathsSpecial: &logical.Paths{
				SealWrapStorage: []string{configKey},
			},
			Secrets:           []*framework.Secret{b.runnerSecret()},
			WALRollback:       b.rollback,
			WALRollbackMinAge: o.RollbackAfter,
			PeriodicFunc:      b.sweep,
			Invalidate:        b.invalidate,
		}
		if regexp.MustCompile(semantic).MatchString(o.Version) {
			b.RunningVersion = o.Version
		}
		return b, b.Setup(ctx, conf)
	}
}

// invalidate forgets the client when another node of Vault changed the config.
func (b *backend) invalidate(_ context.Context, key string) {
	if key == configKey {
		b.forget()
	}
}

func (b *backend) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.client = nil
}

// enter notes a creation under way; what it returns ends it.
func (b *backend) enter(marker string) (leave func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.inFlight[marker] = struct{}{}
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.inFlight, marker)
	}
}

func (b *backend) underWay(marker string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, yes := b.inFlight[marker]
	return yes
}
