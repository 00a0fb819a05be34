package vaultplugin

import (
	"context"
	"errors"
	"time"

	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"

	"rekey"
)

// rollback ends a creation that did not come to its end: what wears its marker is
// deleted. Vault calls it again until it succeeds.
func (b *backend) rollback(ctx context.Context, req *logical.Request, kind string, data any) error {
	fields, _ := data.(map[string]any)
	if kind != walCreate {
		return rekey.Errorf(rekey.KindInternal, "an entry of kind %q is not known", kind)
	}
	rec, err := leased(fields)
	if err != nil {
		return err
	}
	if b.underWay(rec.Marker) {
		return rekey.Errorf(rekey.KindConflict, "the creation of the runner with the tag %s is still under way", rec.Marker)
	}
	if stored, err := rec.stored(ctx, req.Storage); err != nil {
		return err
	} else if stored != nil {
		rec = stored
	}
	gl, err := b.gitlab(ctx, req.Storage, rec.Instance)
	if err != nil {
		return err
	}
	found, err := rec.remove(ctx, gl)
	if err != nil {
		return err
	}
	b.Logger().Info("an interrupted creation was rolled back", "marker", rec.Marker, "deleted", found)
	return req.Storage.Delete(ctx, rec.key())
}

const sweepEvery = 10 * time.Minute

// sweep deletes the records that no lease can hold any more: Vault stores a lease
// after the engine has answered, and may have ended in between.
func (b *backend) sweep(ctx context.Context, req *logical.Request) error {
	now := b.opts.Now()
	if !b.timeToSweep(now) {
		return nil
	}
	var failures []error
	err := outstanding(ctx, req.Storage, func(rec *record) error {
		if rec.Due == 0 || now.Unix() < rec.Due || b.underWay(rec.Marker) {
			return nil
		}
		if err := b.sweepOne(ctx, req.Storage, rec); err != nil {
			failures = append(failures, err)
		}
		return nil
	})
	return errors.Join(append(failures, err)...)
}

func (b *backend) timeToSweep(now time.Time) bool {
	if !b.WriteSafeReplicationState() || b.System().ReplicationState().HasState(consts.ReplicationPerformanceStandby) {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if now.Sub(b.swept) < sweepEvery {
		return false
	}
	b.swept = now
	return true
}

func (b *backend) sweepOne(ctx context.Context, s logical.Storage, rec *record) error {
	gl, err := b.gitlab(ctx, s, rec.Instance)
	if err != nil {
		return err
	}
	found, err := rec.remove(ctx, gl)
	if err != nil {
		return err
	}
	if found {
		b.Logger().Warn("deleted a runner that no lease held any more", "runner_id", int64(rec.RunnerID), "role", rec.Role, "marker", rec.Marker)
	}
	return s.Delete(ctx, rec.key())
}
