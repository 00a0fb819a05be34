package app

import (
	"context"
	"fmt"
	"strings"
	"time"

	"rekey"
	"rekey/internal/gitlab"
	"rekey/internal/iac"
)

// verifyTokens asks the GitLab that was named, and no other, about the runner
// tokens found, each once, and writes what it says into the findings. Discovery
// is asked first, which leaves no trace; verify tells the runner's id and may leave
// a manager named <legacy>.
func (a *App) verifyTokens(ctx context.Context, in Access, findings []iac.Finding, progress func(done, total int)) (string, error) {
	host := in.URL
	if host == "" {
		host = a.env("GITLAB_HOST", "CI_SERVER_URL", "GITLAB_URL")
	}
	if host == "" {
		return "", rekey.Errorf(rekey.KindInvalid, "--verify does not know which GitLab is yours").WithHint("name it with --url https://gitlab.example.com or GITLAB_HOST")
	}
	base, err := gitlab.HostURL(host)
	if err != nil {
		return "", rekey.Errorf(rekey.KindInvalid, "your GitLab: %w", err).WithHint("write --url as https://gitlab.example.com")
	}
	n, err := a.network(in)
	if err != nil {
		return "", err
	}
	said := map[rekey.Token]iac.Alive{}
	for i := range findings {
		token := findings[i].Secret()
		if !askable(token) {
			continue
		}
		answer, asked := said[token]
		if !asked {
			answer = n.alive(ctx, base, token)
			said[token] = answer
		}
		findings[i].Alive = &answer
		progress(i+1, len(findings))
	}
	return fmt.Sprintf("%s was asked about %d runner tokens", base, len(said)), nil
}

// askable reports a runner's authentication token: of another kind nothing can be
// asked without using it.
func askable(t rekey.Token) bool {
	return !t.IsZero() && (t.Kind() == rekey.TokenRunner || t.Kind() == rekey.TokenRunnerLegacy)
}

func (n *network) alive(ctx context.Context, base string, token rekey.Token) iac.Alive {
	request := gitlab.ProbeRequest{URL: base, Token: token, AllowVerifyWithoutSystemID: true, TLSCAFile: n.options.CAFile}
	answer := n.prober.Probe(ctx, request)
	if answer.Verdict() == rekey.Valid && answer.RunnerID == 0 {
		request.PreferVerify = true
		if second := n.prober.Probe(ctx, request); second.Verdict() == rekey.Valid {
			answer = second
		}
	}
	switch answer.Verdict() {
	case rekey.Valid:
		return iac.Alive{Verdict: rekey.Valid, Seen: n.whose(ctx, base, answer.RunnerID)}
	case rekey.Invalid:
		return iac.Alive{Verdict: rekey.Invalid, Seen: "dead: " + base + " refuses it (403 Forbidden)"}
	}
	return iac.Alive{Verdict: rekey.Unknown, Seen: strings.TrimSuffix(fmt.Sprintf("not told: %s answered %s %s", base, answer.Kind, answer.Message), " ")}
}

// whose says which runner a token belongs to, as far as the user token may see.
func (n *network) whose(ctx context.Context, base string, id rekey.RunnerID) string {
	if id == 0 {
		return "alive: " + base + " accepts it"
	}
	text := fmt.Sprintf("alive: this is runner %d", id)
	client := n.clientFor(base)
	if client == nil {
		return text + "; with GITLAB_TOKEN (read_api) its owner is told too"
	}
	r, err := client.Runner(ctx, id)
	if err != nil {
		return text + "; the user token may not read it"
	}
	for _, g := range r.Groups {
		text += " of group " + named(g)
	}
	for _, p := range r.Projects {
		text += " of project " + named(p)
	}
	if r.Scope == rekey.ScopeInstance {
		text += " of the instance"
	}
	if r.Creator != "" {
		text += ", made by " + r.Creator
	}
	if r.ContactedAt.IsZero() {
		return text + ", never seen"
	}
	return text + ", last seen " + r.ContactedAt.UTC().Format(time.DateTime) + " UTC"
}

func named(r rekey.Ref) string {
	if r.Path != "" {
		return r.Path
	}
	return fmt.Sprint(r.ID)
}
