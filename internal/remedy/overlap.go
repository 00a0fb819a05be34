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
)

// longestPause bounds how long is waited between two looks at GitLab.
const longestPause = 15 * time.Second

// patience waits between two looks, longer each time, until a deadline.
type patience struct {
	e     *Engine
	until time.Time
	next  time.Duration
}

func (e *Engine) patience(atMost time.Duration) *patience {
	return &patience{e: e, until: e.Clock.Now().Add(atMost), next: time.Second}
}

// wait reports whether there is time for another look.
func (p *patience) wait(ctx context.Context) bool {
	if !p.e.Clock.Now().Before(p.until) || p.e.Clock.Sleep(ctx, p.next) != nil {
		return false
	}
	p.next = min(2*p.next, longestPause)
	return true
}

// handover waits until every online manager of the old record was seen on the
// new one: until then both serve.
func (e *Engine) handover(ctx context.Context, op *operation) (any, string, error) {
	gl, err := e.client(op)
	if err != nil {
		return nil, "", err
	}
	if err := e.equal(ctx, op, gl); err != nil {
		return nil, "", err
	}
	if err := e.broughtOver(ctx, op, gl); err != nil {
		return nil, "", err
	}
	resumed := op.read > 0
	for p := e.patience(orDefault(e.Options.ProofWait, 30*time.Second)); ; {
		behind, err := e.behind(ctx, gl, op)
		if err != nil {
			return nil, "", err
		}
		if len(behind) == 0 {
			op.handedOver = e.Clock.Now()
			return nil, fmt.Sprintf("every online manager of runner %d is on runner %d", op.target.RunnerID, op.issued.ID), nil
		}
		if resumed {
			resumed = false
			e.awaken(ctx, op)
		}
		if !p.wait(ctx) {
			return nil, "", rekey.Errorf(rekey.KindConflict, "runner %d is in use by %s, not yet seen on runner %d: both records serve", op.target.RunnerID, strings.Join(behind, ", "), op.issued.ID).
				WithHint("see that gitlab-runner runs there (one that is gone counts as online for two hours after its last contact), then run `rekey rotate` again: it goes on from here. `rekey fix --undo --run %s` takes the new record back", runOf(op.id))
		}
	}
}

// awaken has the configs of an interrupted rotation loaded once more: a gitlab-runner
// that was refused meanwhile, as in GitLab's maintenance mode, disables the section
// for an hour, and a reload ends that.
func (e *Engine) awaken(ctx context.Context, op *operation) {
	if op.rolls() {
		return
	}
	for _, s := range op.sites {
		if how, done, err := e.reloadConfig(ctx, s.Config); err == nil && !done {
			e.tell(op, rekey.StepHandover, how, nil)
		}
	}
}

// equal fails while the new record is not what the old one is: the old one serves
// on until then.
func (e *Engine) equal(ctx context.Context, op *operation, gl GitLab) error {
	if len(op.settled.Missed) > 0 {
		err := rekey.Errorf(rekey.KindConflict, "runner %d is not as runner %d is, which serves on: %s", op.issued.ID, op.target.RunnerID, strings.Join(op.settled.Missed, "; ")).
			WithHint("find out who changes it or may not, then run `rekey rotate` again; `rekey fix --undo --run %s` takes the new record back", runOf(op.id))
		return joined(err, op.journal.Fail(rekey.StepSettle, err))
	}
	if len(op.settled.Unassigned) > 0 {
		return e.servesAll(ctx, op, gl)
	}
	return nil
}

