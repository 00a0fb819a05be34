package remedy

import (
	"context"
	"fmt"
	"strings"

	"rekey"
)

// Workload is one release in a cluster: pods that take their token from one place,
// at their start only.
type Workload interface {
	// Held returns the token that stands there now, the zero one for none.
	Held(ctx context.Context) (rekey.Token, error)
	// Check fails, with what is missing, where Give or Roll would be refused.
	Check(ctx context.Context) error
	// Give puts next in the place of expect; KindConflict says that another token
	// stands there.
	Give(ctx context.Context, expect, next rekey.Token) (how string, err error)
	// Roll has the pods made anew; the new ones wear mark. The same mark again does
	// nothing.
	Roll(ctx context.Context, mark string) (how string, err error)
	// Rolled says how far that is.
	Rolled(ctx context.Context, mark string) (Rolled, error)
}

// Rolled is how far a rollout has come.
type Rolled struct {
	Wanted  int    // pods that are to be there
	Ready   int    // pods of the rollout that are ready
	Others  int    // pods of before, those included that end their jobs
	Problem string // why a pod of the rollout does not run, "" for none
}

func (r Rolled) String() string {
	text := fmt.Sprintf("%d of %d new pods ready, %d old ones there", r.Ready, r.Wanted, r.Others)
	if r.Problem != "" {
		text += " (" + r.Problem + ")"
	}
	return text
}

// rolls reports whether the operation's token goes into a cluster.
func (op *operation) rolls() bool { return strings.HasPrefix(op.target.Host, "k8s://") }

// workload opens the release, once for each process.
func (e *Engine) workload(ctx context.Context, op *operation) (Workload, error) {
	if op.workload != nil {
		return op.workload, nil
	}
	if e.Workloads == nil {
		return nil, rekey.Errorf(rekey.KindInternal, "%s cannot be reached from here", op.target.Host)
	}
	w, err := e.Workloads(ctx, op.target)
	if err != nil {
		return nil, err
	}
	op.workload = w
	return w, nil
}

// mark names the rollout of this operation. Where the token was put back by somebody
// and is given anew, the pods have to be made anew as well: that is another rollout.
func (op *operation) mark() string {
	n := 1
	for _, r := range op.journal.Records() {
		if r.Step == rekey.StepReload && r.Failed != "" {
			n++
		}
	}
	return fmt.Sprintf("%s.%d", op.id, n)
}

// rollStep returns what a step is in a cluster, nil where it is the same as
// elsewhere.
func (e *Engine) rollStep(k rekey.StepKind) func(context.Context, *operation) (any, string, error) {
	return map[rekey.StepKind]func(context.Context, *operation) (any, string, error){
		rekey.StepCreate: e.createForPods, rekey.StepDeliver: e.giveToPods, rekey.StepReload: e.rollOut, rekey.StepProve: e.provePods,
		rekey.StepHandover: e.handOverPods, rekey.StepDrain: e.drainPods, rekey.StepRetire: e.retireForPods,
	}[k]
}

// rolloutText is what the steps of a plan say of a release.
func rolloutText(t rekey.Target) map[rekey.StepKind]string {
	release, _, _ := strings.Cut(t.Host, "?")
	text := map[rekey.StepKind]string{
		rekey.StepCreate:   "create a second record" + at(t),
		rekey.StepDeliver:  "give its token to " + t.Config,
		rekey.StepReload:   "roll out " + release + " and wait until the new pods are ready",
		rekey.StepProve:    "prove it",
		rekey.StepSettle:   "give it the tags and attributes",
		rekey.StepHandover: "see the new pods on it",
		rekey.StepPause:    fmt.Sprintf("pause runner %d", t.RunnerID),
		rekey.StepDrain:    "wait until the old pods have ended their jobs and are gone",
		rekey.StepRetire:   fmt.Sprintf("delete runner %d", t.RunnerID),
	}
	if !retiring(t.Remedy) {
		text[rekey.StepCreate], text[rekey.StepSettle], text[rekey.StepSeal] = "create a record"+at(t), settling(t), "seal the token"
	}
	return text
}

// podsServing says which record takes jobs while a rotation is open.
func (op *operation) podsServing() string {
	switch before, after := op.target.RunnerID, op.issued.ID; {
	case op.last(rekey.StepReload) == nil:
		return fmt.Sprintf("runner %d serves as before", before)
	case !op.done(rekey.StepSettle):
		return fmt.Sprintf("the pods of before that are left serve runner %d, and runner %d gets no job", before, after)
	case !op.done(rekey.StepPause):
		return fmt.Sprintf("runners %d and %d both serve", before, after)
	default:
		return fmt.Sprintf("runner %d serves, and jobs that run on runner %d, paused, go on", after, before)
	}
}
