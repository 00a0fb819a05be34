package remedy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"rekey"
	"rekey/internal/configtoml"
	"rekey/internal/diagnose"
)

// deliver writes the new token into the sections of one operation, under the
// locks of their configs.
func (e *Engine) deliver(ctx context.Context, op *operation) (any, string, error) {
	if err := e.completeGiven(ctx, op); err != nil {
		return nil, "", err
	}
	edits := op.edits(rekey.StepDeliver)
	for _, ed := range edits {
		e.editConfig(ed.site.Config, []*edit{ed})
	}
	return outcome(op, edits)
}

// deliverAll does the same for several operations, each config replaced once. It
// writes their outcomes.
func (e *Engine) deliverAll(ctx context.Context, ops []*operation) []error {
	errs := make([]error, len(ops))
	before := make([]int, len(ops))
	all := make([][]*edit, len(ops))
	byConfig := map[string][]*edit{}
	for i, op := range ops {
		before[i] = len(op.journal.Records())
		if errs[i] = e.completeGiven(ctx, op); errs[i] != nil {
			continue
		}
		all[i] = op.edits(rekey.StepDeliver)
		for _, ed := range all[i] {
			byConfig[ed.site.Config] = append(byConfig[ed.site.Config], ed)
		}
	}
	// Side by side: the old token may be dead, and every host that waits is refused.
	forEach(configsOf(ops), func(_ int, path string) { e.editConfig(path, byConfig[path]) })
	forEach(ops, func(i int, op *operation) {
		var data any
		var text string
		if errs[i] == nil {
			data, text, errs[i] = outcome(op, all[i])
		}
		errs[i] = e.conclude(op, rekey.StepDeliver, before[i], data, text, errs[i])
	})
	return errs
}

func (op *operation) edits(step rekey.StepKind) []*edit {
	var edits []*edit
	for _, s := range op.sites {
		edits = append(edits, &edit{op: op, site: s, step: step})
	}
	return edits
}

func outcome(op *operation, edits []*edit) (any, string, error) {
	var texts []string
	var errs []error
	for _, ed := range edits {
		errs = append(errs, ed.err)
		if !slices.Contains(texts, ed.text) {
			texts = append(texts, ed.text)
		}
	}
	if err := errors.Join(errs...); err != nil {
		if len(edits) == 1 {
			err = edits[0].err
		}
		return nil, "", err
	}
	return op.sites[0].delivered, strings.Join(texts, "; "), nil
}

