package remedy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"rekey"
	"rekey/internal/configtoml"
)

// Undone says what was put back for one operation.
type Undone struct {
	Operation rekey.Operation
	Config    string
	Text      string
	Err       error
}

// Undo puts the configs back as they were before a run ("" is the last that
// edited one or is open), last edit first, and gives up what of it is open. A
// record that the run created is deleted once the config does not refer to it and
// nobody else uses it; a token that was reset stays reset, and Undo says so: a section
// that was rotated so keeps its new token, since the old one is dead. What cannot be taken back from GitLab now is an error behind the others' undoing:
// Undo is then repeated, and does not touch that config again.
func (e *Engine) Undo(ctx context.Context, run string) ([]Undone, error) {
	ops, err := e.edits(run)
	defer closeAll(ops)
	if err != nil {
		return nil, err
	}
	if len(ops) == 0 {
		return nil, rekey.Errorf(rekey.KindNotFound, "there is no edit to undo in %s", e.Store.dir).
			WithHint("an edit is undone once, and a rotation not any more once its old record is deleted; its run is named with --run, and journals elsewhere with --state-dir")
	}
	var done []Undone
	var later error
	for _, op := range slices.Backward(ops) {
		if op.replacedGood() {
			err := op.keepsNew()
			done, later = append(done, Undone{op.id, op.target.Config, "", err}), errors.Join(later, err)
			continue
		}
		again := op.restored
		text, err := e.undoConfig(ctx, op)
		if err == nil {
			var more string
			more, err = e.undoRecord(ctx, op, again)
			text += more
			if err != nil {
				err = atGitLab(op, text, err)
				later = errors.Join(later, err)
			}
		}
		done = append(done, Undone{op.id, op.target.Config, text, err})
		switch {
		case err == nil:
			err = op.journal.Write(rekey.StepEnd, rekey.PhaseOutcome, resultFacts{Status: rekey.StatusFailed, Undone: true}, nil)
		case op.restored:
			continue
		}
		if err != nil {
			return done, errors.Join(err, later)
		}
	}
	return done, later
}

// replacedGood reports whether the operation is a rotation by reset from which there is
// no way back: the old token would lock the runner out.
func (op *operation) replacedGood() bool {
	return op.target.Remedy == rekey.RemedyReset && len(op.target.Causes) == 0 && op.irrevocable()
}

func (op *operation) keepsNew() error {
	next := "where the new token is not wanted, `rekey rotate` makes another one"
	if !op.ended {
		next = "`rekey fix --resume` brings the new token to where it belongs"
	}
	return rekey.Errorf(rekey.KindConflict, "section %q of %s is not put back: its token was good until GitLab replaced it, and is refused since", op.target.Name, op.target.Config).
		WithHint("%s", next)
}

// atGitLab says what of an undo is left to do.
func atGitLab(op *operation, text string, err error) error {
	return rekey.Errorf(rekey.KindOf(err), "%s%w", text, err).WithHint("%s", repeated(op, "rekey fix --undo --run "+runOf(op.id), err))
}

// repeated is the next step where GitLab, or a job there, kept err from being nil:
// the same command again, once that is out of the way.
func repeated(op *operation, command string, err error) string {
	hint := rekey.HintOf(err)
	switch again := fmt.Sprintf("run `%s` again", command); {
	case errors.As(err, new(errServing)):
		return again + " when no job runs on it any more: the config is not touched again"
	case strings.Contains(hint, command):
		return hint
	case hint != "":
		return fmt.Sprintf("%s; then %s: the config is not touched again", hint, again)
	default:
		return fmt.Sprintf("%s with a user token for %s, when it answers: the config is not touched again", again, op.target.GitLab)
	}
}