// behind names the online managers of the old record that were not seen on the
// new one.
func (e *Engine) behind(ctx context.Context, gl GitLab, op *operation) ([]string, error) {
	old, known, err := gl.Managers(ctx, op.target.RunnerID)
	switch {
	case rekey.KindOf(err) == rekey.KindNotFound && err != nil:
		return nil, nil // the record is gone: nobody uses it
	case err != nil:
		return nil, err
	case !known:
		return nil, e.onlineRecord(ctx, gl, op.target.RunnerID)
	}
	old = slices.DeleteFunc(old, func(m rekey.Manager) bool { return m.Status != "online" || slices.Contains(op.seen, m.SystemID) })
	if len(old) == 0 {
		return nil, nil
	}
	fresh, _, err := gl.Managers(ctx, op.issued.ID)
	if err != nil {
		return nil, err
	}
	op.see(fresh)
	var names []string
	for _, m := range old {
		if !slices.Contains(op.seen, m.SystemID) {
			names = append(names, fmt.Sprintf("manager %s (last contact %s)", m.SystemID, m.ContactedAt.UTC().Format(time.RFC3339)))
		}
	}
	return names, nil
}

// see remembers who was seen on the record that the operation made.
func (op *operation) see(managers []rekey.Manager) {
	for _, m := range managers {
		if asked(&m) && !slices.Contains(op.seen, m.SystemID) {
			op.seen = append(op.seen, m.SystemID)
		}
	}
}

// pause keeps new jobs from the old record and says in its description what
// became of it. Setting the same again does no harm, so an unknown pause is
// repeated.
func (e *Engine) pause(ctx context.Context, op *operation) (any, string, error) {
	gl, err := e.client(op)
	if err != nil {
		return nil, "", err
	}
	before, err := e.asItIs(ctx, op, gl)
	if err != nil {
		return nil, "", err
	}
	if err := op.journal.Write(rekey.StepPause, rekey.PhaseIntent, nil, nil); err != nil {
		return nil, "", err
	}
	paused, description := true, op.retiredDescription()
	r, err := gl.UpdateRunner(ctx, op.target.RunnerID, rekey.RunnerEdit{Paused: &paused, Description: &description})
	switch {
	case rekey.KindOf(err) == rekey.KindNotFound && err != nil:
		op.idle = true
		return nil, fmt.Sprintf("runner %d is gone already", op.target.RunnerID), nil
	case err != nil:
		return nil, "", err
	case !r.Paused:
		return nil, "", rekey.Errorf(rekey.KindConflict, "GitLab took the pause of runner %d and shows it active", op.target.RunnerID)
	}
	if err := e.catchUp(ctx, op, gl, r, before); err != nil {
		return nil, "", err
	}
	op.idle = r.Busy != nil && !*r.Busy
	return nil, fmt.Sprintf("runner %d is paused: runner %d takes its jobs", op.target.RunnerID, op.issued.ID), nil
}

// descriptionLimit is GitLab's, in characters.
const descriptionLimit = 1024

func (op *operation) retiredDescription() string {
	text := fmt.Sprintf("%s (retiring: runner %d has its place)", op.target.Attributes.Description, op.issued.ID)
	if len([]rune(text)) > descriptionLimit {
		return op.target.Attributes.Description
	}
	return text
}

// drain waits until no job runs on the old record. What cannot be told is
// unknown, not idle.
func (e *Engine) drain(ctx context.Context, op *operation) (any, string, error) {
	done := fmt.Sprintf("no job runs on runner %d", op.target.RunnerID)
	if op.idle {
		return nil, done, nil
	}
	gl, err := e.client(op)
	if err != nil {
		return nil, "", err
	}
	limit := orDefault(e.Options.DrainTimeout, time.Hour)
	for p, told, away := e.patience(limit), false, false; ; {
		busy, err := e.busy(ctx, gl, op)
		silent := err != nil && !isStop(err) && rekey.KindOf(err) == rekey.KindUnavailable
		if silent != away && ctx.Err() == nil {
			away = silent
			e.tellAway(op, limit, silent, err)
		}
		switch {
		case err == nil && !busy:
			return nil, done, nil
		case err != nil && !silent:
			return nil, "", err
		}
		if busy && !told {
			told = true
			e.tell(op, rekey.StepDrain, fmt.Sprintf("runner %d still runs a job; waiting for it, %s at most", op.target.RunnerID, limit), nil)
		}
		if p.wait(ctx) {
			continue
		}
		if ctx.Err() != nil {
			return nil, "", interrupted(rekey.StepDrain)
		}
		if err == nil && e.WaitOn != nil && e.WaitOn(op.target, limit) {
			p = e.patience(limit)
			continue
		}
		if err == nil && !op.overlaps() {
			err = stop(fmt.Sprintf("run `rekey fix` again: it deletes runner %d once it is idle", op.target.RunnerID),
				"runner %d, which was replaced, still runs a job%s; runner %d serves", op.target.RunnerID, waited(limit), op.issued.ID)
		}
		if err == nil {
			err = stop("run `rekey rotate` again: it goes on waiting, and retires the record once it is idle",
				"runner %d still runs a job%s; it is paused, runner %d serves, and both sections stay until the job has ended", op.target.RunnerID, waited(limit), op.issued.ID)
		}
		return nil, "", err
	}
}

