package lab

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"path/filepath"

	"rekey"
)

// LoseSecrets replaces the key in secrets.json, as a server that was rebuilt from
// its database without its gitlab-secrets.json: no stored token matches any more,
// of runners, jobs, triggers, users (GitLab salts their digests with the key) and
// registration, and what must be decrypted answers 500. Only the administrator's
// token of lab.json goes on working: it stands for the password that no key
// guards.
func (r *Rehearsal) LoseSecrets(ctx context.Context) error {
	r.change.Lock()
	defer r.change.Unlock()
	s, err := r.server()
	if err != nil {
		return err
	}
	fresh, err := json.Marshal(secretsFile{hex.EncodeToString(randomBytes(64))})
	if err != nil {
		return err
	}
	next, err := parseSecrets(fresh)
	if err != nil {
		return err
	}
	admin, before := s.adminToken, s.secrets
	return r.restart(ctx, func() error {
		if err := adminUnder(ctx, r.options.Dir, admin, before, next); err != nil {
			return rekey.Errorf(rekey.KindUnavailable, "keep the administrator's token: %w", err)
		}
		if err := replaceFile(secretsPath(r.options.Dir), fresh); err != nil {
			return rekey.Errorf(rekey.KindUnavailable, "replace the lab's secrets: %w", err)
		}
		return nil
	})
}

// adminUnder gives the administrator's token its place under the next key, in the
// database of a closed lab. A crash right after leaves the old key, and the next
// start makes a new administrator's token.
func adminUnder(ctx context.Context, dir, admin string, before, next *secrets) error {
	st, err := openStore(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { _ = st.close() }()
	t, err := st.writer.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = t.Rollback() }()
	if _, err := t.ExecContext(ctx, "UPDATE access_tokens SET digest = ? WHERE digest = ?", next.digest(domainAccess, admin), before.digest(domainAccess, admin)); err != nil {
		return err
	}
	if _, err := t.ExecContext(ctx, "UPDATE meta SET value = ? WHERE key = 'admin_token_sealed'", hex.EncodeToString(next.sealed(admin))); err != nil {
		return err
	}
	return t.Commit()
}

func secretsPath(dir string) string { return filepath.Join(dir, "secrets.json") }
