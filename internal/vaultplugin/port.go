package vaultplugin

import (
	"context"
	"time"

	"rekey"
)

// GitLab is what the engine asks of one GitLab. It is safe for concurrent use.
type GitLab interface {
	// CreateRunner makes a record, once. seal is given the id out of the answer, 0
	// where none can be read, before the token is looked at; if it fails, the token is
	// dropped. unknown: a record may exist although err is not nil.
	CreateRunner(ctx context.Context, n rekey.NewRunner, seal func(rekey.RunnerID) error) (issued rekey.Issued, unknown bool, err error)
	// Runner reads a record; KindNotFound only where GitLab has none of this id.
	Runner(ctx context.Context, id rekey.RunnerID) (rekey.Runner, error)
	DeleteRunner(ctx context.Context, id rekey.RunnerID) error
	// FindByTag returns the records that carry the tag.
	FindByTag(ctx context.Context, tag string) ([]rekey.Runner, error)
	// Owner returns the group or project of a scope by path or id.
	Owner(ctx context.Context, scope rekey.Scope, pathOrID string) (rekey.Ref, error)
	// Scopes returns those of the user token; nil where GitLab does not tell.
	Scopes(ctx context.Context) ([]string, error)
}

// Connection is how a GitLab is reached.
type Connection struct {
	URL        string
	Token      rekey.Token
	CA         string // PEM of CAs trusted beside the system's
	ClientCert string // PEM
	ClientKey  rekey.Token
	RPS        float64 // requests per second; 0: no limit of our own
}

// Options is what the engine is given.
type Options struct {
	// Connect checks a connection and returns its client and its URL in one
	// spelling; it sends nothing.
	Connect func(Connection) (GitLab, string, error)
	// Now is the clock.
	Now func() time.Time
	// RollbackAfter is the age from which an unfinished creation is cleaned up; 0
	// is DefaultRollbackAfter.
	RollbackAfter time.Duration
	// Version of this build; told to Vault where it is a semantic version.
	Version string
}

// DefaultRollbackAfter leaves GitLab, which ends a request after a minute, time to
// commit a creation whose answer was lost before its record is looked for.
const DefaultRollbackAfter = 2 * time.Minute
