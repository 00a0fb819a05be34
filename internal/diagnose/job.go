package diagnose

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"rekey"
)

// Job is one that waits, and the runners that its project may use.
type Job struct {
	ID      int64
	Name    string
	Project string // path
	Status  string
	Ref     string
	Tags    []string
	TakenBy rekey.RunnerID // 0: by none
	// Protected says whether Ref is protected, nil when that is unknown.
	Protected *bool
	Runners   []JobRunner
}

// JobRunner is a runner that GitLab offers the job to.
type JobRunner struct {
	ID      rekey.RunnerID
	Runner  rekey.Runner
	Problem string // why the record could not be read, "" when it was
	Request string // "GET https://…/api/v4/runners/7"
}

// JudgeJob says of each runner whether it would take the job, and if not, why. The
// report has no sections: the notes tell, and a finding names what keeps the job
// from runners that are online.
func JudgeJob(now time.Time, j Job) Report {
	r := Judge(Facts{Now: now})
	note := func(format string, args ...any) { r.Notes = append(r.Notes, scrub(fmt.Sprintf(format, args...))) }
	note("job %d (%s) of %s is %s; it wants %s", j.ID, j.Name, j.Project, j.Status, j.wants())
	if j.TakenBy != 0 {
		note("it was taken by runner %d: it is not waiting for one", j.TakenBy)
		return r
	}
	takers := 0
	for _, c := range j.Runners {
		why := j.refusals(c)
		if len(why) == 0 {
			takers++
			why = []string{"would take it"}
		}
		note("%s: %s", c.name(), strings.Join(why, "; "))
	}
	switch {
	case len(j.Runners) == 0:
		note("no runner is available to %s: make one with `rekey register --project %s`", j.Project, j.Project)
	case takers == 0:
		note("no runner would take this job as things are")
		r.Findings = arrange(j.idle(now))
	default:
		note("%d of %d runners would take it: it may only be waiting for its turn", takers, len(j.Runners))
	}
	return r
}

func (j Job) wants() string {
	if len(j.Tags) == 0 {
		return "a runner that takes jobs without tags"
	}
	return "a runner with the tags " + strings.Join(j.Tags, ", ")
}

func (c JobRunner) name() string {
	if c.Problem != "" {
		return fmt.Sprintf("runner %d", c.ID)
	}
	return fmt.Sprintf("runner %d (%s, %s)", c.ID, c.Runner.Scope, c.Runner.Description)
}

// refusals is why a runner does not take the job, nothing when it would.
func (j Job) refusals(c JobRunner) []string {
	if c.Problem != "" {
		return []string{"cannot be read: " + c.Problem}
	}
	var why []string
	if c.Runner.Online == nil {
		why = append(why, "has never contacted GitLab: run `rekey doctor` on its host")
	} else if !*c.Runner.Online {
		why = append(why, fmt.Sprintf("is offline, last contact %s: run `rekey doctor` on its host", c.Runner.ContactedAt.UTC().Format("2006-01-02 15:04 MST")))
	}
	settings, perhaps := j.settings(c.Runner)
	return append(append(why, settings...), perhaps...)
}

// settings is what of a runner's own settings keeps the job away; perhaps is what
// does where the job's ref is not protected, which nobody told.
func (j Job) settings(r rekey.Runner) (why, perhaps []string) {
	if r.Paused {
		why = append(why, "is paused")
	}
	if len(j.Tags) == 0 && !r.RunUntagged {
		why = append(why, "takes no jobs without tags")
	}
	for _, tag := range j.Tags {
		if !slices.Contains(r.Tags, tag) {
			why = append(why, "lacks the tag "+tag)
		}
	}
	const only = "takes jobs of protected refs only (this one is of "
	switch {
	case r.AccessLevel != "ref_protected":
	case j.Protected == nil:
		perhaps = append(perhaps, only+j.Ref+")")
	case !*j.Protected:
		why = append(why, only+j.Ref+", which is not protected)")
	}
	return why, perhaps
}

// idle is the finding about runners that are online and take the job not.
func (j Job) idle(now time.Time) []rekey.Finding {
	var seen []rekey.Evidence
	confidence := rekey.Certain
	for _, c := range j.Runners {
		if c.Problem != "" || c.Runner.Online == nil || !*c.Runner.Online {
			continue
		}
		why, perhaps := j.settings(c.Runner)
		if len(why) == 0 {
			confidence = rekey.Possible
		}
		seen = append(seen, rekey.Evidence{Seen: scrub(c.name() + ", which is online, " + strings.Join(append(why, perhaps...), "; ")), Where: c.Request, At: now})
	}
	if len(seen) == 0 {
		return nil
	}
	if confidence == rekey.Possible {
		seen = append(seen, missing("whether %s is a protected branch or tag would decide: Settings > Repository of %s", j.Ref, j.Project))
	}
	return []rekey.Finding{newFinding(rekey.OnlineButIdle, rekey.Warning, confidence, seen...)}
}