// configsOf lists the configs of some operations, in one order for all: who locks
// several takes them in it.
func configsOf(ops []*operation) []string {
	var paths []string
	for _, op := range ops {
		for _, s := range op.sites {
			paths = append(paths, s.Config)
		}
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}

// completeGiven asks GitLab for the id and the expiry of a token that was given:
// they go into the section with it. A token that GitLab refuses is not delivered.
func (e *Engine) completeGiven(ctx context.Context, op *operation) error {
	if !op.given() {
		return nil
	}
	url := op.url()
	var tls diagnose.TLSFiles
	if section, err := e.section(op, op.sites[0]); err == nil {
		tls = tlsOf(section)
	}
	answer := e.Probe(ctx, Question{Config: op.target.Config, TLS: tls, URL: url, Token: op.issued.Token,
		SystemID: e.Host.SystemID(op.target.Config), Verify: true})
	switch answer.Verdict() {
	case rekey.Valid:
		op.issued.ExpiresAt = answer.ExpiresAt
		op.issued.ID = answer.RunnerID
		if answer.RunnerID == 0 && op.target.From == "" {
			op.untold()
		}
		return nil
	case rekey.Invalid:
		return errFinal{rekey.Errorf(rekey.KindDenied, "%s refuses the token that was given (%s)", url, op.issued.Token).
			WithHint("have a colleague make a runner in the page of that GitLab, and give its glrt- token")}
	}
	return rekey.Errorf(rekey.KindUnavailable, "whether %s accepts the token that was given is unknown: %s", url, answer.Message).
		WithHint("run `rekey fix` again when that GitLab answers: the token is sealed in the journal")
}

// untold notes that id and expiry are not in the section, and why: gitlab-runner would
// take it for a token that never expires.
func (op *operation) untold() {
	const note = "GitLab told neither the id of the token nor when it expires, since this host has no .runner_system_id yet: gitlab-runner takes it for one that never expires; `rekey runner list` tells when it does"
	if !slices.Contains(op.target.Notes, note) {
		op.target.Notes = append(slices.Clone(op.target.Notes), note)
	}
}

func (op *operation) appendsGiven() bool {
	return op.target.Remedy == rekey.RemedyAppend && op.target.Attributes == nil
}

func (op *operation) url() string {
	if op.target.NewURL != "" {
		return op.target.NewURL
	}
	return op.target.URL
}

// change is the one edit of invariant 5: id, token and both dates together.
func (op *operation) change() configtoml.Change {
	c := configtoml.Change{}
	if op.target.NewURL != "" {
		c.URL = &op.target.NewURL
	}
	if op.issued.Token.IsZero() {
		return c
	}
	c.Token = &op.issued.Token
	if op.target.Remedy == rekey.RemedyRewrite {
		return c // the same token as before: its id and dates stay
	}
	obtained := op.issued.ObtainedAt.UTC().Truncate(time.Second)
	expires := op.issued.ExpiresAt.UTC()
	c.ObtainedAt, c.ExpiresAt = &obtained, &expires
	if op.issued.ID != 0 || op.given() { // the id of another record would be taken for this one's
		c.ID = &op.issued.ID
	}
	return c
}

// reload makes the running gitlab-runners load the configs, each once for all
// edits that were made together. One that cannot be told does not stop the others.
func (e *Engine) reload(ctx context.Context, op *operation) (any, string, error) {
	paths := configsOf([]*operation{op})
	hows, done, errs := make([]string, len(paths)), make([]bool, len(paths)), make([]error, len(paths))
	forEach(paths, func(i int, path string) { hows[i], done[i], errs[i] = e.reloadConfig(ctx, path) })
	if err := errors.Join(errs...); err != nil {
		if len(paths) == 1 {
			err = errs[0]
		}
		return nil, "", err
	}
	var fresh []string
	for i, how := range hows {
		if !done[i] && how != "" {
			fresh = append(fresh, how)
		}
	}
	return strings.Join(hows, "; "), strings.Join(fresh, "; "), nil
}

func (e *Engine) reloadConfig(ctx context.Context, path string) (how string, done bool, err error) {
	e.mu.Lock()
	how, done = e.reloaded[path]
	e.mu.Unlock()
	if done {
		return how, true, nil
	}
	if how, err = e.Host.Reload(ctx, path); err != nil {
		return "", false, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.reloaded == nil {
		e.reloaded = map[string]string{}
	}
	e.reloaded[path] = how
	return how, false, nil
}

// unloaded forgets that configs were reloaded: they have been edited since.
func (e *Engine) unloaded(paths ...string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, path := range paths {
		delete(e.reloaded, path)
	}
}

// assign gives a project runner a further project.
func (e *Engine) assign(ctx context.Context, op *operation) (any, string, error) {
	gl, err := e.client(op)
	if err != nil {
		return nil, "", err
	}
	if err := op.journal.Write(rekey.StepAssign, rekey.PhaseIntent, op.target.AssignTo, nil); err != nil {
		return nil, "", err
	}
	if err := gl.AssignProject(ctx, op.target.AssignTo, op.target.RunnerID); err != nil {
		if r, rerr := gl.Runner(ctx, op.target.RunnerID); rerr != nil || !assigned(r, op.target.AssignTo) {
			return nil, "", err
		}
	}
	return nil, fmt.Sprintf("runner %d assigned to %s", op.target.RunnerID, op.target.AssignTo), nil
}

func assigned(r rekey.Runner, project string) bool {
	for _, p := range r.Projects {
		if p.Path == project || fmt.Sprint(p.ID) == project {
			return true
		}
	}
	return false
}
