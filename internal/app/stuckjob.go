package app

import (
	"context"
	"strconv"

	"rekey/internal/diagnose"
	"rekey/internal/gitlab"
)

// stuckJob starts from a job: which runners GitLab offers it to, and why each
// does or does not take it.
func (a *App) stuckJob(ctx context.Context, n *network, in DoctorInput) (DoctorOutput, error) {
	client, err := n.needClient()
	if err != nil {
		return DoctorOutput{}, err
	}
	project, id, err := client.ParseJobURL(in.Job)
	if err != nil {
		return DoctorOutput{}, err
	}
	job, err := client.Job(ctx, project, id)
	if err != nil {
		return DoctorOutput{}, err
	}
	facts := diagnose.Job{ID: job.ID, Name: job.Name, Project: project, Status: job.Status, Ref: job.Ref, Tags: job.Tags, TakenBy: job.RunnerID}
	if facts.TakenBy == 0 {
		if facts.Runners, err = jobRunners(ctx, client, project, n.base); err != nil {
			return DoctorOutput{}, err
		}
		if protected, err := client.BranchProtected(ctx, project, job.Ref); err == nil {
			facts.Protected = &protected // else it may be a tag's, or nobody may know
		}
	}
	return DoctorOutput{Report: diagnose.JudgeJob(a.Now(), facts)}, nil
}

// jobRunners reads the records of the runners that a project may use: the list
// leaves their tags out.
func jobRunners(ctx context.Context, client *gitlab.Client, project, base string) ([]diagnose.JobRunner, error) {
	list, err := client.List(ctx, gitlab.ListOptions{Reach: gitlab.ReachProject, Owner: project})
	if err != nil {
		return nil, err
	}
	var all []diagnose.JobRunner
	for _, r := range list {
		c := diagnose.JobRunner{ID: r.ID, Request: "GET " + base + "/api/v4/runners/" + strconv.FormatInt(int64(r.ID), 10)}
		if c.Runner, err = client.Runner(ctx, r.ID); err != nil {
			c.Problem = err.Error()
		}
		all = append(all, c)
	}
	return all, nil
}
