package vaultplugin

import (
	"cmp"
	"context"
	"strconv"
	"time"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"rekey"
)

const secretType = "gitlab_runner"

const credsHelp = `Reading creates a runner record in GitLab with the role's attributes and returns its
token, which nobody can read again. The record lives as long as the lease.`

func (b *backend) credsPaths() []*framework.Path {
	return []*framework.Path{{
		Pattern: "creds/" + framework.GenericNameRegex("name"),
		Fields: map[string]*framework.FieldSchema{
			"name": {Type: framework.TypeString, Description: "Name of the role."},
		},
		Operations: map[logical.Operation]framework.OperationHandler{
			logical.ReadOperation: &framework.PathOperation{Callback: b.readCreds, Summary: "Create a runner and return its token.", ForwardPerformanceStandby: true, ForwardPerformanceSecondary: true},
		},
		HelpSynopsis:    "A new runner of a role, with its token.",
		HelpDescription: credsHelp,
	}}
}

// issue is one creation under way.
type issue struct {
	*backend
	s    logical.Storage
	gl   *connected
	role *role
	rec  *record
	wal  string
}

func (b *backend) readCreds(ctx context.Context, req *logical.Request, d *framework.FieldData) (*logical.Response, error) {
	name := d.Get("name").(string)
	gl, unconfigured := b.gitlab(ctx, req.Storage, "") // before the role, which notes its GitLab when that is left
	r, err := loadRole(ctx, req.Storage, name)
	if err != nil {
		return nil, err
	}
	if r == nil {
		return refusal(rekey.Errorf(rekey.KindNotFound, "there is no role %s", name).WithHint("vault list %sroles shows those there are", req.MountPoint))
	}
	if unconfigured != nil {
		return refusal(unconfigured)
	}
	if r.strange(gl.config.Instance) {
		owner := cmp.Or(r.Owner.Path, strconv.FormatInt(r.Owner.ID, 10))
		return refusal(rekey.Errorf(rekey.KindConflict, "no runner was made: the %s %s of the role %s is of the GitLab that was configured before, and its id %d may be another's at %s", r.Scope, owner, name, r.Owner.ID, gl.config.URL).
			WithHint("write the role's owner again: vault write %sroles/%s owner=…", req.MountPoint, name))
	}
	now := b.opts.Now()
	i := &issue{backend: b, s: req.Storage, gl: gl, role: r, rec: &record{
		Role: name, Marker: markerPrefix + random(8), Instance: gl.config.Instance, Born: now.Unix(), Due: b.due(now, r.MaxTTL),
	}}
	defer b.enter(i.rec.Marker)()
	n := r.runner(i.rec.Marker, req)
	issued, err := i.run(ctx, n)
	if err != nil {
		return refusal(err)
	}
	return i.answer(n, issued), nil
}

// due is when no lease made at from can hold its record any more, with some time for
// Vault to end it by itself.
func (b *backend) due(from time.Time, maxTTL int64) int64 {
	longest := b.System().MaxLeaseTTL()
	if maxTTL > 0 {
		longest = min(longest, seconds(maxTTL))
	}
	return from.Add(longest + 10*time.Minute).Unix()
}

func (r *role) runner(marker string, req *logical.Request) rekey.NewRunner {
	description := described(r.Description, map[string]string{
		"role": pathEnd(req.Path), "display_name": req.DisplayName, "entity_id": req.EntityID, "mount": req.MountPoint,
	})
	if runes := []rune(description); len(runes) > textLimit {
		description = string(runes[:textLimit])
	}
	return rekey.NewRunner{
		Scope: r.Scope, Owner: r.Owner.ID, Description: description, Tags: append(append([]string{}, r.Tags...), marker),
		RunUntagged: r.RunUntagged, Locked: r.Locked, Paused: r.Paused, AccessLevel: r.AccessLevel,
		MaximumTimeout: seconds(r.MaximumTimeout), MaintenanceNote: r.MaintenanceNote,
	}
}

