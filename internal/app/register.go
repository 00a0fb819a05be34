package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"rekey"
	"rekey/internal/configtoml"
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
	if err := in.Proof.Check(); err != nil {
		return rekey.Result{}, err
	}
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
	if err := a.makeHome(target.Config); err != nil {
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
	if err := a.writable(path); err != nil {
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
	if err := mayRegister(ctx, client); err != nil {
		return t, err
	}
	t.GitLab, t.URL = client.URL(), client.URL()
	t.Attributes, err = remedy.AttributesFrom(ctx, records{client}, in.flags(), name)
	return t, err
}

// mayRegister fails where the user token is known to lack a scope: a record that
// was made and may not be given its tags helps nobody.
func mayRegister(ctx context.Context, client *gitlab.Client) error {
	user, err := client.WhoAmI(ctx)
	if err != nil || user.Scopes == nil || slices.Contains(user.Scopes, "api") {
		return nil //nolint:nilerr // GitLab does not tell: it will say when it is asked for a record
	}
	for _, scope := range []string{"create_runner", "manage_runner"} {
		if !slices.Contains(user.Scopes, scope) {
			return rekey.Errorf(rekey.KindDenied, "the user token lacks the scope %s", scope).
				WithHint("use a user token with the scopes create_runner and manage_runner (or api); this one has %s", strings.Join(user.Scopes, ", "))
		}
	}
	return nil
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

// writable checks that a config that exists can be read and changed, and that a
// section can be added to it.
func (a *App) writable(path string) error {
	h := repairedHost{Host: host.Local(a.Now)}
	data, err := h.Read(path)
	if err != nil && rekey.KindOf(err) == rekey.KindNotFound {
		return nil
	}
	if err == nil {
		err = appendable(path, data)
	}
	if err != nil {
		return err
	}
	return h.CheckWritable(path)
}

// makeHome makes the directory of a config that is not there yet, and the system
// id.
func (a *App) makeHome(path string) error {
	h := host.Local(a.Now)
	if err := h.MakeDir(path); err != nil {
		return err
	}
	_, err := h.WriteSystemID(path)
	return err
}

// appendable tries a section on the config before GitLab is asked for a record.
func appendable(path string, data []byte) error {
	doc, err := configtoml.Parse(data)
	var syntax *configtoml.SyntaxError
	if errors.As(err, &syntax) {
		return unloadable(fmt.Sprintf("%s:%d: column %d: %s", path, syntax.Line, syntax.Column, syntax.Reason),
			"mend the file first; nothing was changed")
	}
	if err == nil {
		_, err = doc.Append(configtoml.NewSection{Name: "x", URL: "https://gitlab.example.com", Token: rekey.NewToken("glrt-00000000000000000000"), Executor: "shell"})
	}
	if err != nil {
		return unloadable(path+": "+err.Error(), rekey.HintOf(err))
	}
	return nil
}
