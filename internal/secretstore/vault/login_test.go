package vault_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rekey"
	"rekey/internal/secretstore/secretstoretest"
	"rekey/internal/secretstore/vault"
)

// front is a line to a server that counts the logins and knows the last token.
type front struct {
	url           string
	logins, given atomic.Int32 // tokens that were given back
	token         atomic.Value
}

func newFront(t *testing.T, next http.Handler) *front {
	t.Helper()
	f := &front{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/login"):
			f.logins.Add(1)
		case strings.HasSuffix(r.URL.Path, "/revoke-self"):
			f.given.Add(1)
		default:
			f.token.Store(r.Header.Get("X-Vault-Token"))
		}
		next.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	f.url = server.URL
	return f
}

// entering opens a store on a real server by AppRole, at a clock that can be put ahead.
func entering(t *testing.T, v *secretstoretest.VaultServer, role string, more map[string]any) (*vault.Store, *front, *atomic.Int64) {
	t.Helper()
	roleID, secretID := v.AppRole(t, role, everything)
	if more != nil {
		v.Do(t, "POST", "auth/approle/role/"+role, more, nil)
	}
	f, ahead := newFront(t, secretstoretest.NewLine(t, v.URL, nil)), &atomic.Int64{}
	o := options(f.url, vault.Auth{Method: vault.ByAppRole, RoleID: roleID, SecretID: rekey.NewToken(secretID)})
	o.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	return open(t, o), f, ahead
}

// fewUses: a token that is good for a few requests is replaced as often as it takes;
// with one use it is the write that meets the end, after the read.
func fewUses(t *testing.T, v *secretstoretest.VaultServer) {
	for _, c := range []struct {
		role string
		uses int
	}{{"one-use", 1}, {"three-uses", 3}} {
		s, f, _ := entering(t, v, c.role, map[string]any{"token_num_uses": c.uses, "token_ttl": "20m"})
		r := ref(t, "vault://secret/"+c.role+"?kv=2")
		const writes = 4 // of two requests each
		for range writes {
			write(t, s, r)
		}
		if got, err := s.Get(t.Context(), r, ""); err != nil || got.Version != "4" {
			t.Errorf("%s: version %s, %v, want 4", c.role, got.Version, err)
		}
		if got, want := int(f.logins.Load()), (2*writes+1+c.uses-1)/c.uses; got != want {
			t.Errorf("%s: %d logins, want %d", c.role, got, want)
		}
	}
}

// revoked: a token that was revoked is replaced at once, by one login for all who need
// it, and long before its lease is over.
func revoked(t *testing.T, v *secretstoretest.VaultServer) {
	s, f, ahead := entering(t, v, "revoked", nil)
	r := ref(t, "vault://secret/revoked")
	write(t, s, r)
	for round := range 2 {
		v.Do(t, "POST", "auth/token/revoke", map[string]string{"token": f.token.Load().(string)}, nil)
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				if _, err := s.Get(t.Context(), r, ""); err != nil {
					t.Errorf("round %d: %v\n%s", round, err, rekey.HintOf(err))
				}
			})
		}
		all.Wait()
		if got, want := int(f.logins.Load()), round+2; got != want {
			t.Errorf("round %d: %d logins, want %d", round, got, want)
		}
		ahead.Add(int64(5 * time.Minute))
	}
	v.Do(t, "POST", "auth/token/revoke", map[string]string{"token": f.token.Load().(string)}, nil)
	write(t, s, r)
}

// missingPolicy: a refusal that is a policy's is no reason to log in again at each
// request, and the logins that it causes leave no tokens behind.
func missingPolicy(t *testing.T, v *secretstoretest.VaultServer) {
	s, f, ahead := entering(t, v, "missing-policy", nil)
	write(t, s, ref(t, "vault://secret/missing-policy"))
	denied := ref(t, "vault://kv1/missing-policy?kv=1")
	for range 3 {
		_, err := s.Get(t.Context(), denied, "")
		wants(t, "no policy", err, rekey.KindDenied, `path "kv1/missing-policy"`)
	}
	if logins := f.logins.Load(); logins != 1 {
		t.Errorf("%d logins, want the one that was young when the refusals came", logins)
	}
	ahead.Store(int64(2 * time.Minute))
	for range 3 {
		_, err := s.Get(t.Context(), denied, "")
		wants(t, "no policy, later", err, rekey.KindDenied, `path "kv1/missing-policy"`)
	}
	if logins, given := f.logins.Load(), f.given.Load(); logins != 2 || given != 1 {
		t.Errorf("%d logins and %d tokens given back, want 2 and 1", logins, given)
	}
	write(t, s, ref(t, "vault://secret/missing-policy"))
}

