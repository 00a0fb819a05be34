package iac

import (
	"bytes"

	"rekey"
)

// Past is a token of a known shape in one version of a file that git kept.
type Past struct {
	Token   rekey.Token
	Line    int
	Column  int
	Where   Span
	Checked bool // it is routable and its checksum holds
}

// TokensIn finds the tokens in one text that a GitLab may have issued, each once,
// and leaves out examples. It is safe for concurrent use.
func TokensIn(text []byte) []Past {
	if !interesting(text) {
		return nil
	}
	var found []Past
	seen := map[rekey.Token]bool{}
	for _, s := range sightings(text) {
		if !s.issued() || s.broken || seen[s.token] {
			continue
		}
		seen[s.token] = true
		start := bytes.LastIndexByte(text[:s.start], '\n') + 1
		found = append(found, Past{Token: s.token, Line: 1 + bytes.Count(text[:s.start], []byte("\n")), Column: s.start - start + 1,
			Where: Span{s.start, s.end}, Checked: s.checked})
	}
	return found
}

// PastFinding is the finding for a token that commit put into path and that git
// still keeps; here says whether the work tree holds it too.
func PastFinding(path string, p Past, commit Commit, here bool) Finding {
	e := entryOf(Hardcoded)
	evidence := "a " + kindWords(p.Token.Kind()) + " in git history, " + p.Token.String()
	if here {
		evidence += "; it is in the work tree too"
	}
	one := Finding{Slug: Hardcoded, Code: e.Code(), Severity: e.Severity, Path: path, Line: p.Line, Column: p.Column, EndLine: p.Line,
		Message: "A token was committed, and everyone who has the history has it.", Evidence: evidence, Remedy: RotateCommand(p.Token),
		Docs: e.Docs(), Format: formatOf(path, nil), Token: &p.Token, Commit: &commit, Where: p.Where, Value: p.Where, secret: p.Token}
	one.Fingerprint = fingerprint("history", imprint(Hardcoded, nil, p.Token, map[string]int{}))
	return one
}

// RotateCommand says how a token of its kind is rotated. It never holds the token.
func RotateCommand(t rekey.Token) string {
	switch t.Kind() {
	case rekey.TokenRunner, rekey.TokenRunnerLegacy:
		return "Rotate it: `rekey rotate RUNNER`, with the id that `rekey audit --verify` tells, or reset it on the runner's page in GitLab."
	case rekey.TokenRegistration:
		return "Reset it: `glab api --method POST projects/ID/runners/reset_registration_token` (or groups/ID/…, or runners/reset_registration_token for the instance), then switch registration tokens off."
	case rekey.TokenPersonal:
		return "Rotate it: `glab api --method POST personal_access_tokens/ID/rotate`, or revoke it on its owner's page of access tokens."
	case rekey.TokenDeploy:
		return "Revoke it: `glab api --method DELETE projects/ID/deploy_tokens/ID`, and make another."
	case rekey.TokenTrigger:
		return "Delete it: `glab api --method DELETE projects/ID/triggers/ID`, and make another."
	case rekey.TokenJob:
		return "Nothing to rotate: a job token ends with its job. Find out why a job wrote it into a file."
	}
	return "Revoke it where it was issued."
}