// run writes the creation down, does it once, and strikes it from the write-ahead
// log. Whatever fails on the way leaves no record, or the entry that has it deleted.
func (i *issue) run(ctx context.Context, n rekey.NewRunner) (rekey.Issued, error) {
	var err error
	if i.wal, err = framework.PutWAL(ctx, i.s, walCreate, i.rec.lease()); err != nil {
		return rekey.Issued{}, err
	}
	if err := i.reserve(ctx, i.s, i.rec, i.role.MaxRecords); err != nil {
		_ = framework.DeleteWAL(ctx, i.s, i.wal) // a rollback of it finds nothing
		return rekey.Issued{}, err
	}
	keep := context.WithoutCancel(ctx) // what was made is written down, whoever waits
	issued, unknown, err := i.gl.CreateRunner(ctx, n, func(id rekey.RunnerID) error {
		i.rec.RunnerID = id
		return i.rec.put(keep, i.s)
	})
	switch {
	case err != nil && unknown:
		return rekey.Issued{}, i.lost(keep, err)
	case err != nil:
		i.strike(keep)
		return rekey.Issued{}, err
	}
	return issued, i.handOver(ctx, keep, issued)
}

// handOver ends the creation. A failure deletes the record: nobody has its token.
func (i *issue) handOver(ctx, keep context.Context, issued rekey.Issued) error {
	i.rec.RunnerID, i.rec.Born = issued.ID, issued.ObtainedAt.Unix()
	err := ctx.Err()
	if !issued.ExpiresAt.IsZero() {
		i.rec.Expires = issued.ExpiresAt.Unix()
		if err == nil && !issued.ExpiresAt.After(i.opts.Now()) {
			err = rekey.Errorf(rekey.KindUnavailable, "GitLab gave a token that has expired already").WithHint("compare the clocks of Vault and GitLab")
		}
	}
	if err == nil {
		err = i.rec.put(keep, i.s)
	}
	if err == nil {
		err = framework.DeleteWAL(keep, i.s, i.wal)
	}
	if err != nil {
		return i.lost(keep, err)
	}
	return nil
}

// lost deletes a record whose token will not be handed out. What cannot be deleted, or
// not be seen yet, is left to the rollback.
func (i *issue) lost(ctx context.Context, cause error) error {
	found, err := i.rec.remove(ctx, i.gl)
	switch {
	case err == nil && found:
		i.strike(ctx)
		return rekey.Errorf(rekey.KindOf(cause), "%w; the runner that was made is deleted again", cause)
	case err != nil:
		i.Logger().Warn("a record whose token was lost is not deleted yet", "marker", i.rec.Marker, "error", err.Error())
	}
	return rekey.Errorf(rekey.KindOf(cause), "%w; if a runner was made, Vault deletes it (tag %s)", cause, i.rec.Marker)
}

// strike forgets the creation: first the log, whose rollback would come again.
func (i *issue) strike(ctx context.Context) {
	err := framework.DeleteWAL(ctx, i.s, i.wal)
	if err == nil {
		err = i.s.Delete(ctx, i.rec.key())
	}
	if err != nil {
		i.Logger().Warn("an ended creation is still written down; its rollback finds nothing", "marker", i.rec.Marker, "error", err.Error())
	}
}

func (i *issue) answer(n rekey.NewRunner, issued rekey.Issued) *logical.Response {
	expires := ""
	if !issued.ExpiresAt.IsZero() {
		expires = issued.ExpiresAt.UTC().Format(time.RFC3339)
	}
	resp := i.Secret(secretType).Response(map[string]any{
		"token": issued.Token.Reveal(), "runner_id": int64(issued.ID), "url": i.gl.config.URL, "scope": string(n.Scope),
		"description": n.Description, "tags": n.Tags, "expires_at": expires,
	}, i.rec.lease())
	resp.Secret.TTL, resp.Secret.MaxTTL = i.rec.limits(i.role.TTL, i.role.MaxTTL)
	return resp
}

// limits are those of a lease: no lease outlives its token.
func (r *record) limits(ttl, maxTTL int64) (time.Duration, time.Duration) {
	if r.Expires > 0 {
		left := max(1, r.Expires-r.Born)
		if maxTTL == 0 || maxTTL > left {
			maxTTL = left
		}
		ttl = min(ttl, maxTTL)
	}
	return seconds(ttl), seconds(maxTTL)
}
