package cli

import (
	"time"

	"github.com/spf13/cobra"

	"rekey/internal/app"
)

// accessFlags are the flags by which every command reaches a GitLab. The token
// has none of its own: a command line is read by others.
func accessFlags(cmd *cobra.Command, a *app.Access) {
	f := cmd.Flags()
	f.StringVar(&a.URL, "url", "", "the GitLab that the user token is for (GITLAB_HOST, CI_SERVER_URL; default https://gitlab.com)")
	f.StringVar(&a.TokenFile, "gitlab-token-file", "", "file with a personal, group or project access token (else the variable GITLAB_TOKEN)")
	f.StringVar(&a.CAFile, "ca-file", "", "PEM file with the CA of the GitLab, where the system does not know it")
	f.Float64Var(&a.RPS, "rps", app.DefaultRPS, "requests a second to one GitLab, at most; 0 lifts the limit")
	f.DurationVar(&a.Timeout, "timeout", 30*time.Second, "how long one GitLab may go without a usable answer; waiting for --rps does not count")
}

// probeFlags say how far a diagnosis may go.
func probeFlags(cmd *cobra.Command, in *app.DoctorInput) {
	f := cmd.Flags()
	f.StringArrayVarP(&in.Configs, "config", "c", nil, "config.toml to look at; repeatable (default: the standard locations; CONFIG_FILE)")
	f.BoolVar(&in.NoTouch, "no-touch", false, "send no request that carries a runner token")
	f.BoolVar(&in.Touch, "touch", false, "below GitLab 18.7, verify even without a system id; this makes a <legacy> manager")
	f.StringVar(&in.ExpectScope, "expect-scope", "", "what the runners are meant to be: instance, group or project")
	f.StringVar(&in.ExpectProject, "expect-project", "", "a project, by path or id, that the runners are meant to serve")
}