// waited is how long a job was waited for, "" where it was not.
func waited(limit time.Duration) string {
	if limit < time.Second {
		return ""
	}
	return fmt.Sprintf(" after %s", limit)
}

// tellAway says that GitLab has stopped answering, with what came instead, or that it
// answers again.
func (e *Engine) tellAway(op *operation, limit time.Duration, away bool, err error) {
	text := "GitLab answers again"
	if away {
		text = fmt.Sprintf("GitLab does not answer whether a job runs on runner %d; waiting for it, %s at most: %v", op.target.RunnerID, limit, err)
	}
	e.tell(op, rekey.StepDrain, text, nil)
}

// busy reports whether a job runs on the old record.
func (e *Engine) busy(ctx context.Context, gl GitLab, op *operation) (bool, error) {
	r, err := gl.Runner(ctx, op.target.RunnerID)
	switch {
	case rekey.KindOf(err) == rekey.KindNotFound && err != nil:
		return false, nil
	case err != nil:
		return false, err
	case r.Busy != nil:
		return *r.Busy, nil
	}
	n, known, err := gl.RunningJobs(ctx, op.target.RunnerID)
	switch {
	case err != nil:
		return false, err
	case n > 0:
		return true, nil
	case !known || !op.target.AllJobs:
		return false, errUntold{stop("give `rekey rotate` the token of an administrator, who sees every job; runner "+fmt.Sprint(op.target.RunnerID)+" stays as it is until then",
			"whether jobs run on runner %d cannot be told: this user may not see them all", op.target.RunnerID)}
	}
	return false, nil
}

// errUntold says that nobody can tell whether jobs run.
type errUntold struct{ error }

func (e errUntold) Unwrap() error { return e.error }

// swap gives the first section the new token and takes the second one away; the
// file is then as an edit in place would have left it. Operations that come to
// this at one time share a replacement of their config and a reload.
func (e *Engine) swap(ctx context.Context, op *operation) (any, string, error) {
	edits := op.edits(rekey.StepSwap)
	for _, ed := range edits {
		if err := e.swapOne(ctx, ed); err != nil {
			return nil, "", err
		}
	}
	op.swapped = e.Clock.Now()
	return outcome(op, edits)
}

func (e *Engine) swapOne(ctx context.Context, ed *edit) error {
	path := ed.site.Config
	err := e.swaps.do(path, ed, func(batch []*edit) error {
		unlock, err := e.Host.Lock(path)
		if err != nil {
			return err
		}
		defer unlock()
		e.editConfig(path, batch)
		e.unloaded(path)
		_, _, err = e.reloadConfig(ctx, path)
		return err
	})
	if err == nil {
		err = ed.err
	}
	if isStop(err) { // the second section is gone: the sealed token is delivered anew
		if _, second, _, ferr := e.pairOf(ed.op, ed.site); ferr == nil && second < 0 {
			return joined(err, ed.op.journal.Fail(rekey.StepDeliver, err))
		}
	}
	return err
}

func joined(err, more error) error {
	if more != nil {
		return fmt.Errorf("%w; %w", err, more)
	}
	return err
}

func (e *Engine) pairOf(op *operation, s *site) (old, second int, waits bool, err error) {
	missing := errors.New("neither section")
	err = e.look(s.Config, func(doc *configtoml.Document) error {
		old, second = pair(doc, op, s)
		waits = second >= 0 && op.waits(doc, s, second)
		if second < 0 {
			return missing
		}
		return nil
	})
	if errors.Is(err, missing) {
		err = nil
	}
	return old, second, waits, err
}

