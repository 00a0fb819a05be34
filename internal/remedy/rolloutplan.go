package remedy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"rekey"
)

// Release is what a cluster tells of a release whose token is to be rotated.
type Release struct {
	Address  string // by which it is found again: "k8s://ci/main?context=prod"
	Replicas int
	Grace    time.Duration    // how long a pod that is replaced may end its jobs
	Systems  []rekey.SystemID // of the pods that run
	Nameless int              // pods that run and do not tell theirs
	Notes    []string         // what the reader of the plan should know
	// Refused says why the token cannot be rotated there, and Next what to do; "" for
	// nothing.
	Refused, Next string
}

// silentFor is how long after its last contact a manager may still be at work: GitLab
// writes a contact time at most once in 40 to 55 minutes (UPDATE_CONTACT_COLUMN_EVERY).
// Pods that are gone count as online for longer.
const silentFor = time.Hour

// aloneInCluster refuses while somebody else than the release's pods uses the record.
// A pod that does not tell its system id may be any one of those.
func (p *RotationPlanner) aloneInCluster(id rekey.RunnerID, managers []rekey.Manager) choice {
	var others []string
	for _, m := range managers {
		if m.Status == "online" && !slices.Contains(p.Release.Systems, m.SystemID) && p.Now().Sub(m.ContactedAt) < silentFor {
			others = append(others, fmt.Sprintf("%s (last contact %s)", m.SystemID, m.ContactedAt.UTC().Format(time.RFC3339)))
		}
	}
	if len(others) <= p.Release.Nameless {
		return choice{}
	}
	return leave("give that one a runner of its own first; a pod that is gone counts for an hour after its last contact: then try again",
		"runner %d is used by %s too, no pod of this release, which would be locked out", id, strings.Join(others, ", "))
}

// longestJob is GitLab's own timeout of a job, where a record sets none.
const longestJob = time.Hour

// inTime refuses a rollout that would kill a job: a pod that is replaced may end its
// jobs for so long only.
func (p *RotationPlanner) inTime(r rekey.Runner) choice {
	needed := longestJob
	if r.MaximumTimeout > 0 {
		needed = r.MaximumTimeout
	}
	idle := r.Paused && r.Busy != nil && !*r.Busy
	if p.Release.Grace >= needed || idle || p.Release.Replicas == 0 {
		return choice{}
	}
	return leave(fmt.Sprintf("set terminationGracePeriodSeconds to %.0f (a value of the chart; gitlab-runner takes no more jobs meanwhile), or pause runner %d and try again when no job runs on it", needed.Seconds(), r.ID),
		"a pod that is replaced has %s to end its jobs, and a job may take %s: it would be killed", p.Release.Grace, needed)
}

func (p *RotationPlanner) rolloutNotes(t rekey.Target) []string {
	notes := []string{
		"from the moment when the old pods stop asking for jobs until a new one was seen, seconds to minutes, jobs wait; none is lost",
		fmt.Sprintf("the old pods end their jobs with the old token, for %s at most", p.Release.Grace),
	}
	if n := p.Release.Nameless; n > 0 {
		notes = append(notes, fmt.Sprintf("%d pods do not tell their system id: as many managers of runner %d are taken for them", n, t.RunnerID))
	}
	return append(notes, p.Release.Notes...)
}

// inCluster makes a target one of the release, if that is where the configs stand. A
// Secret holds a token and nothing else: only a new one can be given to it.
func (p *Planner) inCluster(t *rekey.Target) error {
	if p.Release == nil {
		return nil
	}
	t.Host = p.Release.Address
	switch {
	case p.Release.Refused != "":
		return rekey.Errorf(rekey.KindConflict, "%s", p.Release.Refused).WithHint("%s", p.Release.Next)
	case t.Remedy != rekey.RemedyCreate && t.Remedy != rekey.RemedyGiven:
		return rekey.Errorf(rekey.KindInvalid, "this would be repaired by %q, which is not done in a cluster", t.Remedy).
			WithHint("change the Secret or the values by hand as `rekey doctor` says; or give a new record its place: `rekey fix --separate-record`, or --token-file FILE")
	}
	return nil
}
