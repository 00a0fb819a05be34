package app_test

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"

	"rekey/internal/lab/labtest"
)

// otherGitLab has a group of the same id as acme, which is another's.
func (m *vaultMount) otherGitLab(o labtest.Options) *labtest.Lab {
	m.t.Helper()
	other := labtest.Start(m.t, o)
	other.User("somebody") // whose namespace has an id too
	if id := other.Group("strangers", 0); id != m.group {
		m.t.Fatalf("the other group's id is %d, want %d as acme's", id, m.group)
	}
	return other
}

func (m *vaultMount) noneAt(l *labtest.Lab) {
	m.t.Helper()
	if n := l.Call("GET", "runners/all", l.Admin, nil); strings.TrimSpace(string(n.Body)) != "[]" {
		m.t.Errorf("the other GitLab has the runners %s, want none", n.Body)
	}
}

// TestVaultRoleKeepsToTheGitLabOfItsOwner: at another one the id of the owner is another
// group's.
func TestVaultRoleKeepsToTheGitLabOfItsOwner(t *testing.T) {
	t.Parallel()
	byID := func(m *vaultMount) {
		m.must(logical.UpdateOperation, "roles/docker", fields{"owner": fmt.Sprint(m.group)})
	}
	beforeAnyConfig := func(m *vaultMount) {
		m.must(logical.DeleteOperation, "config", nil)
		m.must(logical.DeleteOperation, "roles/docker", nil)
		m.must(logical.CreateOperation, "roles/docker", fields{"scope": "group", "owner": fmt.Sprint(m.group), "tags": "docker"})
		m.must(logical.CreateOperation, "config", fields{"url": m.lab.URL, "token": m.pat})
	}
	unnoted := func(m *vaultMount) { m.forgetInstance("docker") }
	for name, c := range map[string]struct {
		prepare func(*vaultMount)
		deleted bool // the config is, before the other one is written
	}{
		"owner by path":                         {func(*vaultMount) {}, false},
		"owner by id, config deleted":           {byID, true},
		"role before any config":                {beforeAnyConfig, false},
		"role without its GitLab":               {unnoted, false},
		"role without its GitLab, then deleted": {unnoted, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newVaultMount(t).configured(nil)
			c.prepare(m)
			s := m.issued() // at its own GitLab
			if _, err := m.lease(logical.RevokeOperation, s); err != nil {
				t.Fatal(err)
			}
			other := m.otherGitLab(labtest.Options{})
			if c.deleted {
				m.must(logical.DeleteOperation, "config", nil)
			}
			resp := m.must(logical.UpdateOperation, "config", fields{"url": other.URL, "token": other.Admin})
			if resp == nil || !strings.Contains(strings.Join(resp.Warnings, "\n"), "role docker") {
				t.Errorf("the answer is %+v, want a warning of the role whose owner is to be written again", resp)
			}
			m.must(logical.UpdateOperation, "roles/docker", fields{"paused": true})
			_, err := m.do(logical.ReadOperation, "creds/docker", nil)
			m.refused(err, "configured before", "vault write gitlab/roles/docker owner=")
			m.noneAt(other)
			m.clean("after the refusal")
			m.must(logical.UpdateOperation, "roles/docker", fields{"owner": "strangers"})
			m.must(logical.ReadOperation, "creds/docker", nil)
		})
	}
}

// forgetInstance is a role as it was stored before its GitLab was noted.
func (m *vaultMount) forgetInstance(role string) {
	m.t.Helper()
	entry, err := m.storage.Get(m.t.Context(), "role/"+role)
	if err != nil {
		m.t.Fatal(err)
	}
	var stored fields
	if err := json.Unmarshal(entry.Value, &stored); err != nil {
		m.t.Fatal(err)
	}
	delete(stored, "instance")
	entry.Value, err = json.Marshal(stored)
	if err == nil {
		err = m.storage.Put(m.t.Context(), entry)
	}
	if err != nil {
		m.t.Fatal(err)
	}
}

// moving writes the config of another GitLab, which holds its answer until finish.
func (m *vaultMount) moving() (finish func() error) {
	m.t.Helper()
	asked, answer := make(chan struct{}), make(chan struct{})
	var once sync.Once
	other := m.otherGitLab(labtest.Options{Fault: func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/personal_access_tokens/self") {
				once.Do(func() { close(asked); <-answer })
			}
			next.ServeHTTP(w, r)
		})
	}})
	written := make(chan error, 1)
	go func() {
		_, err := m.do(logical.UpdateOperation, "config", fields{"url": other.URL, "token": other.Admin})
		written <- err
	}()
	select {
	case <-asked:
	case err := <-written:
		m.t.Fatalf("the config was written without asking: %v", err)
	}
	return func() error { close(answer); return <-written }
}

