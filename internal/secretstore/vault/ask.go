package vault

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/hashicorp/vault/api"

	"rekey"
	"rekey/internal/redact"
	"rekey/internal/secretstore"
)

// mostSends bounds how often a refused request goes out, where others use up the tokens
// that it is given.
const mostSends = 4

// ask sends one request as the store's identity. A 403 may be the end of its token:
// with another one the request is sent again, since the refused one did nothing; it
// makes one login at most. A 404 without content is nil, nil.
func (s *Store) ask(ctx context.Context, ref secretstore.Ref, method, path string, query map[string][]string, body map[string]any) (*api.Secret, error) {
	client, err := s.identified(ctx)
	if err != nil {
		return nil, err
	}
	var own bool
	for sends := 1; ; sends++ {
		answer, err := s.send(ctx, client, ref, method, path, query, body)
		refused, token := statusOf(err) == http.StatusForbidden, client.Token()
		if err == nil || refused && !tokenEnded(err) {
			s.took(token)
		}
		if !refused || own || sends == mostSends {
			return answer, err
		}
		var failed error
		client, own, failed = s.renewed(ctx, token, tokenEnded(err))
		switch {
		case failed != nil:
			return nil, failed
		case client == nil:
			return answer, err
		}
	}
}

func (s *Store) send(ctx context.Context, client *api.Client, ref secretstore.Ref, method, path string, query map[string][]string, body map[string]any) (*api.Secret, error) {
	ctx, stop := context.WithTimeout(ctx, s.opts.Patience)
	defer stop()
	namespace := s.opts.Namespace
	if of := ref.Option("namespace"); of != "" {
		namespace = of
	}
	if namespace != "" {
		client = client.WithNamespace(namespace)
	}
	logical := client.Logical()
	switch method {
	case "PUT":
		return logical.WriteWithContext(ctx, path, body)
	case "DELETE":
		return logical.DeleteWithContext(ctx, path)
	case "LIST":
		return logical.ListWithContext(ctx, path)
	}
	return logical.ReadWithDataWithContext(ctx, path, query)
}

// request is what was tried, in words and as a policy sees it.
type request struct {
	what       string // "read"
	path       string // "secret/data/ci/runner"
	capability string
	preflight  bool
}

// line is what a policy must say to allow it.
func (r request) line() string {
	if r.preflight {
		mounted, rest, _ := strings.Cut(strings.TrimPrefix(r.path, "sys/internal/ui/mounts/"), "/")
		return fmt.Sprintf(`path "%s/data/%s" { capabilities = ["read"] } (KV version 2; without data/ on version 1)`, mounted, rest)
	}
	capabilities := `"` + r.capability + `"`
	if r.capability == "create" || r.capability == "update" {
		capabilities = `"create", "read", "update"`
	}
	return fmt.Sprintf(`path "%s" { capabilities = [%s] }`, r.path, capabilities)
}

// fail words what stood in the way.
func (s *Store) fail(ref secretstore.Ref, r request, err error) error {
	var own *rekey.Error
	if errors.As(err, &own) {
		return err
	}
	var answered *api.ResponseError
	if errors.As(err, &answered) {
		return s.refused(ref, r, answered)
	}
	name := fmt.Sprintf("%s %s", r.what, ref)
	var cert *x509.UnknownAuthorityError
	switch {
	case errors.Is(err, errRedirected):
		return rekey.Errorf(rekey.KindUnavailable, "%s: %s: %s", name, s.opts.Address, errRedirected).
			WithHint("a standby does so, or a login page: give VAULT_ADDR the address of the active server or of the load balancer")
	case errors.Is(err, context.Canceled):
		return rekey.Errorf(rekey.KindUnavailable, "%s: interrupted: %w", name, context.Canceled)
	case errors.Is(err, context.DeadlineExceeded):
		return rekey.Errorf(rekey.KindUnavailable, "%s: Vault did not answer in time", name).WithHint("see whether it is well: `vault status`")
	case errors.As(err, &cert):
		return rekey.Errorf(rekey.KindUnavailable, "%s: the certificate of %s is signed by an authority that this system does not know", name, s.opts.Address).WithHint("name the CA's PEM file in VAULT_CACERT")
	}
	return rekey.Errorf(rekey.KindUnavailable, "%s: %s cannot be reached: %s", name, s.opts.Address, said(err)).WithHint("check VAULT_ADDR, and whether the server runs: `vault status`")
}

