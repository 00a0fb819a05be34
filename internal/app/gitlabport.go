package app

import (
	"context"
	"errors"
	"strconv"

	"rekey"
	"rekey/internal/gitlab"
	"rekey/internal/remedy"
)

// fleet is controller.Fleet on a client.
type fleet struct{ *gitlab.Client }

// WhoAmI drops what the port does not ask for.
func (f fleet) WhoAmI(ctx context.Context) (string, bool, []string, error) {
	u, err := f.Client.WhoAmI(ctx)
	return u.Name, u.Admin, u.Scopes, err
}

// Version marks a refused token, which is not the same as a missing scope.
func (f fleet) Version(ctx context.Context) (string, rekey.Version, error) {
	text, v, err := f.Client.Version(ctx)
	if errors.Is(err, gitlab.ErrTokenRefused) {
		err = refusedToken{err}
	}
	return text, v, err
}

// RegistrationAllowed reads the instance setting.
func (f fleet) RegistrationAllowed(ctx context.Context) (bool, error) {
	s, err := f.Settings(ctx)
	if err == nil && s.RegistrationAllowed == nil {
		return true, nil // before the setting existed nothing could switch it off
	}
	if err != nil {
		return false, err
	}
	return *s.RegistrationAllowed, nil
}

// Maintenance reads whether GitLab takes writes from administrators only.
func (f fleet) Maintenance(ctx context.Context) (bool, error) {
	s, err := f.Settings(ctx)
	return s.Maintenance, err
}

// Runner tells a record that is gone from an address that has no such endpoint.
func (f fleet) Runner(ctx context.Context, id rekey.RunnerID) (rekey.Runner, error) {
	r, err := f.Client.Runner(ctx, id)
	return r, noRoute(err)
}

// noRoute makes "unavailable" of a 404 that speaks of the address, not of the
// record.
func noRoute(err error) error {
	if errors.Is(err, gitlab.ErrNoRoute) {
		return rekey.Errorf(rekey.KindUnavailable, "%w", err)
	}
	return err
}

type refusedToken struct{ error }

// Unauthorized is what the controller asks.
func (refusedToken) Unauthorized() bool { return true }

// Unwrap returns the client's own error.
func (r refusedToken) Unwrap() error { return r.error }

// records is remedy.GitLab on a client.
type records struct{ *gitlab.Client }

// CreateRunner fits the port's function type.
func (r records) CreateRunner(ctx context.Context, n rekey.NewRunner, seal func([]byte) error) (rekey.Issued, error) {
	return r.Client.CreateRunner(ctx, n, seal)
}

// ResetRunner fits the port's function type.
func (r records) ResetRunner(ctx context.Context, id rekey.RunnerID, seal func([]byte) error) (rekey.Issued, error) {
	return r.Client.ResetRunner(ctx, id, seal)
}

// Runner tells a record that is gone from an address that has no such endpoint.
func (r records) Runner(ctx context.Context, id rekey.RunnerID) (rekey.Runner, error) {
	runner, err := r.Client.Runner(ctx, id)
	return runner, noRoute(err)
}

// DeleteRunner likewise.
func (r records) DeleteRunner(ctx context.Context, id rekey.RunnerID) error {
	return noRoute(r.Client.DeleteRunner(ctx, id))
}

// RunningJobs counts what RunnerJobs lists.
func (r records) RunningJobs(ctx context.Context, id rekey.RunnerID) (int, bool, error) {
	jobs, known, err := r.Client.RunnerJobs(ctx, id)
	return len(jobs), known, err
}

// Project returns what a canary needs.
func (r records) Project(ctx context.Context, pathOrID string) (remedy.Project, error) {
	p, err := r.Client.Project(ctx, pathOrID)
	return remedy.Project{ID: p.ID, Path: p.Path, DefaultBranch: p.DefaultBranch}, err
}

// Group returns the group's id and path.
func (r records) Group(ctx context.Context, pathOrID string) (rekey.Ref, error) {
	g, err := r.Client.Group(ctx, pathOrID)
	return rekey.Ref{ID: g.ID, Path: g.Path}, err
}

// CreatePipeline starts a pipeline of a project named by id.
func (r records) CreatePipeline(ctx context.Context, project int64, ref string, variables map[string]string) (remedy.Pipeline, error) {
	p, err := r.Client.CreatePipeline(ctx, strconv.FormatInt(project, 10), ref, variables)
	return remedy.Pipeline{ID: p.ID, WebURL: p.WebURL}, err
}

// PipelineJobs lists a pipeline's jobs.
func (r records) PipelineJobs(ctx context.Context, project, pipeline int64) ([]remedy.Job, error) {
	jobs, err := r.Client.PipelineJobs(ctx, strconv.FormatInt(project, 10), pipeline)
	list := make([]remedy.Job, 0, len(jobs))
	for _, j := range jobs {
		list = append(list, remedy.Job{ID: j.ID, Status: j.Status, RunnerID: j.RunnerID, SystemID: j.SystemID, WebURL: j.WebURL, Tags: j.Tags, FailureReason: j.FailureReason})
	}
	return list, err
}

// CancelPipeline cancels a pipeline of a project named by id.
func (r records) CancelPipeline(ctx context.Context, project, pipeline int64) error {
	return r.Client.CancelPipeline(ctx, strconv.FormatInt(project, 10), pipeline)
}
