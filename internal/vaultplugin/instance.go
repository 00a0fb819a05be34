package vaultplugin

import (
	"context"
	"crypto/rand"
	"encoding/hex"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"rekey"
)

// An instance is one GitLab as this mount knows it: a name made up when its config was
// first written. Records and the owners of roles are ids, which mean something there
// alone.

// replace stores c in place of old. It counts the records outstanding, decides and
// stores under the lock under which reserve compares: so none is made at the old
// GitLab in between.
func (b *backend) replace(ctx context.Context, s logical.Storage, old, c *config, moved bool) error {
	b.register.Lock()
	defer b.register.Unlock()
	now, err := loadConfig(ctx, s)
	if err != nil {
		return err
	}
	if (now == nil) != (old == nil) || now != nil && *now != *old {
		return rekey.Errorf(rekey.KindConflict, "the config was not stored: it was changed by another request meanwhile").
			WithHint("read MOUNT/config, and write it again if that is still wanted")
	}
	if err := identify(ctx, s, old, c, moved); err != nil {
		return err
	}
	entry, err := logical.StorageEntryJSON(configKey, c)
	if err == nil {
		err = s.Put(ctx, entry)
	}
	b.forget()
	return err
}

// identify decides whether c is about the same GitLab as before.
func identify(ctx context.Context, s logical.Storage, old, c *config, moved bool) error {
	if old != nil && (old.URL == c.URL || moved) {
		return nil
	}
	if old != nil {
		if err := noneOutstanding(ctx, s); err != nil {
			return rekey.Errorf(rekey.KindConflict, "the URL cannot change from %s to %s: %w", old.URL, c.URL, err).
				WithHint("revoke them (vault lease revoke -prefix MOUNT/creds), or write moved=true if it is the same GitLab under another name")
		}
		if err := settleRoles(ctx, s, old.Instance); err != nil {
			return err
		}
	}
	c.Instance = random(8)
	return nil
}

func (b *backend) deleteConfig(ctx context.Context, req *logical.Request, _ *framework.FieldData) (*logical.Response, error) {
	b.register.Lock()
	defer b.register.Unlock()
	if err := noneOutstanding(ctx, req.Storage); err != nil {
		return refusal(rekey.Errorf(rekey.KindConflict, "the config is still needed: %w", err).
			WithHint("revoke them first: vault lease revoke -prefix MOUNT/creds"))
	}
	c, err := loadConfig(ctx, req.Storage)
	if err == nil && c != nil {
		err = settleRoles(ctx, req.Storage, c.Instance)
	}
	if err == nil {
		err = req.Storage.Delete(ctx, configKey)
	}
	b.forget()
	return nil, err
}

// gitlab returns the client of the config. instance is that of the lease at hand,
// "" for none.
func (b *backend) gitlab(ctx context.Context, s logical.Storage, instance string) (*connected, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.client == nil {
		c, err := loadConfig(ctx, s)
		if err != nil {
			return nil, err
		}
		if c == nil {
			return nil, invalid("no GitLab is configured").WithHint("write url and token to MOUNT/config")
		}
		gl, _, err := b.connect(c)
		if err != nil {
			return nil, err
		}
		b.client = &connected{gl, *c}
	}
	if instance != "" && instance != b.client.config.Instance {
		return nil, rekey.Errorf(rekey.KindConflict, "the runner belongs to another GitLab than %s, which is configured now", b.client.config.URL).
			WithHint("configure that GitLab again, or delete the runner there and run vault lease revoke -force")
	}
	return b.client, nil
}

// configured fails where instance is not the one of the config as it is stored.
func configured(ctx context.Context, s logical.Storage, instance, role string) error {
	c, err := loadConfig(ctx, s)
	if err != nil {
		return err
	}
	if c == nil || c.Instance != instance {
		return rekey.Errorf(rekey.KindConflict, "no runner was made: another GitLab was configured meanwhile").WithHint("read creds/%s again", role)
	}
	return nil
}

// settleRoles notes the instance in the roles that have an owner and no instance: those
// written before any config, and by an engine that did not note it. They are of the
// GitLab that was configured since.
func settleRoles(ctx context.Context, s logical.Storage, instance string) error {
	return eachRole(ctx, s, func(name string, r *role) error {
		if r.Owner.ID == 0 || r.Instance != "" {
			return nil
		}
		r.Instance = instance
		return r.put(ctx, s, name)
	})
}

// strangeRoles names the roles whose owner is of another GitLab than instance.
func strangeRoles(ctx context.Context, s logical.Storage, instance string) (names []string, err error) {
	err = eachRole(ctx, s, func(name string, r *role) error {
		if r.strange(instance) {
			names = append(names, name)
		}
		return nil
	})
	return names, err
}

func eachRole(ctx context.Context, s logical.Storage, visit func(name string, r *role) error) error {
	names, err := s.List(ctx, rolePrefix)
	if err != nil {
		return err
	}
	for _, name := range names {
		r, err := loadRole(ctx, s, name)
		if err == nil && r != nil {
			err = visit(name, r)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func random(bytes int) string {
	raw := make([]byte, bytes)
	_, _ = rand.Read(raw) // never fails
	return hex.EncodeToString(raw)
}
