package remedy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"rekey"
)

// CanaryVariable is the pipeline variable that names the tag of the runner that
// the canary job must run on; see docs/guides/canary.md.
const CanaryVariable = "REKEY_CANARY_TAG"

// canary runs a job on the repaired runner in the first project that the runner
// may serve. That it could not be run is no error: Missing says why, and unproved
// where one was to prove the record: no project given serves it, or none was given,
// is that only where a job is asked for by --proof.
func (e *Engine) canary(ctx context.Context, op *operation, gl GitLab, p *rekey.Proof) {
	due := e.Options.Proof == rekey.ProofJob
	defer func() {
		op.unproved = ""
		if due && p.Level != rekey.ProofJob {
			op.unproved = p.Missing
		}
	}()
	if len(e.Options.Canaries) == 0 {
		p.Missing = "no --canary-project was given"
		return
	}
	record, err := gl.Runner(ctx, op.runnerID())
	if err != nil {
		due, p.Missing = true, fmt.Sprintf("the record cannot be read: %v", err)
		return
	}
	project, why, unread := e.canaryProject(ctx, gl, record)
	due = due || unread || why == ""
	if why != "" {
		p.Missing = why
		return
	}
	if err := e.wearMarker(ctx, op, gl, record); err != nil {
		p.Missing = fmt.Sprintf("the canary's tag cannot be put on the record: %v", err)
		return
	}
	e.runCanary(ctx, op, gl, project, p)
}

// canaryProject chooses by scope: a project runner serves its own projects only,
// a group runner what lies in its group, an instance runner everything. unread says
// that one of them could not be read.
func (e *Engine) canaryProject(ctx context.Context, gl GitLab, r rekey.Runner) (project Project, why string, unread bool) {
	if r.Paused {
		return Project{}, "the record is paused: it gets no jobs", false
	}
	var reasons []string
	for _, name := range e.Options.Canaries {
		project, err := gl.Project(ctx, name)
		if err != nil {
			unread = true
			reasons = append(reasons, fmt.Sprintf("%s: %v", name, err))
			continue
		}
		if serves(r, project) {
			return project, "", false
		}
		reasons = append(reasons, fmt.Sprintf("a %s runner of another place does not serve %s", r.Scope, name))
	}
	return Project{}, strings.Join(reasons, "; "), unread
}

func serves(r rekey.Runner, p Project) bool {
	switch r.Scope {
	case rekey.ScopeInstance:
		return true
	case rekey.ScopeGroup:
		return slices.ContainsFunc(r.Groups, func(g rekey.Ref) bool { return strings.HasPrefix(p.Path, g.Path+"/") })
	}
	return slices.ContainsFunc(r.Projects, func(ref rekey.Ref) bool { return ref.ID == p.ID })
}

// wearMarker puts the marker tag on a record that this operation did not create.
// The journal remembers its own tags first; settle gives them back.
func (e *Engine) wearMarker(ctx context.Context, op *operation, gl GitLab, r rekey.Runner) error {
	marker := op.id.Marker()
	if slices.Contains(r.Tags, marker) {
		return nil
	}
	op.tagged = &tagging{Tags: r.Tags}
	if err := op.journal.Write(rekey.StepProve, rekey.PhaseNote, op.tagged, nil); err != nil {
		return err
	}
	tags := append(slices.Clone(r.Tags), marker)
	_, err := gl.UpdateRunner(ctx, r.ID, rekey.RunnerEdit{Tags: &tags})
	return err
}

func (e *Engine) runCanary(ctx context.Context, op *operation, gl GitLab, project Project, p *rekey.Proof) {
	pipeline, err := gl.CreatePipeline(ctx, project.ID, project.DefaultBranch, map[string]string{CanaryVariable: op.id.Marker()})
	if err != nil {
		p.Missing = fmt.Sprintf("the canary pipeline in %s was refused: %v", project.Path, err)
		return
	}
	job, err := e.awaitJob(ctx, op, gl, project, pipeline)
	if err != nil {
		p.Missing = err.Error()
		return
	}
	e.judgeJob(op, job, p)
}

var terminal = []string{"success", "failed", "canceled", "skipped", "manual"}

func (e *Engine) awaitJob(ctx context.Context, op *operation, gl GitLab, project Project, pipeline Pipeline) (Job, error) {
	timeout := orDefault(e.Options.CanaryTimeout, 2*time.Minute)
	deadline := e.Clock.Now().Add(timeout)
	last := Job{Status: "created"}
	for {
		jobs, err := gl.PipelineJobs(ctx, project.ID, pipeline.ID)
		if err == nil && len(jobs) > 0 {
			last = mostTelling(canaryJobs(jobs, op.id.Marker()), op.runnerID())
			if !unfinished(last) {
				return last, nil
			}
		}
		if e.Clock.Now().After(deadline) {
			err := gl.CancelPipeline(ctx, project.ID, pipeline.ID)
			return last, errors.Join(fmt.Errorf("the canary job was still %s after %s (%s)", last.Status, timeout, pipeline.WebURL), err)
		}
		if err := e.Clock.Sleep(ctx, time.Second); err != nil {
			return last, errors.Join(err, gl.CancelPipeline(context.WithoutCancel(ctx), project.ID, pipeline.ID))
		}
	}
}

// canaryJobs are those that ask for the marker's runner. A canary project may
// have other jobs, whose end says nothing; where none asks for the marker, they
// are all there is to look at.
func canaryJobs(jobs []Job, marker string) []Job {
	own := slices.DeleteFunc(slices.Clone(jobs), func(j Job) bool { return !slices.Contains(j.Tags, marker) })
	if len(own) == 0 {
		return jobs
	}
	return own
}

// mostTelling is the job that ran on the runner, else one that is not at its end,
// else the first.
func mostTelling(jobs []Job, id rekey.RunnerID) Job {
	for _, tells := range []func(Job) bool{func(j Job) bool { return j.RunnerID == id }, unfinished} {
		if i := slices.IndexFunc(jobs, tells); i >= 0 {
			return jobs[i]
		}
	}
	return jobs[0]
}

func unfinished(j Job) bool { return !slices.Contains(terminal, j.Status) }

// judgeJob compares who ran the job with who was meant to: on a shared record
// another host may have picked it. Only a token that was just made is known to be
// on this host alone; elsewhere the job must name its manager.
func (e *Engine) judgeJob(op *operation, job Job, p *rekey.Proof) {
	own := e.Host.SystemID(op.target.Config)
	p.JobURL = job.WebURL
	switch {
	case job.RunnerID != op.runnerID():
		p.Missing = fmt.Sprintf("the canary job ended as %s on runner %d, not on %d (%s)", job.Status, job.RunnerID, op.runnerID(), job.WebURL)
	case job.SystemID != "" && own != "" && job.SystemID != own:
		p.Missing = fmt.Sprintf("the canary job ran on another host of the same runner (%s, this host is %s)", job.SystemID, own)
	case (job.SystemID == "" || own == "") && !op.created() && !op.done(rekey.StepReset):
		p.Missing = fmt.Sprintf("the canary job ended as %s on runner %d, but which of its hosts ran it cannot be told (%s)", job.Status, job.RunnerID, job.WebURL)
	case job.Status != "success":
		p.Missing = fmt.Sprintf("the canary job ran here but ended as %s (%s)", job.Status, job.WebURL)
	default:
		raise(p, rekey.ProofJob, e.Clock.Now(), job.WebURL, "job %d ran on runner %d, manager %s, and succeeded", job.ID, job.RunnerID, job.SystemID)
	}
}
