package app

import (
	"context"
	"io"
	"os"

	"rekey"
	"rekey/internal/gitlab"
	"rekey/internal/host"
	"rekey/internal/remedy"
)

// RegisterInput is what register is asked.
type RegisterInput struct {
	Access          Access
	Config          string
	Name            string
	Executor, Image string
	Record          RecordInput
	Proof           ProofInput
	State           StateInput
	TokenFile       string
	Stdin           io.Reader
	Report          func(Event)
}

// Register creates a record, appends its section and proves it; an interrupted
// one is resumed by `rekey fix`.
func (a *App) Register(ctx context.Context, in RegisterInput) (rekey.Result, error) {
	n, err := a.network(in.Access)
	if err != nil {
		return rekey.Result{}, err
	}
	given, err := a.givenToken(in.TokenFile, in.Stdin)
	if err != nil {
		return rekey.Result{}, err
	}
	target, err := a.newSection(ctx, n, in, given)
	if err != nil {
		return rekey.Result{}, err
	}
	engine, unlock, err := a.engine(n, in.State, in.Proof, in.Report)
	if err != nil {
		return rekey.Result{}, err
	}
	defer unlock()
	engine.Given = given
	results, err := engine.Apply(ctx, rekey.Plan{Targets: []rekey.Target{target}})
	if err != nil {
		return rekey.Result{}, err
	}
	return results[0], nil
}

// newSection checks everything that can be checked before GitLab is asked for a
// record.
func (a *App) newSection(ctx context.Context, n *network, in RegisterInput, given rekey.Token) (rekey.Target, error) {
	path, err := a.registerConfig(in.Config)
	if err != nil {
		return rekey.Target{}, err
	}
	name := in.Name
	if name == "" {
		if name, err = os.Hostname(); err != nil {
			return rekey.Target{}, rekey.Errorf(rekey.KindInvalid, "the host has no name: %w", err).WithHint("give one with --name")
		}
	}
	if err := a.prepare(path); err != nil {
		return rekey.Target{}, err
	}
	t := rekey.Target{Config: path, Name: name, Remedy: rekey.RemedyAppend, Executor: in.Executor, Image: in.Image}
	if !given.IsZero() {
		if t.URL, err = a.givenURL(in.Access); err != nil {
			return t, err
		}
		if n.client != nil {
			t.GitLab = n.base
		}
		return t, nil
	}
	client, err := n.needClient()
	if err != nil {
		return t, err
	}
	t.GitLab, t.URL = client.URL(), client.URL()
	t.Attributes, err = remedy.AttributesFrom(ctx, records{client}, in.flags(), name)
	return t, err
}

func (a *App) givenURL(in Access) (string, error) {
	url := in.URL
	if url == "" {
		url = a.env("GITLAB_HOST", "CI_SERVER_URL", "GITLAB_URL")
	}
	if url == "" {
		return "", rekey.Errorf(rekey.KindInvalid, "which GitLab the token is for must be said").WithHint("add --url https://gitlab.example.com")
	}
	return gitlab.HostURL(url)
}

func (in RegisterInput) flags() remedy.Flags {
	r := in.Record
	return remedy.Flags{Scope: r.Scope, Group: r.Group, Project: r.Project, Description: r.Description, Tags: r.Tags,
		RunUntagged: r.RunUntagged, Locked: r.Locked, AccessLevel: r.AccessLevel}
}

func (a *App) registerConfig(named string) (string, error) {
	if named != "" {
		return named, nil
	}
	if path := a.env("CONFIG_FILE"); path != "" {
		return path, nil
	}
	return host.Local(a.Now).DefaultConfig()
}

// prepare makes the directory and the system id, and checks that a config that
// exists can be read and changed.
func (a *App) prepare(path string) error {
	h := repairedHost{host.Local(a.Now)}
	_, err := h.Read(path)
	switch {
	case err == nil:
		if err := h.CheckWritable(path); err != nil {
			return err
		}
	case rekey.KindOf(err) != rekey.KindNotFound:
		return err
	default:
		if err := h.MakeDir(path); err != nil {
			return err
		}
	}
	_, err = h.WriteSystemID(path)
	return err
}
