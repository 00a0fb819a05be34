package app_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/sdk/logical"

	"rekey/internal/app"
	"rekey/internal/lab"
	"rekey/internal/lab/labtest"
	"rekey/internal/vaultplugin"
)

// vaultMount is the engine at one mount of a Vault whose storage is in memory.
type vaultMount struct {
	t       *testing.T
	lab     *labtest.Rehearsal
	group   int64
	pat     string
	backend logical.Backend
	storage *logical.InmemStorage

	mu   sync.Mutex
	now  time.Time
	logs bytes.Buffer
}

// Write takes the engine's log.
func (m *vaultMount) Write(p []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.logs.Write(p)
}

func (m *vaultMount) logged(text string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return strings.Count(m.logs.String(), text)
}

func (m *vaultMount) clock() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now
}

func (m *vaultMount) advance(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now = m.now.Add(d)
}

// newVaultMount has a group acme, a user token of its Owner, and no config.
func newVaultMount(t *testing.T) *vaultMount { t.Helper(); return newVaultMountOf(t, "17.11") }

func newVaultMountOf(t *testing.T, version string) *vaultMount {
	t.Helper()
	l := labtest.Rehearse(t, labtest.Options{Version: version})
	m := &vaultMount{t: t, lab: l, storage: &logical.InmemStorage{}, now: time.Now()}
	owner := l.User("vault")
	m.group = l.Group("acme", 0)
	l.Member("groups", m.group, owner, 50)
	m.pat = l.PAT(owner, "create_runner", "manage_runner", "read_api")
	m.restart()
	return m
}

// restart is what a new process of the plugin finds: its storage and nothing else.
func (m *vaultMount) restart() {
	m.t.Helper()
	o := app.New(func(string) (string, bool) { return "", false }, "test").VaultEngine(app.VaultPluginInput{})
	o.Now = m.clock
	backend, err := vaultplugin.Factory(o)(m.t.Context(), &logical.BackendConfig{
		Logger: hclog.New(&hclog.LoggerOptions{Output: m}), StorageView: m.storage, System: &logical.StaticSystemView{DefaultLeaseTTLVal: time.Hour, MaxLeaseTTLVal: 24 * time.Hour, PluginEnvironment: &logical.PluginEnvironment{}},
	})
	if err != nil {
		m.t.Fatalf("the engine: %v", err)
	}
	m.backend = backend
}

type fields = map[string]any

func (m *vaultMount) do(op logical.Operation, path string, data fields) (*logical.Response, error) {
	m.t.Helper()
	return m.send(m.t.Context(), &logical.Request{Operation: op, Path: path, Data: data})
}

func (m *vaultMount) send(ctx context.Context, req *logical.Request) (*logical.Response, error) {
	m.t.Helper()
	req.Storage, req.MountPoint, req.DisplayName = m.storage, "gitlab/", "token-ci"
	resp, err := m.backend.HandleRequest(ctx, req)
	if err == nil && resp != nil && resp.IsError() {
		err = resp.Error()
	}
	return resp, err
}

func (m *vaultMount) must(op logical.Operation, path string, data fields) *logical.Response {
	m.t.Helper()
	resp, err := m.do(op, path, data)
	if err != nil {
		m.t.Fatalf("%s %s: %v", op, path, err)
	}
	return resp
}

// configured has a config and the role docker, with these fields more.
func (m *vaultMount) configured(more fields) *vaultMount {
	m.t.Helper()
	m.must(logical.CreateOperation, "config", fields{"url": m.lab.URL, "token": m.pat, "requests_per_second": 0})
	role := fields{"scope": "group", "owner": "acme", "tags": "docker,linux", "ttl": "1h", "max_ttl": "3h"}
	for k, v := range more {
		role[k] = v
	}
	m.must(logical.CreateOperation, "roles/docker", role)
	return m
}

// refused wants a failure that says all of the texts.
func (m *vaultMount) refused(err error, texts ...string) {
	m.t.Helper()
	for _, text := range texts {
		if err == nil || !strings.Contains(err.Error(), text) {
			m.t.Errorf("got %v, want a failure with %q", err, text)
		}
	}
}

// runners are the ids of all records in the lab.
func (m *vaultMount) runners() []int64 {
	m.t.Helper()
	var all []struct {
		ID int64 `json:"id"`
	}
	m.lab.Must(http.StatusOK, "GET", "runners/all?per_page=100", nil, &all)
	var ids []int64
	for _, r := range all {
		ids = append(ids, r.ID)
	}
	return ids
}

// written are the keys that begin so in Vault's storage.
func (m *vaultMount) written(prefix string) []string {
	m.t.Helper()
	keys, err := logical.CollectKeysWithPrefix(m.t.Context(), m.storage, prefix)
	if err != nil {
		m.t.Fatal(err)
	}
	return keys
}