// edits returns the operations of a run that edited a config, or are open, and
// were not undone, in the order in which they were done.
func (e *Engine) edits(run string) ([]*operation, error) {
	ids, err := e.Store.List()
	if err != nil {
		return nil, err
	}
	var ops []*operation
	for _, id := range slices.Backward(ids) {
		if run != "" && runOf(id) != run {
			continue
		}
		j, err := e.Store.Open(id)
		if err != nil {
			return ops, err
		}
		op, err := e.replay(j)
		if err != nil || op.undone() || !op.edited() && (op.ended || op.nothingDone()) || op.retired() {
			_ = j.Close()
			if err != nil {
				return ops, err
			}
			continue
		}
		run, ops = runOf(id), append(ops, op)
	}
	slices.SortFunc(ops, func(a, b *operation) int {
		return cmp.Or(a.deliveredAt().Compare(b.deliveredAt()), cmp.Compare(numberOf(a.id), numberOf(b.id)))
	})
	return ops, nil
}

func numberOf(id rekey.Operation) int {
	_, text, _ := strings.Cut(string(id), "-")
	n, _ := strconv.Atoi(text)
	return n
}

func runOf(id rekey.Operation) string {
	run, _, _ := strings.Cut(string(id), "-")
	return run
}

func (op *operation) deliveredAt() time.Time {
	if r := op.last(rekey.StepDeliver); r != nil {
		return r.At
	}
	return time.Time{}
}

func (op *operation) undone() bool {
	last := op.last(rekey.StepEnd)
	return last != nil && strings.Contains(string(last.Data), `"undone":true`)
}

// undoConfig puts the config back, once: the journal notes it, and nothing goes
// forward in this operation from then on.
func (e *Engine) undoConfig(ctx context.Context, op *operation) (string, error) {
	if op.restored {
		return fmt.Sprintf("%s: section %q was put back before", op.target.Config, op.target.Name), nil
	}
	text, err := e.restore(ctx, op)
	if err != nil {
		return "", err
	}
	op.restored = true
	return text, op.journal.Write(rekey.StepEnd, rekey.PhaseNote, restoredFacts{true}, nil)
}

type restoredFacts struct {
	Restored bool `json:"restored"`
}

// restore puts back the store and each config that the operation edited. The store
// comes first: what it holds is good until the record that was made is deleted.
func (e *Engine) restore(ctx context.Context, op *operation) (string, error) {
	kept, err := e.withdraw(ctx, op)
	if err != nil {
		return "", err
	}
	if op.target.Afar() {
		return fmt.Sprintf("%s: the rotation of runner %d is given up", op.target.Store.Ref, op.target.RunnerID) + kept, nil
	}
	text, err := e.restoreConfigs(ctx, op)
	return text + kept, err
}

