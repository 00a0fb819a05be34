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
	fresh, err := json.Marshal(secretsFile{hex.EncodeToString(randomBytes(64))})
	if err != nil {
		return err
	}
	return r.restart(ctx, func() error {
		if err := replaceFile(secretsPath(r.options.Dir), fresh); err != nil {
			return rekey.Errorf(rekey.KindUnavailable, "replace the lab's secrets: %w", err)
		}
		return nil
	})
}

func secretsPath(dir string) string { return filepath.Join(dir, "secrets.json") }