// TestVaultConfigCountsWhatIsMadeWhileItAsks: a runner that is leased while the new
// GitLab is asked stays one that can be revoked.
func TestVaultConfigCountsWhatIsMadeWhileItAsks(t *testing.T) {
	t.Parallel()
	m := newVaultMount(t).configured(nil)
	finish := m.moving()
	s := m.issued()
	m.refused(finish(), "cannot change", "1 runners of this mount are outstanding")
	if _, err := m.lease(logical.RevokeOperation, s); err != nil {
		t.Errorf("revoking: %v", err)
	}
	m.clean("afterwards")
}

// TestVaultConfigIsWrittenOnWhatWasRead: of two writes at once one is refused, so that
// neither undoes half of the other.
func TestVaultConfigIsWrittenOnWhatWasRead(t *testing.T) {
	t.Parallel()
	m := newVaultMount(t).configured(nil)
	finish := m.moving()
	m.must(logical.UpdateOperation, "config", fields{"requests_per_second": 7})
	m.refused(finish(), "changed by another request meanwhile")
	if got := m.must(logical.ReadOperation, "config", nil).Data; got["url"] != m.lab.URL || got["requests_per_second"] != 7.0 {
		t.Errorf("the config is %v, want that of the write that came through", got)
	}
}

// hooked is a storage that calls meanwhile once, when the creation is written down.
type hooked struct {
	logical.Storage
	once      sync.Once
	meanwhile func()
}

func (h *hooked) Put(ctx context.Context, e *logical.StorageEntry) error {
	if strings.HasPrefix(e.Key, "wal/") {
		h.once.Do(h.meanwhile)
	}
	return h.Storage.Put(ctx, e)
}

// TestVaultMakesNoRunnerAtTheGitLabBefore: the config changed when the creation had begun
// and nothing was written down.
func TestVaultMakesNoRunnerAtTheGitLabBefore(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(m *vaultMount, other *labtest.Lab){
		"changed": func(m *vaultMount, other *labtest.Lab) {
			m.must(logical.UpdateOperation, "config", fields{"url": other.URL, "token": other.Admin})
		},
		"deleted": func(m *vaultMount, _ *labtest.Lab) { m.must(logical.DeleteOperation, "config", nil) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newVaultMount(t).configured(nil)
			other := m.otherGitLab(labtest.Options{})
			h := &hooked{Storage: m.storage, meanwhile: func() { change(m, other) }}
			resp, err := m.backend.HandleRequest(t.Context(), &logical.Request{Operation: logical.ReadOperation, Path: "creds/docker", Storage: h, MountPoint: "gitlab/"})
			if err == nil && resp != nil && resp.IsError() {
				err = resp.Error()
			}
			m.refused(err, "another GitLab was configured meanwhile")
			m.noneAt(other)
			m.clean("afterwards")
		})
	}
}

// TestVaultSendsTheTokenWhereItWasGivenFor: who may write the config and cannot read the
// user token has it sent to no server of their own.
func TestVaultSendsTheTokenWhereItWasGivenFor(t *testing.T) {
	t.Parallel()
	m := newVaultMount(t).configured(nil)
	var asked atomic.Int32
	elsewhere := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	t.Cleanup(elsewhere.Close)
	pair := elsewhere.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	cert := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]}))
	moved := fields{"url": elsewhere.URL, "moved": true, "ca_cert": cert}
	with := func(more fields) fields {
		all := maps.Clone(moved)
		maps.Copy(all, more)
		return all
	}
	refused := func(config fields, texts ...string) {
		t.Helper()
		_, err := m.do(logical.UpdateOperation, "config", config)
		m.refused(err, texts...)
		if err != nil && strings.Contains(err.Error(), m.pat) {
			t.Errorf("the error shows the token: %v", err)
		}
	}
	refused(moved, "the token that is stored was given for the old one", "give token in the same write")
	refused(with(fields{"verify": false}), "give token in the same write")
	m.must(logical.UpdateOperation, "config", fields{"url": m.lab.URL + "/", "client_cert": cert,
		"client_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))})
	refused(moved, "give token and client_key in the same write")
	refused(with(fields{"token": m.pat}), "give client_key in the same write")
	refused(with(fields{"token": m.pat, "client_cert": cert}), "give client_key in the same write")
	if n := asked.Load(); n != 0 {
		t.Errorf("the other server was asked %d times, want never", n)
	}
	if got := m.must(logical.ReadOperation, "config", nil).Data["url"]; got != m.lab.URL {
		t.Errorf("the URL is %v, want %s as it was", got, m.lab.URL)
	}
	m.must(logical.UpdateOperation, "config", with(fields{"token": m.pat, "client_cert": "", "client_key": "", "verify": false}))
}
