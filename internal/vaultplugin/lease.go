package vaultplugin

import (
	"context"
	"errors"
	"path"
	"time"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"rekey"
)

func pathEnd(p string) string { return path.Base(p) }

func (b *backend) runnerSecret() *framework.Secret {
	return &framework.Secret{
		Type: secretType,
		Fields: map[string]*framework.FieldSchema{
			"token":     {Type: framework.TypeString, Description: "The runner's authentication token.", DisplayAttrs: &framework.DisplayAttributes{Sensitive: true}},
			"runner_id": {Type: framework.TypeInt64, Description: "GitLab's id of the record."},
		},
		Renew:  b.renew,
		Revoke: b.revoke,
	}
}

// renew extends the lease of a record that exists, by the role as it is now. Nothing
// changes at GitLab.
func (b *backend) renew(ctx context.Context, req *logical.Request, _ *framework.FieldData) (*logical.Response, error) {
	rec, gl, err := b.lease(ctx, req)
	if err != nil {
		return refusal(err)
	}
	seen, err := gl.Runner(ctx, rec.RunnerID)
	switch {
	case err != nil && rekey.KindOf(err) == rekey.KindNotFound:
		return refusal(rekey.Errorf(rekey.KindNotFound, "runner %d is gone from GitLab, and its token dead", rec.RunnerID).
			WithHint("read creds/%s for a new one", rec.Role))
	case err != nil:
		return refusal(rekey.Errorf(rekey.KindOf(err), "the lease was not renewed: %w", err))
	case !rec.sameRecord(seen):
		return refusal(rekey.Errorf(rekey.KindConflict, "runner %d is not the one of this lease: it lacks the tag %s", rec.RunnerID, rec.Marker).
			WithHint("was GitLab restored from a backup? Read creds/%s for a new one", rec.Role))
	}
	r, err := loadRole(ctx, req.Storage, rec.Role)
	if err != nil {
		return nil, err
	}
	if r == nil {
		return refusal(rekey.Errorf(rekey.KindNotFound, "the role %s is gone: its leases end with their time", rec.Role))
	}
	if err := b.extend(ctx, req.Storage, rec, b.due(rec.issued(req.Secret), r.MaxTTL)); err != nil {
		return refusal(err)
	}
	resp := &logical.Response{Secret: req.Secret}
	resp.Secret.TTL, resp.Secret.MaxTTL = rec.limits(r.TTL, r.MaxTTL)
	return resp, nil
}

// issued is when Vault made the lease, by Vault's clock; Born, which is GitLab's, where
// Vault does not say or GitLab's clock is ahead.
func (r *record) issued(s *logical.Secret) time.Time {
	if born := time.Unix(r.Born, 0); born.After(s.IssueTime) {
		return born
	}
	return s.IssueTime
}

// extend moves the record's Due to due, never back: Vault may refuse the renewal after
// the engine agreed, as past a max_ttl that was lowered, and then keeps the lease as
// it was. A record that is due already stays so: the sweep may be deleting it.
func (b *backend) extend(ctx context.Context, s logical.Storage, rec *record, due int64) error {
	b.register.Lock()
	defer b.register.Unlock()
	stored, err := rec.stored(ctx, s)
	if err != nil {
		return err
	}
	rec.Due = due
	if stored != nil {
		if stored.past(b.opts.Now()) {
			return rekey.Errorf(rekey.KindConflict, "runner %d is being deleted: its lease was revoked", rec.RunnerID).WithHint("read creds/%s for a new one", rec.Role)
		}
		rec.Due = max(stored.Due, due)
	}
	return rec.put(ctx, s)
}

// revoke deletes the record. Where it fails Vault tries again for some minutes, then
// once a day, and after -sync not at all: so the sweep is told to delete it.
func (b *backend) revoke(ctx context.Context, req *logical.Request, _ *framework.FieldData) (*logical.Response, error) {
	rec, gl, err := b.lease(ctx, req)
	if rec == nil {
		return nil, err
	}
	if err == nil {
		_, err = rec.remove(ctx, gl)
	}
	switch {
	case err == nil:
		return nil, req.Storage.Delete(ctx, rec.key())
	case errors.Is(err, errAnother): // only time tells it: somebody may give the tag back
		return nil, err
	}
	return nil, errors.Join(err, b.condemn(context.WithoutCancel(ctx), req.Storage, rec))
}

// condemn makes the record due, if it is written down.
func (b *backend) condemn(ctx context.Context, s logical.Storage, rec *record) error {
	b.register.Lock()
	defer b.register.Unlock()
	stored, err := rec.stored(ctx, s)
	if err != nil || stored == nil {
		return err
	}
	now := b.opts.Now()
	if stored.past(now) {
		return nil
	}
	stored.Due = now.Unix()
	return stored.put(ctx, s)
}

func (b *backend) lease(ctx context.Context, req *logical.Request) (*record, GitLab, error) {
	if req.Secret == nil {
		return nil, nil, rekey.Errorf(rekey.KindInternal, "the request has no lease")
	}
	rec, err := leased(req.Secret.InternalData)
	if err != nil {
		return nil, nil, err
	}
	gl, err := b.gitlab(ctx, req.Storage, rec.Instance)
	return rec, gl, err
}
