package vaultplugin

import (
	"net/http"

	"github.com/hashicorp/vault/sdk/logical"

	"rekey"
)

// refusal is an error as Vault's clients show it: what the caller or the operator
// can mend is a 400 with the hint, an absent GitLab a 503 that may be tried again.
func refusal(err error) (*logical.Response, error) {
	text := err.Error()
	if hint := rekey.HintOf(err); hint != "" {
		text += "\n→ " + hint
	}
	switch rekey.KindOf(err) {
	case rekey.KindUnavailable:
		return nil, logical.CodedError(http.StatusServiceUnavailable, text)
	case rekey.KindInternal:
		return nil, err
	}
	return logical.ErrorResponse("%s", text), nil
}

func invalid(format string, args ...any) *rekey.Error {
	return rekey.Errorf(rekey.KindInvalid, format, args...)
}
