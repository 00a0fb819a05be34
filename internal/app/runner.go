package app

import (
	"context"
	"time"

	"rekey"
	"rekey/internal/gitlab"
)

// ListInput chooses runner records.
type ListInput struct {
	Access         Access
	Group, Project string
	Status         string
}

// Runners lists records as GitLab shows them to the user token.
func (a *App) Runners(ctx context.Context, in ListInput) ([]rekey.Runner, error) {
	n, err := a.network(in.Access)
	if err != nil {
		return nil, err
	}
	client, err := n.needClient()
	if err != nil {
		return nil, err
	}
	return listRunners(ctx, client, in)
}

// listRunners asks for all runners where neither a group nor a project is named,
// and for those the user administers where that is denied.
func listRunners(ctx context.Context, client *gitlab.Client, in ListInput) ([]rekey.Runner, error) {
	o := gitlab.ListOptions{Status: in.Status, Reach: gitlab.ReachOwn}
	switch {
	case in.Group != "":
		o.Reach, o.Owner = gitlab.ReachGroup, in.Group
	case in.Project != "":
		o.Reach, o.Owner = gitlab.ReachProject, in.Project
	default:
		o.Reach = gitlab.ReachAll
		runners, err := client.List(ctx, o)
		if rekey.KindOf(err) != rekey.KindDenied || err == nil {
			return runners, err
		}
		o.Reach = gitlab.ReachOwn
	}
	return client.List(ctx, o)
}

// RunnerDetail is one record with its managers.
type RunnerDetail struct {
	Runner        rekey.Runner
	Managers      []rekey.Manager
	ManagersKnown bool
	Now           time.Time
}

// RunnerDetail reads one record.
func (a *App) RunnerDetail(ctx context.Context, access Access, id rekey.RunnerID) (RunnerDetail, error) {
	n, err := a.network(access)
	if err != nil {
		return RunnerDetail{}, err
	}
	client, err := n.needClient()
	if err != nil {
		return RunnerDetail{}, err
	}
	d := RunnerDetail{Now: a.Now()}
	if d.Runner, err = client.Runner(ctx, id); err != nil {
		return d, err
	}
	d.Managers, d.ManagersKnown, err = client.Managers(ctx, id)
	return d, err
}
