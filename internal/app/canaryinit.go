package app

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"rekey"
	"rekey/internal/gitlab"
	"rekey/internal/remedy"
)

// CanaryInput is what canary init is asked.
type CanaryInput struct {
	Access         Access
	Project        string // full path or id
	Create         bool   // make the project where it is not there
	Force          bool   // write over another .gitlab-ci.yml
	AllowVariables bool   // let developers set pipeline variables where nobody may
}

// Canary is a project that is ready for canary jobs.
type Canary struct {
	Project string   `json:"project"`
	WebURL  string   `json:"web_url"`
	Branch  string   `json:"branch"`
	Done    []string `json:"done"`  // what was changed; empty: nothing had to be
	Notes   []string `json:"notes"` // what may still keep a canary from running
}

// canaryPath is where GitLab looks for a project's jobs.
const canaryPath = ".gitlab-ci.yml"

// CanaryInit prepares a project for canary jobs. It is repeatable: what is there
// already is left as it is.
func (a *App) CanaryInit(ctx context.Context, in CanaryInput) (Canary, error) {
	n, err := a.network(in.Access)
	if err != nil {
		return Canary{}, err
	}
	client, err := n.needClient()
	if err != nil {
		return Canary{}, err
	}
	if err := mayPrepare(ctx, client); err != nil {
		return Canary{}, err
	}
	c := &canaryMaker{client: client, in: in, out: Canary{Project: in.Project, Done: []string{}, Notes: []string{}}}
	for _, step := range []func(context.Context) error{c.findProject, c.writeJob, c.openVariables} {
		if err := step(ctx); err != nil {
			return c.out, err
		}
	}
	return c.out, nil
}

// mayPrepare names the scope that is missing before anything is changed.
func mayPrepare(ctx context.Context, client *gitlab.Client) error {
	user, err := client.WhoAmI(ctx)
	if err != nil || user.Scopes == nil || slices.Contains(user.Scopes, "api") {
		return nil //nolint:nilerr // GitLab does not tell: it will say when it is asked
	}
	return rekey.Errorf(rekey.KindDenied, "the user token lacks the scope api").
		WithHint("make a token with the scope api for this: a commit, a project and a pipeline need it; this one has %s", strings.Join(user.Scopes, ", "))
}

// canaryMaker is one preparation under way.
type canaryMaker struct {
	client  *gitlab.Client
	in      CanaryInput
	project gitlab.Project
	made    bool // the project was made just now
	out     Canary
}

func (c *canaryMaker) findProject(ctx context.Context) (err error) {
	c.project, err = c.client.Project(ctx, c.in.Project)
	if err != nil && rekey.KindOf(err) == rekey.KindNotFound {
		if !c.in.Create {
			return rekey.Errorf(rekey.KindNotFound, "there is no project %s, or this user may not see it", c.in.Project).WithHint("--create makes it, in a group that exists")
		}
		if !strings.Contains(c.in.Project, "/") {
			return rekey.Errorf(rekey.KindInvalid, "%q does not say where the project should be made", c.in.Project).WithHint("name it with its group: GROUP/%s", c.in.Project)
		}
		if c.project, err = c.client.MakeProject(ctx, c.in.Project); err == nil {
			c.made = true
			c.did("made the private project %s", c.project.Path)
		}
	}
	if err != nil {
		return err
	}
	if c.project.Archived {
		return rekey.Errorf(rekey.KindConflict, "%s is archived: no job runs there", c.project.Path).WithHint("choose another project, or unarchive it")
	}
	c.out.Project, c.out.WebURL, c.out.Branch = c.project.Path, c.project.WebURL, c.project.DefaultBranch
	if c.out.Branch == "" { // an empty repository
		c.out.Branch = "main"
	}
	if !c.project.SharedRunners {
		c.out.Notes = append(c.out.Notes, "instance runners are turned off in this project: only its own and its group's runners can be proved there")
	}
	if !c.project.GroupRunners {
		c.out.Notes = append(c.out.Notes, "group runners are turned off in this project")
	}
	return nil
}

func (c *canaryMaker) did(format string, args ...any) {
	c.out.Done = append(c.out.Done, fmt.Sprintf(format, args...))
}

// writeJob commits the job, unless one that the variable starts is there.
func (c *canaryMaker) writeJob(ctx context.Context) error {
	text, there, err := c.client.File(ctx, c.project.ID, canaryPath, c.out.Branch)
	if err != nil {
		return err
	}
	switch {
	case there && remedy.HasCanary(string(text)) && !c.in.Force, string(text) == remedy.CanaryFile:
		return nil
	case there && !c.in.Force:
		return rekey.Errorf(rekey.KindConflict, "%s has a %s of its own on %s, and it is not written over", c.project.Path, canaryPath, c.out.Branch).
			WithHint("add the job of docs/guides/canary.md to it by hand, choose an empty project, or replace the file with --force")
	}
	err = c.client.CommitFile(ctx, c.project.ID, c.out.Branch, canaryPath, remedy.CanaryFile, "Add the canary job of rekey [skip ci]", there)
	if err != nil {
		return err
	}
	if there {
		c.did("replaced %s on %s", canaryPath, c.out.Branch)
	} else {
		c.did("committed %s to %s", canaryPath, c.out.Branch)
	}
	return nil
}

// nobody are the settings of "Minimum role to use pipeline variables" under which
// a canary is refused to developers.
var nobody = []string{"no_one_allowed", "owner", "maintainer"}

// openVariables sees to it that the canary's variable may be set.
func (c *canaryMaker) openVariables(ctx context.Context) error {
	role, err := c.client.VariablesRole(ctx, c.project.ID)
	if err != nil {
		c.out.Notes = append(c.out.Notes, fmt.Sprintf("who may set pipeline variables cannot be read: %v", err))
		return nil
	}
	if !slices.Contains(nobody, role) {
		return nil
	}
	if role == "no_one_allowed" && (c.made || c.in.AllowVariables) || c.in.AllowVariables {
		if err := c.client.SetVariablesRole(ctx, c.project.ID, "developer"); err != nil {
			return err
		}
		c.did("developers may set pipeline variables (it was %s)", role)
		return nil
	}
	c.out.Notes = append(c.out.Notes, fmt.Sprintf("pipeline variables may be set by %s: a canary of somebody below that is refused; --allow-variables lets developers set them", strings.ReplaceAll(role, "_", " ")))
	return nil
}
