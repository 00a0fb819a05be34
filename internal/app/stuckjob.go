package app

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"rekey"
	"rekey/internal/diagnose"
	"rekey/internal/gitlab"
)

// stuckJob starts from a job: which runners GitLab offers it to, and why each
// does or does not take it. Its report has no sections; the notes tell.
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
	out := DoctorOutput{Report: diagnose.Judge(diagnose.Facts{Now: a.Now()})}
	out.Report.Notes = append(out.Report.Notes, fmt.Sprintf("job %d (%s) of %s is %s; it wants %s", job.ID, job.Name, project, job.Status, wants(job)))
	if job.RunnerID != 0 {
		out.Report.Notes = append(out.Report.Notes, fmt.Sprintf("it was taken by runner %d: it is not waiting for one", job.RunnerID))
		return out, nil
	}
	runners, err := client.List(ctx, gitlab.ListOptions{Reach: gitlab.ReachProject, Owner: project})
	if err != nil {
		return out, err
	}
	takers := 0
	for _, r := range runners {
		note, takes := a.offered(ctx, client, r.ID, job)
		out.Report.Notes = append(out.Report.Notes, note)
		if takes {
			takers++
		}
	}
	out.Report.Notes = append(out.Report.Notes, jobConclusion(len(runners), takers, project))
	return out, nil
}

func wants(job gitlab.Job) string {
	if len(job.Tags) == 0 {
		return "a runner that takes jobs without tags"
	}
	return "a runner with the tags " + strings.Join(job.Tags, ", ")
}

// offered says whether one runner would take the job, and if not, why.
func (a *App) offered(ctx context.Context, client *gitlab.Client, id rekey.RunnerID, job gitlab.Job) (string, bool) {
	r, err := client.Runner(ctx, id)
	if err != nil {
		return fmt.Sprintf("runner %d: cannot be read: %v", id, err), false
	}
	why := refusals(r, job)
	name := fmt.Sprintf("runner %d (%s, %s)", r.ID, r.Scope, r.Description)
	if len(why) == 0 {
		return name + ": would take it", true
	}
	return name + ": " + strings.Join(why, "; "), false
}

func refusals(r rekey.Runner, job gitlab.Job) []string {
	var why []string
	if r.Online == nil {
		why = append(why, "has never contacted GitLab: run `rekey doctor` on its host")
	} else if !*r.Online {
		why = append(why, fmt.Sprintf("is offline, last contact %s: run `rekey doctor` on its host", r.ContactedAt.UTC().Format("2006-01-02 15:04 MST")))
	}
	if r.Paused {
		why = append(why, "is paused")
	}
	if len(job.Tags) == 0 && !r.RunUntagged {
		why = append(why, "takes no jobs without tags")
	}
	for _, tag := range job.Tags {
		if !slices.Contains(r.Tags, tag) {
			why = append(why, "lacks the tag "+tag)
		}
	}
	if r.AccessLevel == "ref_protected" {
		why = append(why, "takes jobs of protected refs only (this one is of "+job.Ref+")")
	}
	return why
}

func jobConclusion(runners, takers int, project string) string {
	switch {
	case runners == 0:
		return "no runner is available to " + project + ": make one with `rekey register --project " + project + "`"
	case takers == 0:
		return "no runner would take this job as things are"
	}
	return fmt.Sprintf("%d of %d runners would take it: it may only be waiting for its turn", takers, runners)
}
