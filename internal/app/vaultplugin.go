package app

import (
	"context"
	"encoding/json"
	"io"
	"regexp"
	"strconv"
	"time"

	"rekey"
	"rekey/internal/gitlab"
	"rekey/internal/redact"
	"rekey/internal/resident"
	"rekey/internal/vaultplugin"
)

// VaultPluginInput is what the secrets engine is started with.
type VaultPluginInput struct {
	RollbackAfter time.Duration // age of an interrupted creation from which it is cleaned up; 0: the engine's own
}

// StartedByVault reports whether Vault or OpenBao started this process.
func (a *App) StartedByVault() bool { return vaultplugin.StartedByVault(a.getenv) }

// VaultPlugin serves the secrets engine until Vault ends the process. Standard
// output is its handshake's; log lines go to logs, scrubbed.
func (a *App) VaultPlugin(in VaultPluginInput, logs io.Writer) error {
	resident.Settle() // Vault starts one for every mount
	return vaultplugin.Serve(a.VaultEngine(in), redact.NewWriter(logs, a.scrub))
}

// VaultEngine is what the secrets engine is given.
func (a *App) VaultEngine(in VaultPluginInput) vaultplugin.Options {
	return vaultplugin.Options{Connect: a.connectVault, Now: a.Now, RollbackAfter: in.RollbackAfter, Version: a.version}
}

// connectVault makes the client of one mount's config.
func (a *App) connectVault(c vaultplugin.Connection) (vaultplugin.GitLab, string, error) {
	base, err := gitlab.HostURL(c.URL)
	if err != nil {
		return nil, "", err
	}
	a.scrub.Add(c.Token)
	client, err := gitlab.NewClient(gitlab.Options{
		URL: base, Token: c.Token, PEM: gitlab.PEM{CA: c.CA, Cert: c.ClientCert, Key: c.ClientKey},
		Budgets: gitlab.NewBudgets(c.RPS, a.Now), UserAgent: "rekey/" + a.version, Now: a.Now, Patience: vaultPatience,
	})
	if err != nil {
		return nil, "", err
	}
	return vaultGitLab{records{client}}, base, nil
}

// vaultPatience is how long GitLab may be silent in one question: Vault gives a
// request 90 seconds.
const vaultPatience = 30 * time.Second

// vaultGitLab is vaultplugin.GitLab on a client.
type vaultGitLab struct{ records }

// CreateRunner seals the id alone: Vault's answer is the only place of the token.
func (v vaultGitLab) CreateRunner(ctx context.Context, n rekey.NewRunner, seal func(rekey.RunnerID) error) (rekey.Issued, bool, error) {
	issued, err := v.Client.CreateRunner(ctx, n, func(raw []byte) error { return seal(issuedID(raw)) })
	return issued, gitlab.OutcomeUnknown(err), err
}

// issuedStart is how GitLab's answer to POST /user/runners begins: enough where it
// broke off.
const issuedStart = `^\s*\{\s*"id"\s*:\s*(\d+)\s*,`

// issuedID reads the id out of an answer, 0 where there is none.
func issuedID(raw []byte) rekey.RunnerID {
	var body struct {
		ID int64 `json:"id"`
	}
	if json.Unmarshal(raw, &body) == nil {
		return rekey.RunnerID(body.ID)
	}
	if m := regexp.MustCompile(issuedStart).FindSubmatch(raw); m != nil {
		id, _ := strconv.ParseInt(string(m[1]), 10, 64)
		return rekey.RunnerID(id)
	}
	return 0
}

// Owner looks a group or project up.
func (v vaultGitLab) Owner(ctx context.Context, scope rekey.Scope, pathOrID string) (rekey.Ref, error) {
	if scope == rekey.ScopeGroup {
		return v.Group(ctx, pathOrID)
	}
	p, err := v.Client.Project(ctx, pathOrID)
	return rekey.Ref{ID: p.ID, Path: p.Path}, err
}

// Scopes are those of the user token.
func (v vaultGitLab) Scopes(ctx context.Context) ([]string, error) {
	u, err := v.Client.WhoAmI(ctx)
	return u.Scopes, err
}