func (m *vaultMount) fault(f lab.Fault) {
	m.t.Helper()
	if _, err := m.lab.Orders.AddFault(f); err != nil {
		m.t.Fatal(err)
	}
}

// rollback is Vault's at the end of a mount, which asks for no age.
func (m *vaultMount) rollback() error {
	m.t.Helper()
	_, err := m.send(m.t.Context(), &logical.Request{Operation: logical.RollbackOperation, Data: fields{"immediate": true}})
	return err
}

func (m *vaultMount) lease(op logical.Operation, s *logical.Secret) (*logical.Response, error) {
	m.t.Helper()
	return m.send(m.t.Context(), &logical.Request{Operation: op, Path: "creds/docker", Secret: s})
}

func TestVaultIssuesARunnerForTheTimeOfALease(t *testing.T) {
	t.Parallel()
	m := newVaultMount(t).configured(fields{"description": "{{role}} of {{mount}} for {{display_name}}", "maximum_timeout": "20m", "access_level": "ref_protected", "maintenance_note": "by Vault", "locked": true})
	resp := m.must(logical.ReadOperation, "creds/docker", nil)
	token, id := resp.Data["token"].(string), resp.Data["runner_id"].(int64)
	var seen struct {
		Description    string   `json:"description"`
		Tags           []string `json:"tag_list"`
		RunUntagged    bool     `json:"run_untagged"`
		AccessLevel    string   `json:"access_level"`
		MaximumTimeout int      `json:"maximum_timeout"`
		Note           string   `json:"maintenance_note"`
		Type           string   `json:"runner_type"`
	}
	m.lab.Must(http.StatusOK, "GET", fmt.Sprintf("runners/%d", id), nil, &seen)
	if seen.Description != "docker of gitlab/ for token-ci" || seen.RunUntagged || seen.AccessLevel != "ref_protected" || seen.MaximumTimeout != 1200 || seen.Note != "by Vault" || seen.Type != "group_type" {
		t.Errorf("the record is %+v, want the role's attributes", seen)
	}
	if len(seen.Tags) != 3 || !slices.Contains(seen.Tags, "docker") || !slices.ContainsFunc(seen.Tags, func(s string) bool { return strings.HasPrefix(s, "rekey-") }) {
		t.Errorf("its tags are %q, want the role's two and a marker", seen.Tags)
	}
	if a := m.lab.Call("POST", "runners/verify", "", labtest.M{"token": token, "system_id": "s_0123456789ab"}); a.Status != http.StatusOK {
		t.Errorf("the token is answered with %d, want 200", a.Status)
	}
	if resp.Secret.TTL != time.Hour || resp.Secret.MaxTTL != 3*time.Hour || !resp.Secret.Renewable {
		t.Errorf("the lease is %+v, want an hour, renewable to three", resp.Secret.LeaseOptions)
	}
	if wal := m.written("wal/"); len(wal) != 0 || len(m.written("record/")) != 1 {
		t.Errorf("written down: %q and %q, want no log and one record", wal, m.written("record/"))
	}
	if again, err := m.lease(logical.RenewOperation, resp.Secret); err != nil || again.Secret.TTL != time.Hour {
		t.Errorf("renewing: %v, want an hour more", err)
	}
	for range 2 { // the second finds it gone, which is what it wanted
		if _, err := m.lease(logical.RevokeOperation, resp.Secret); err != nil {
			t.Errorf("revoking: %v", err)
		}
	}
	if left := m.runners(); len(left) != 0 || len(m.written("record/")) != 0 {
		t.Errorf("left at GitLab %v, in Vault %q, want nothing", left, m.written("record/"))
	}
	_, err := m.lease(logical.RenewOperation, resp.Secret)
	m.refused(err, "is gone from GitLab", "creds/docker")
}

// TestVaultKeepsNoToken looks for the runner's token in all that is stored, and for
// the user's in all that can be read.
func TestVaultKeepsNoToken(t *testing.T) {
	t.Parallel()
	m := newVaultMount(t).configured(nil)
	resp := m.must(logical.ReadOperation, "creds/docker", nil)
	token := resp.Data["token"].(string)
	for _, key := range m.written("") {
		entry, err := m.storage.Get(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(entry.Value), token) {
			t.Errorf("%s holds the runner's token", key)
		}
	}
	if text := fmt.Sprint(resp.Secret.InternalData); strings.Contains(text, token) {
		t.Error("the lease holds the runner's token")
	}
	if text := fmt.Sprint(m.must(logical.ReadOperation, "config", nil).Data); strings.Contains(text, m.pat) || !strings.Contains(text, "personal-access:") {
		t.Errorf("config reads as %s, want the user token's fingerprint", text)
	}
}

