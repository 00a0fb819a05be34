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
