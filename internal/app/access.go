package app

import (
	"math"
	"os"
	"strings"
	"time"

	"rekey"
	"rekey/internal/gitlab"
)

// DefaultRPS is the request budget of one GitLab. GitLab plans for 20 to 1,000
// requests a second by size; this is a tenth of 100, a middling size. A smaller one
// slows it down by its headers.
const DefaultRPS = 10

// Access says how a GitLab is reached with a user token, and how gently.
type Access struct {
	URL       string // "" for the environment's
	TokenFile string // "" for the environment's token
	CAFile    string
	RPS       float64 // 0: no limit
	Timeout   time.Duration
}

// network is what all that talks to GitLabs shares in one run.
type network struct {
	options gitlab.Options
	prober  *gitlab.Prober
	client  *gitlab.Client // nil without a user token
	base    string         // the GitLab that the user token is for
}

// network builds prober and client. The user token is for one GitLab: the one
// named by --url, GITLAB_HOST or CI_SERVER_URL, else gitlab.com, as for glab.
func (a *App) network(in Access) (*network, error) {
	if in.RPS < 0 || math.IsNaN(in.RPS) || in.Timeout < 0 {
		return nil, rekey.Errorf(rekey.KindInvalid, "--rps and --timeout cannot be negative").WithHint("--rps 0 lifts the limit")
	}
	if in.CAFile != "" {
		if _, err := os.Stat(in.CAFile); err != nil { // a section's own CA file may be missing, one that was asked for may not
			return nil, rekey.Errorf(rekey.KindInvalid, "the CA file cannot be read: %w", err).WithHint("give --ca-file the PEM file of your CA")
		}
	}
	n := &network{options: gitlab.Options{CAFile: in.CAFile, Budgets: gitlab.NewBudgets(in.RPS, a.Now), UserAgent: "rekey/" + a.version, Now: a.Now}}
	n.prober = gitlab.NewProber(n.options)
	token, err := a.userToken(in)
	if err != nil || token.IsZero() {
		return n, err
	}
	a.scrub.Add(token)
	host := in.URL
	if host == "" {
		host = a.env("GITLAB_HOST", "CI_SERVER_URL", "GITLAB_URL")
	}
	if host == "" {
		host = "https://gitlab.com"
	}
	if n.base, err = gitlab.HostURL(host); err != nil {
		return nil, rekey.Errorf(rekey.KindInvalid, "the GitLab of the user token: %w", err).WithHint("write --url or GITLAB_HOST as https://gitlab.example.com")
	}
	options := n.options
	options.URL, options.Token, options.Patience = n.base, token, in.Timeout
	n.client, err = gitlab.NewClient(options)
	return n, err
}

func (a *App) userToken(in Access) (rekey.Token, error) {
	if in.TokenFile == "" {
		return rekey.NewToken(strings.TrimSpace(a.env("GITLAB_TOKEN", "GITLAB_ACCESS_TOKEN"))), nil
	}
	data, err := os.ReadFile(in.TokenFile)
	if err != nil {
		return rekey.Token{}, rekey.Errorf(rekey.KindInvalid, "the user token's file cannot be read: %w", err).WithHint("put the token there alone, or set GITLAB_TOKEN")
	}
	token := rekey.NewToken(strings.TrimSpace(string(data)))
	if token.IsZero() {
		return token, rekey.Errorf(rekey.KindInvalid, "%s is empty", in.TokenFile).WithHint("put a personal, group or project access token there")
	}
	return token, nil
}

// clientFor returns the client where the user token was given for the GitLab at
// base, else nil: a token never goes to a URL found in a config.
func (n *network) clientFor(base string) *gitlab.Client {
	if n.client == nil || !gitlab.SameGitLab(n.base, base) {
		return nil
	}
	return n.client
}

// needClient returns the client, or says how to give a token.
func (n *network) needClient() (*gitlab.Client, error) {
	if n.client == nil {
		return nil, rekey.Errorf(rekey.KindDenied, "this needs a user token").
			WithHint("set GITLAB_TOKEN (scope read_api or api) and GITLAB_HOST, or give --gitlab-token-file and --url")
	}
	return n.client, nil
}