// roleGone: a login that is refused is not tried at each request, and does not hide
// that a policy is what lacks.
func roleGone(t *testing.T, v *secretstoretest.VaultServer) {
	s, f, ahead := entering(t, v, "gone", nil)
	write(t, s, ref(t, "vault://secret/gone"))
	v.Do(t, "DELETE", "auth/approle/role/gone", nil, nil)
	for range 3 {
		ahead.Add(int64(2 * time.Minute))
		_, err := s.Get(t.Context(), ref(t, "vault://kv1/gone?kv=1"), "")
		wants(t, "no policy", err, rekey.KindDenied, `path "kv1/gone"`)
	}
	write(t, s, ref(t, "vault://secret/gone")) // the token is as good as it was
	if logins := f.logins.Load(); logins != 2 {
		t.Errorf("%d logins, want 2: one that was refused is enough for a policy", logins)
	}
	ahead.Add(int64(2 * time.Minute))
	v.Do(t, "POST", "auth/token/revoke", map[string]string{"token": f.token.Load().(string)}, nil)
	for range 3 {
		_, err := s.Get(t.Context(), ref(t, "vault://secret/gone"), "")
		wants(t, "no way back", err, rekey.KindDenied, "log in to", "approle")
	}
	if logins := f.logins.Load(); logins != 3 {
		t.Errorf("%d logins, want 3: Vault locks the role out after some", logins)
	}
}

// TestTokenThatIsRefused: what each server says of a token that it does not know leads
// to one login more, whatever the lease, and no further where that does not help.
func TestTokenThatIsRefused(t *testing.T) {
	t.Parallel()
	for name, said := range map[string]string{
		"Vault":   `{"errors":["2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n"]}`,
		"OpenBao": `{"errors":["permission denied"]}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var made, dead atomic.Int32
			f := newFront(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch token := "hvs.CANARY" + string(rune('a'+made.Load())); {
				case strings.HasSuffix(r.URL.Path, "/login"):
					made.Add(1)
					_ = json.NewEncoder(w).Encode(map[string]any{"auth": map[string]any{"client_token": "hvs.CANARY" + string(rune('a'+made.Load())), "lease_duration": 0}})
				case r.Header.Get("X-Vault-Token") == token && dead.Load() == 0:
					_, _ = io.WriteString(w, `{"data":{"token":"glrt-CANARYaaaaaaaaaaaaaa"}}`)
				default:
					dead.CompareAndSwap(1, 0)
					w.WriteHeader(http.StatusForbidden)
					_, _ = io.WriteString(w, said)
				}
			}))
			o := options(f.url, vault.Auth{Method: vault.ByAppRole, RoleID: "role", SecretID: rekey.NewToken("CANARYsecret")})
			s, r := open(t, o), ref(t, "vault://secret/x?kv=1")
			get := func() error { _, err := s.Get(t.Context(), r, ""); return err }
			if err := get(); err != nil {
				t.Fatal(err)
			}
			dead.Store(1) // for one request
			if err := get(); err != nil || f.logins.Load() != 2 {
				t.Errorf("a token that ended: %v after %d logins, want 2", err, f.logins.Load())
			}
			dead.Store(2) // whatever the token, as where it is bound to other addresses
			for range 3 {
				wants(t, "refused for ever", get(), rekey.KindDenied)
			}
			if logins := f.logins.Load(); logins != 3 {
				t.Errorf("%d logins, want 3: the last one did not help", logins)
			}
		})
	}
}

// TestTokenIsGivenBackWhereItIsFrom: a token of a namespace is known there alone.
func TestTokenIsGivenBackWhereItIsFrom(t *testing.T) {
	t.Parallel()
	var namespace atomic.Value
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/revoke-self") {
			namespace.Store(r.Header.Get("X-Vault-Namespace"))
		}
		_, _ = io.WriteString(w, `{"auth":{"client_token":"hvs.CANARY"},"data":{"token":"glrt-CANARYaaaaaaaaaaaaaa"}}`)
	}))
	defer server.Close()
	o := options(server.URL, vault.Auth{Method: vault.ByAppRole, RoleID: "role"})
	o.Namespace = "org"
	s := open(t, o)
	if _, err := s.Get(t.Context(), ref(t, "vault://secret/x?kv=1"), ""); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil || namespace.Load() != "org" {
		t.Errorf("Close: %v, given back to namespace %v, want org", err, namespace.Load())
	}
}
