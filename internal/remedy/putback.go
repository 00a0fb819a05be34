package remedy

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"rekey"
	"rekey/internal/configtoml"
)

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
	shown := data
	if rest, ok := op.unpadded(s, data); ok {
		shown = rest
	}
	next, err := e.before(op, s, shown)
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

// before returns the config without the operation's edit of the site. It is the
// sealed image where that edit alone lies between, or was cut short; where others
// were made with it or wrote since, only the fields that it changed go back.
func (e *Engine) before(op *operation, s *site, data []byte) ([]byte, error) {
	r, d, err := op.lastEdit(s)
	if err != nil {
		return nil, err
	}
	image, err := e.imageIn(op.journal, r)
	if err != nil {
		return nil, err
	}
	swapped := r.Step == rekey.StepSwap // the image has both sections
	alone := d.Edits == 1 || d.Installed
	if now := digest(data); !swapped && (now == d.Before || now == d.After && alone) {
		return image, nil
	}
	now, err := configtoml.Parse(data)
	if err != nil && !swapped {
		return image, nil //nolint:nilerr // a torn in-place write: the image is whole
	}
	if err != nil {
		now, err = configtoml.Parse(image)
	}
	if err != nil {
		return nil, err
	}
	was, err := configtoml.Parse(image)
	if err != nil {
		return nil, err
	}
	switch {
	case op.overlaps():
		return op.unpaired(now, was, s)
	case op.target.Remedy == rekey.RemedyAppend:
		return op.unappended(now)
	}
	return op.spliced(now, was, s)
}

// unappended takes the section away that the operation added.
func (op *operation) unappended(now *configtoml.Document) ([]byte, error) {
	i := slices.IndexFunc(now.Sections(), func(s configtoml.Section) bool { return s.Token == op.issued.Token })
	if i < 0 { // an undo that was interrupted, or somebody else, has done it
		return now.Bytes(), nil
	}
	next, err := now.RemoveAll(i)
	if err != nil {
		return nil, err
	}
	return next.Bytes(), nil
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
			back, err = now.PutBack(old, was, first)
		}
		if err == nil {
			back, err = back.RemoveAll(second)
		}
		if err != nil {
			return nil, err
		}
		return back.Bytes(), nil
	}
	return putBack(now, second, was, first)
}

func putBack(now *configtoml.Document, index int, was *configtoml.Document, of int) ([]byte, error) {
	back, err := now.PutBack(index, was, of)
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
	return putBack(now, i, was, old)
}
