package remedy

import (
	"context"
	"slices"

	"rekey"
)

// ResumeGiven finishes what earlier runs left open of bringing given tokens into some
// configs, and nothing else. One whose token came out of a store and whose section is
// not as it was any more is ended: the token is in that store, and whoever reads it
// there judges anew.
func (e *Engine) ResumeGiven(ctx context.Context, configs []string) ([]rekey.Result, error) {
	mine := func(op *operation) bool {
		return !op.ended && !op.restored && op.target.Remedy == rekey.RemedyGiven &&
			slices.ContainsFunc(configs, func(path string) bool { return absolute(path) == op.target.Config })
	}
	ops, err := e.unfinished(mine)
	defer closeAll(ops)
	if err != nil || len(ops) == 0 {
		return nil, err
	}
	results := e.run(ctx, ops)
	for i, op := range ops {
		if results[i].Status != rekey.StatusOpen || op.target.From == "" {
			continue
		}
		if _, err := e.section(op, op.sites[0]); isStop(err) || op.issued.Token.IsZero() {
			results[i].Status, results[i].Next = rekey.StatusFailed, ""
			e.abandon(op, &results[i])
		}
	}
	return results, nil
}
