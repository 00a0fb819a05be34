package remedy

import (
	"slices"

	"rekey"
)

// Unfinished returns the targets that earlier runs left open.
func (e *Engine) Unfinished() ([]rekey.Target, error) {
	ops, err := e.open()
	defer closeAll(ops)
	var targets []rekey.Target
	for _, op := range ops {
		targets = append(targets, op.target)
	}
	return targets, err
}

// FinishedBeside returns the runners, before and after, of the operations that ended in
// the runs of these results: whoever gives an interrupted command again means them no
// second time.
func (e *Engine) FinishedBeside(results []rekey.Result) ([]rekey.RunnerID, error) {
	runs := map[string]bool{}
	for _, r := range results {
		runs[runOf(r.Operation)] = true
	}
	if len(runs) == 0 {
		return nil, nil
	}
	all, err := e.Store.Summaries()
	if err != nil {
		return nil, err
	}
	var finished []rekey.RunnerID
	for _, s := range all {
		if runs[s.Run] && (s.Status == rekey.StatusFixed || s.Status == rekey.StatusVerified) {
			finished = append(finished, s.Target.RunnerID, s.RunnerID)
		}
	}
	return slices.DeleteFunc(finished, func(id rekey.RunnerID) bool { return id == 0 }), nil
}

// open returns the operations that have no end and were not undone.
func (e *Engine) open() ([]*operation, error) {
	return e.unfinished(func(op *operation) bool { return !op.ended && !op.restored })
}

// unfinished returns the operations that wanted keeps; the caller closes them. An
// empty journal is of none.
func (e *Engine) unfinished(wanted func(*operation) bool) ([]*operation, error) {
	ids, err := e.Store.List()
	if err != nil {
		return nil, err
	}
	var ops []*operation
	for _, id := range ids {
		j, err := e.Store.Open(id)
		if err != nil {
			return ops, err
		}
		op, err := e.replay(j)
		if err != nil || len(j.Records()) == 0 || !wanted(op) {
			_ = j.Close()
			if err != nil {
				return ops, err
			}
			continue
		}
		ops = append(ops, op)
	}
	return ops, nil
}