func TestVaultRoles(t *testing.T) {
	t.Parallel()
	m := newVaultMount(t).configured(nil)
	m.must(logical.UpdateOperation, "roles/docker", fields{"paused": true})
	got := m.must(logical.ReadOperation, "roles/docker", nil).Data
	if got["paused"] != true || got["owner"] != "acme" || got["owner_id"] != m.group || fmt.Sprint(got["tags"]) != "[docker linux]" {
		t.Errorf("the role reads %v, want the change and all else as it was", got)
	}
	if keys := m.must(logical.ListOperation, "roles/", nil).Data["keys"]; fmt.Sprint(keys) != "[docker]" {
		t.Errorf("the list is %v, want docker", keys)
	}
	ok, found, err := m.backend.HandleExistenceCheck(t.Context(), &logical.Request{Operation: logical.CreateOperation, Path: "roles/none", Storage: m.storage})
	if !ok || found || err != nil {
		t.Errorf("the existence of roles/none: %v %v %v, want checked and not found", ok, found, err)
	}
	for _, path := range []string{"", "config", "roles/docker", "creds/docker"} {
		if help := m.must(logical.HelpOperation, path, nil).Data["help"].(string); len(help) < 60 {
			t.Errorf("the help of %q is %q", path, help)
		}
	}
	m.must(logical.DeleteOperation, "roles/docker", nil)
	_, err = m.do(logical.ReadOperation, "creds/docker", nil)
	m.refused(err, "no role docker", "vault list gitlab/roles")
}

func TestVaultRefusesAWrongRole(t *testing.T) {
	t.Parallel()
	m := newVaultMount(t).configured(nil)
	tags := make([]string, 50)
	for i := range tags {
		tags[i] = fmt.Sprintf("t%d", i)
	}
	for _, c := range []struct {
		change fields
		want   string
	}{
		{fields{"scope": "universe"}, `"universe" is not a scope`},
		{fields{"scope": ""}, "scope is missing"},
		{fields{"scope": "instance"}, "an instance runner has no owner"},
		{fields{"owner": ""}, "owner is missing"},
		{fields{"owner": "nowhere"}, "cannot be looked up"},
		{fields{"ttl": "4h"}, "ttl (4h0m0s) is longer than max_ttl (3h0m0s)"},
		{fields{"maximum_timeout": "5m"}, "at least 10 minutes"},
		{fields{"access_level": "all"}, "use not_protected or ref_protected"},
		{fields{"tags": ""}, "would take no job"},
		{fields{"tags": tags}, "GitLab takes 50"},
		{fields{"tags": "rekey-mine"}, "taken for a marker"},
		{fields{"max_records": -1}, "cannot be negative"},
		{fields{"description": "{{user}}"}, "{{user}}, which is not known"},
	} {
		role := fields{"scope": "group", "owner": "acme", "tags": "docker", "max_ttl": "3h"}
		for k, v := range c.change {
			role[k] = v
		}
		_, err := m.do(logical.CreateOperation, "roles/wrong", role)
		m.refused(err, c.want)
	}
	if keys := m.must(logical.ListOperation, "roles/", nil).Data["keys"]; fmt.Sprint(keys) != "[docker]" {
		t.Errorf("the roles are %v, want the right one alone", keys)
	}
}

func TestVaultRefusesAWrongConfig(t *testing.T) {
	t.Parallel()
	m := newVaultMount(t)
	_, err := m.do(logical.ReadOperation, "creds/docker", nil)
	m.refused(err, "no role docker")
	for _, c := range []struct {
		config fields
		want   string
	}{
		{fields{"token": m.pat}, "url is missing"},
		{fields{"url": m.lab.URL}, "token is missing"},
		{fields{"url": "gitlab example", "token": m.pat}, "white space"},
		{fields{"url": m.lab.URL, "token": "glrt-CANARYxxxxxxxxxxxxxx"}, "does not take"},
		{fields{"url": m.lab.URL, "token": "glpat-CANARYxxxxxxxxxxxxx"}, "verify=false"},
		{fields{"url": m.lab.URL, "token": m.pat, "ca_cert": "nothing"}, "no certificate in PEM"},
		{fields{"url": m.lab.URL, "token": m.pat, "client_cert": "x"}, "belong together"},
		{fields{"url": m.lab.URL, "token": m.pat, "requests_per_second": -1}, "cannot be negative"},
	} {
		_, err := m.do(logical.CreateOperation, "config", c.config)
		m.refused(err, c.want)
		if err != nil && strings.Contains(err.Error(), "CANARY") {
			t.Errorf("the error shows the token: %v", err)
		}
	}
	if resp := m.must(logical.ReadOperation, "config", nil); resp != nil {
		t.Errorf("stored: %v, want nothing", resp.Data)
	}
	narrow := m.lab.PAT(m.lab.User("narrow"), "create_runner", "read_user")
	resp := m.must(logical.CreateOperation, "config", fields{"url": m.lab.URL, "token": narrow})
	if text := strings.Join(resp.Warnings, "\n"); !strings.Contains(text, "manage_runner") || !strings.Contains(text, "read_api") {
		t.Errorf("the warnings are %q, want both scopes that are missing", text)
	}
}