func (s *Store) refused(ref secretstore.Ref, r request, answered *api.ResponseError) error {
	name := fmt.Sprintf("%s %s", r.what, ref)
	text := redact.Scrub(strings.Join(strings.Fields(strings.Join(answered.Errors, "; ")), " "))
	if answered.RawError || len(text) > 300 {
		text = http.StatusText(answered.StatusCode)
	}
	switch {
	case answered.StatusCode == http.StatusServiceUnavailable && strings.Contains(text, "sealed"):
		return rekey.Errorf(rekey.KindUnavailable, "%s: Vault is sealed", name).WithHint("somebody with the unseal keys types `vault operator unseal`; nothing was read or written")
	case answered.StatusCode == http.StatusForbidden && strings.Contains(text, "invalid token"), answered.StatusCode == http.StatusForbidden && strings.Contains(text, "missing client token"):
		return rekey.Errorf(rekey.KindDenied, "%s: Vault does not take the token: %s", name, text).WithHint("it has ended or was revoked: log in again (`vault login`), or let rekey do so: VAULT_ROLE_ID and VAULT_SECRET_ID, or REKEY_VAULT_AUTH")
	case answered.StatusCode == http.StatusForbidden && r.preflight: // Vault says the same of both
		return rekey.Errorf(rekey.KindDenied, "%s: permission denied, or there is no such mount", name).WithHint("`vault secrets list` shows the mounts; the policy of this identity may lack the line: %s", r.line())
	case answered.StatusCode == http.StatusForbidden:
		return rekey.Errorf(rekey.KindDenied, "%s: permission denied (OpenBao says the same of a token that has ended: `bao login` or `vault login` makes another)", name).
			WithHint("the policy of this identity lacks the line: %s", r.line())
	case answered.StatusCode == http.StatusTooManyRequests:
		return rekey.Errorf(rekey.KindUnavailable, "%s: Vault limits the rate of requests", name).WithHint("try again later; a quota is set at sys/quotas/rate-limit")
	case answered.StatusCode == http.StatusNotFound:
		return secretstore.Missing(ref, "there is no such secret or mount")
	case answered.StatusCode >= 500 || answered.StatusCode == http.StatusPreconditionFailed || answered.StatusCode == 472 || answered.StatusCode == 473:
		return rekey.Errorf(rekey.KindUnavailable, "%s: Vault failed: %s", name, text).WithHint("see whether it is well: `vault status`")
	}
	return rekey.Errorf(rekey.KindInvalid, "%s: Vault refused: %s", name, text).WithHint("see `vault secrets list -detailed`")
}

func statusOf(err error) int {
	var answered *api.ResponseError
	if errors.As(err, &answered) {
		return answered.StatusCode
	}
	return 0
}

// isMoved reports a failed check-and-set.
func isMoved(err error) bool {
	var answered *api.ResponseError
	return errors.As(err, &answered) && answered.StatusCode == http.StatusBadRequest && strings.Contains(strings.Join(answered.Errors, " "), "check-and-set")
}

// isLost reports a write that may have been made: its answer was lost, or is a
// failure of the server or of what stands before it.
func isLost(err error) bool {
	status := statusOf(err)
	var own *rekey.Error
	switch {
	case errors.As(err, &own), errors.Is(err, errRedirected):
		return false
	case status == 0:
		return !secretstore.NeverSent(err)
	case status == http.StatusServiceUnavailable:
		return false // sealed, or standby: it says so before it does anything
	}
	return status >= 500
}

// said is an error of the network in one line, without the request around it.
func said(err error) string {
	var around *url.Error
	if errors.As(err, &around) {
		err = around.Err
	}
	return redact.Scrub(strings.Join(strings.Fields(err.Error()), " "))
}
