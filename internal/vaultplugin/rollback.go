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
	found, err := b.end(ctx, req.Storage, gl, rec)
	if err != nil {
		return err
	}
	b.Logger().Info("an interrupted creation was rolled back", "marker", rec.Marker, "deleted", found)
	return nil
}

const sweepEvery = 10 * time.Minute

// sweep deletes the records that no lease can hold any more: Vault stores a lease
// after the engine has answered, and may have ended in between; or GitLab was away when
// the lease was revoked.
func (b *backend) sweep(ctx context.Context, req *logical.Request) error {
	now := b.opts.Now()
	if !b.timeToSweep(now) {
		return nil
	}
	var failures []error
	err := outstanding(ctx, req.Storage, func(rec *record) error {
		if !rec.past(now) || b.underWay(rec.Marker) {
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
	found, err := b.end(ctx, s, gl, rec)
	if found {
		b.Logger().Warn("deleted a runner that no lease held any more", "runner_id", int64(rec.RunnerID), "role", rec.Role, "marker", rec.Marker)
	}
	return err
}

// end deletes the record of no lease, and forgets it. One whose id is another's by now
// and whose tag nothing wears is given up: the other is left alone.
func (b *backend) end(ctx context.Context, s logical.Storage, gl GitLab, rec *record) (found bool, err error) {
	found, err = rec.remove(ctx, gl)
	given := errors.Is(err, errAnother)
	if given {
		err = rec.unworn(ctx, gl, err)
	}
	if err == nil {
		err = s.Delete(ctx, rec.key())
	}
	if given && err == nil {
		b.Logger().Warn("gave up a record: the runner with its id has neither its tag nor its time, and was left alone", "runner_id", int64(rec.RunnerID), "role", rec.Role, "marker", rec.Marker)
	}
	return found, err
}

// unworn is nil where no runner wears the tag, else cause, which left one alone. A
// runner of another id that wears it was given it by somebody: that is not deleted.
func (r *record) unworn(ctx context.Context, gl GitLab, cause error) error {
	wearers, err := gl.FindByTag(ctx, r.Marker)
	switch {
	case err != nil:
		return rekey.Errorf(rekey.KindOf(err), "%w; whether another has the tag is not known: %w", cause, err)
	case len(wearers) > 0:
		return rekey.Errorf(rekey.KindConflict, "%w; runner %d has the tag", cause, wearers[0].ID).
			WithHint("take the tag off runner %d if it is not of this role: nothing is deleted then", wearers[0].ID)
	}
	return nil
}