func (e *Engine) restoreConfigs(ctx context.Context, op *operation) (string, error) {
	if op.rolls() {
		return e.ungive(ctx, op)
	}
	if !op.edited() {
		unlock, err := e.Host.Lock(op.target.Config)
		if err != nil {
			return "", err
		}
		unlock()
		return fmt.Sprintf("%s: section %q had not been edited yet; its repair is given up", op.target.Config, op.target.Name), nil
	}
	var texts []string
	for _, s := range slices.Backward(op.sites) {
		if s.delivered == nil {
			continue
		}
		text, err := e.restoreSite(ctx, op, s)
		if err != nil {
			return "", err
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, "; "), nil
}

func (e *Engine) restoreSite(ctx context.Context, op *operation, s *site) (string, error) {
	unlock, err := e.Host.Lock(s.Config)
	if err != nil {
		return "", err
	}
	defer unlock()
	data, err := e.Host.Read(s.Config)
	if err != nil {
		return "", err
	}
	next, err := e.before(op, s, data)
	if err != nil {
		return "", err
	}
	how, err := e.Host.Replace(s.Config, data, next)
	if err != nil {
		return "", err
	}
	text := fmt.Sprintf("%s: section %q is as it was (%s)", s.Config, s.Name, how)
	if reload, err := e.Host.Reload(ctx, s.Config); err == nil {
		text += "; " + reload
	}
	return text, nil
}

// before returns the sealed image where the file is still what the edit made
// of it; where others wrote since, only the fields that the edit changed.
func (e *Engine) before(op *operation, s *site, data []byte) ([]byte, error) {
	image, err := e.image(op, s)
	if err != nil {
		return nil, err
	}
	switch digest(data) {
	case s.delivered.After, s.delivered.Before:
		return image, nil
	}
	now, err := configtoml.Parse(data)
	if err != nil {
		return image, nil //nolint:nilerr // a torn in-place write: the image is whole
	}
	was, err := configtoml.Parse(image)
	if err != nil {
		return nil, err
	}
	if op.overlaps() {
		return op.unpaired(now, was, s)
	}
	return op.spliced(now, was, s)
}

// unpaired takes the second section away; where it has taken the first one's
// place, that gets its own token back.
func (op *operation) unpaired(now, was *configtoml.Document, s *site) ([]byte, error) {
	old, second := pair(now, op, s)
	first, _ := pair(was, op, s)
	switch {
	case second < 0 && old >= 0:
		return now.Bytes(), nil
	case second < 0 || first < 0:
		return nil, op.changedSince(s)
	case old >= 0:
		back, err := now, error(nil)
		if now.Sections()[old].Token == op.issued.Token { // an agent has brought it
			back, err = restored(now, old, was.Sections()[first])
		}
		if err == nil {
			back, err = back.RemoveAll(second)
		}
		if err != nil {
			return nil, err
		}
		return back.Bytes(), nil
	}
	return putBack(now, second, was.Sections()[first])
}

func restored(now *configtoml.Document, index int, s configtoml.Section) (*configtoml.Document, error) {
	return now.Edit(index, configtoml.Change{URL: &s.URL, ID: &s.ID, Token: &s.Token, ObtainedAt: &s.ObtainedAt, ExpiresAt: &s.ExpiresAt})
}

func putBack(now *configtoml.Document, index int, s configtoml.Section) ([]byte, error) {
	back, err := restored(now, index, s)
	if err != nil {
		return nil, err
	}
	return back.Bytes(), nil
}

func (op *operation) changedSince(s *site) error {
	return rekey.Errorf(rekey.KindConflict, "%s was changed since, and the section no longer has what the repair put there", s.Config).
		WithHint("compare it with `rekey doctor`; the image from before stays sealed in journal %s", op.id)
}

func (op *operation) spliced(now, was *configtoml.Document, s *site) ([]byte, error) {
	i, present, err := locate(now, op, s)
	old, _, oerr := locate(was, &operation{target: op.target}, s)
	if err == nil && !present { // an undo that was interrupted, or somebody else, has put it back
		return now.Bytes(), nil
	}
	if err != nil || oerr != nil || !present {
		return nil, op.changedSince(s)
	}
	return putBack(now, i, was.Sections()[old])
}

// undoRecord takes back what the operation did to records: its marker goes, and a
// record that it made is deleted unless somebody else came to use it. Text says
// what was done, or, with the error, what was not.
func (e *Engine) undoRecord(ctx context.Context, op *operation, again bool) (text string, err error) {
	gl, err := e.client(op)
	if op.overlaps() && op.last(rekey.StepPause) != nil {
		if err == nil {
			err = e.unpause(ctx, op, gl)
		}
		if err != nil {
			return fmt.Sprintf("; runner %d may still be paused: ", op.target.RunnerID), err
		}
	}
	switch {
	case op.tagged != nil && !op.done(rekey.StepSettle):
		if err == nil {
			_, _, err = e.restoreTags(ctx, op, gl)
		}
		if err != nil {
			return fmt.Sprintf("; runner %d still has the tag %s: ", op.runnerID(), op.id.Marker()), err
		}
	case op.unknown(rekey.StepCreate) && op.issued.Token.IsZero():
		if err == nil {
			err = e.removeOrphans(ctx, gl, op, 0)
		}
		if err != nil {
			return fmt.Sprintf("; a runner with the tag %s may be there: ", op.id.Marker()), err
		}
	case op.issued.ID != 0 && (op.created() || op.unknown(rekey.StepCreate)):
		if err == nil {
			err = e.deleteUnused(ctx, gl, op, again)
		}
		if rekey.KindOf(err) == rekey.KindConflict && err != nil { // for good: it has become somebody's
			return fmt.Sprintf("; runner %d, made by the repair, is still there (%v)", op.issued.ID, err), nil
		}
		if err != nil {
			return fmt.Sprintf("; runner %d, made by the repair, is still there: ", op.issued.ID), err
		}
		return fmt.Sprintf("; runner %d, made by the repair, was deleted", op.issued.ID), nil
	}
	if op.done(rekey.StepReset) || op.unknown(rekey.StepReset) || op.replaced {
		return "; the token that GitLab replaced stays refused: a reset cannot be taken back", nil
	}
	return "", nil
}

// unpause makes the old record of an overlap what it was.
func (e *Engine) unpause(ctx context.Context, op *operation, gl GitLab) error {
	a := op.target.Attributes
	_, err := gl.UpdateRunner(ctx, op.target.RunnerID, rekey.RunnerEdit{Paused: &a.Paused, Description: &a.Description})
	return err
}

// deleteUnused deletes the record that the operation made. Again says that the
// config was put back in an earlier undo: somebody may have used it since.
func (e *Engine) deleteUnused(ctx context.Context, gl GitLab, op *operation, again bool) error {
	if op.rolls() {
		return e.deleteOfPods(ctx, gl, op)
	}
	if again && e.refersTo(op) {
		return rekey.Errorf(rekey.KindConflict, "%s has its token again", op.target.Config)
	}
	others, err := e.managersBeside(ctx, gl, op, op.issued.ID)
	if err == nil && len(others) > 0 {
		err = rekey.Errorf(rekey.KindConflict, "it is in use by %s", strings.Join(others, ", "))
	}
	if err == nil && op.overlaps() {
		err = e.idle(ctx, gl, op.issued.ID)
	}
	if err == nil {
		err = gl.DeleteRunner(ctx, op.issued.ID)
	}
	if err != nil && rekey.KindOf(err) == rekey.KindNotFound {
		return nil
	}
	return err
}

// errServing says that jobs run on a record that is to go.
type errServing string

func (e errServing) Error() string { return string(e) }

// idle fails while a job runs on a record that has served.
func (e *Engine) idle(ctx context.Context, gl GitLab, id rekey.RunnerID) error {
	paused := true
	r, err := gl.UpdateRunner(ctx, id, rekey.RunnerEdit{Paused: &paused})
	if err == nil && r.Busy != nil && *r.Busy {
		return rekey.Errorf(rekey.KindUnavailable, "%w", errServing("a job runs on it; it is paused and gets no more"))
	}
	return err
}

// refersTo reports whether the config has the operation's new token. Where the
// file cannot be read nobody can load it either.
func (e *Engine) refersTo(op *operation) bool {
	missing := errors.New("no such token")
	return e.look(op.target.Config, func(doc *configtoml.Document) error {
		if slices.ContainsFunc(doc.Sections(), func(s configtoml.Section) bool { return s.Token == op.issued.Token }) {
			return nil
		}
		return missing
	}) == nil
}

// Prune removes the journals of runs all of whose operations ended longer than
// keep ago, and with them what is sealed in them; what Prunable holds back stays.
func (e *Engine) Prune(keep time.Duration) (removed int, err error) {
	all, err := e.Store.Summaries()
	if err != nil {
		return 0, err
	}
	gone, _ := Prunable(all, e.Clock.Now(), keep)
	var ids []rekey.Operation
	for _, s := range gone {
		ids = append(ids, s.Operation)
	}
	return e.Store.Remove(ids)
}