// retireOld deletes the record that was rotated: once its section is gone for
// good, so that no gitlab-runner asks with its token any more, and no job and no
// manager is left on it.
func (e *Engine) retireOld(ctx context.Context, op *operation, gl GitLab) (any, string, error) {
	if err := e.quiet(ctx, op); err != nil {
		return nil, "", err
	}
	if op.handedOver.IsZero() || e.Clock.Now().Sub(op.handedOver) > time.Minute {
		behind, err := e.behind(ctx, gl, op)
		if err != nil {
			return nil, "", err
		}
		if len(behind) > 0 {
			return nil, "", rekey.Errorf(rekey.KindConflict, "runner %d has come to be used by %s: it is kept, paused", op.target.RunnerID, strings.Join(behind, ", ")).
				WithHint("give those hosts another record, then run `rekey rotate` again: it deletes runner %d", op.target.RunnerID)
		}
	}
	op.idle = false // since then a job may have begun that had been asked for before the pause
	if _, _, err := e.drain(ctx, op); err != nil {
		return nil, "", err
	}
	if err := op.journal.Write(rekey.StepRetire, rekey.PhaseIntent, nil, nil); err != nil {
		return nil, "", err
	}
	if err := gl.DeleteRunner(ctx, op.target.RunnerID); err != nil && rekey.KindOf(err) != rekey.KindNotFound {
		return nil, "", err
	}
	return nil, fmt.Sprintf("deleted runner %d: runner %d has its place", op.target.RunnerID, op.issued.ID), nil
}

// quiet waits some seconds after the swap and looks at the configs once more: a
// gitlab-runner that was not signalled loads the file within three, and one that
// was writing it just then puts the old section back.
func (e *Engine) quiet(ctx context.Context, op *operation) error {
	settling, err := e.untilQuiet(op)
	if err != nil {
		return err
	}
	rest := settling
	if !op.swapped.IsZero() {
		rest = settling - e.Clock.Now().Sub(op.swapped)
	}
	if rest > 0 {
		if err := e.Clock.Sleep(ctx, min(rest, settling)); err != nil {
			return interrupted(rekey.StepRetire)
		}
	}
	for _, s := range op.sites {
		old, second, waits, err := e.pairOf(op, s)
		if err != nil {
			return err
		}
		if old < 0 && second >= 0 && !waits {
			continue
		}
		step := rekey.StepSwap
		if second < 0 {
			step = rekey.StepDeliver
		}
		gone := rekey.Errorf(rekey.KindConflict, "somebody wrote %s after runner %d took the place of runner %d there, and undid it", s.Config, op.issued.ID, op.target.RunnerID).
			WithHint("find out what writes the file, then run `rekey rotate` again: both tokens are good and sealed")
		return joined(gone, op.journal.Fail(step, gone))
	}
	return nil
}

// untilQuiet is how long after the swap a gitlab-runner may still ask with the old
// token: it loads the file within seconds, and then ends the round over the
// sections that it is in, which takes a check_interval (RunCommand.feedRunners).
// Who wants no second look at the file wants no waiting either.
func (e *Engine) untilQuiet(op *operation) (time.Duration, error) {
	settling := orDefault(e.Options.Settling, 4*time.Second)
	if settling < time.Second {
		return settling, nil
	}
	round := time.Duration(0)
	for _, s := range op.sites {
		var seconds int
		if err := e.look(s.Config, func(doc *configtoml.Document) error { seconds = doc.CheckInterval(); return nil }); err != nil {
			return 0, err
		}
		if seconds <= 0 {
			seconds = 3
		}
		round = max(round, time.Duration(seconds)*time.Second)
	}
	return settling + round, nil
}

// retired reports whether the old record of an overlap is deleted, or may be:
// there is no way back then.
func (op *operation) retired() bool {
	if !op.overlaps() {
		return false
	}
	last := op.last(rekey.StepRetire)
	return last != nil && last.Failed == ""
}
