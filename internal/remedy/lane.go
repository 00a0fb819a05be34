package remedy

import (
	"context"
	"slices"
	"sync"
	"time"

	"rekey"
)

const (
	laneWidth = 16  // operations of one lane that ask GitLab at once
	laneCount = 8   // lanes at once
	finishing = 256 // operations at once that are proved, drained and so on
)

// batchFor bounds how long the first token of a batch waits for its config: from
// a reset until the edit gitlab-runner is refused.
const batchFor = time.Second

// forEach does something for each of some values, laneWidth at a time.
func forEach[T any](list []T, do func(i int, v T)) {
	var wait sync.WaitGroup
	slots := make(chan struct{}, laneWidth)
	for i, v := range list {
		slots <- struct{}{}
		wait.Go(func() {
			defer func() { <-slots }()
			do(i, v)
		})
	}
	wait.Wait()
}

// lanes puts operations together that share a config: a lane's configs are no
// other lane's.
func lanes(ops []*operation) [][]*operation {
	lane := map[string]int{} // of each config
	var all [][]*operation
	for _, op := range ops {
		into := -1
		for _, s := range op.sites {
			n, known := lane[s.Config]
			switch {
			case !known || n == into:
			case into < 0:
				into = n
			default: // it joins two
				all[into], all[n] = append(all[into], all[n]...), nil
				for path, at := range lane {
					if at == n {
						lane[path] = into
					}
				}
			}
		}
		if into < 0 {
			all, into = append(all, nil), len(all)
		}
		for _, s := range op.sites {
			lane[s.Config] = into
		}
		all[into] = append(all[into], op)
	}
	return slices.DeleteFunc(all, func(l []*operation) bool { return l == nil }) // those that went into another
}

// changeLane does what comes before the proof for the operations of one lane. The
// configs are locked from before a token is asked for until it is delivered: of
// two runs with state directories of their own, the second would reset what the
// first has just received. Edits are made in batches, one replacement of a config
// for each.
func (e *Engine) changeLane(ctx context.Context, ops []*operation, failed func(*operation, error)) {
	if ops[0].rolls() { // its place is compared and set, and shared with no other
		for _, op := range ops {
			if err := e.steps(ctx, op, beforeProof); err != nil {
				failed(op, err)
			}
		}
		return
	}
	var rest []*operation
	locked := false
	for _, op := range ops {
		step, ok := op.next(beforeProof)
		if !ok {
			continue
		}
		rest = append(rest, op)
		locked = locked || step != rekey.StepReload && op.target.Remedy != rekey.RemedyAssign
	}
	if locked {
		unlock, err := e.lockAll(configsOf(rest))
		if rekey.KindOf(err) == rekey.KindUnavailable && err != nil && issuedAll(rest) {
			unlock, err = e.lockReachable(configsOf(rest), err)
		}
		if err != nil {
			for _, op := range rest {
				failed(op, err)
			}
			return
		}
		defer unlock()
	}
	for len(rest) > 0 {
		var batch []*operation
		begin := e.Clock.Now()
		for len(rest) > 0 && e.Clock.Now().Sub(begin) < batchFor {
			if e.halted() {
				e.leaveRest(rest, failed)
				rest = nil
				break
			}
			n := min(laneWidth, len(rest))
			batch, rest = append(batch, e.issueAll(ctx, rest[:n], failed)...), rest[n:]
		}
		e.installAll(ctx, batch, failed)
	}
}

func (e *Engine) lockAll(paths []string) (unlock func(), err error) {
	var locks []func()
	unlock = func() {
		for _, u := range locks {
			u()
		}
	}
	for _, path := range paths {
		u, err := e.Host.Lock(path)
		if err != nil {
			unlock()
			return nil, err
		}
		locks = append(locks, u)
	}
	return unlock, nil
}

// issuedAll reports whether each of the operations has its token: nothing is asked of
// GitLab any more before it is delivered.
func issuedAll(ops []*operation) bool {
	return !slices.ContainsFunc(ops, func(op *operation) bool { return op.issued.Token.IsZero() })
}

// lockReachable locks the configs of the hosts that can be reached: those do not wait
// for one that is gone. An edit of the others fails by itself.
func (e *Engine) lockReachable(paths []string, gone error) (unlock func(), err error) {
	var locks []func()
	unlock = func() {
		for _, u := range locks {
			u()
		}
	}
	for _, path := range paths {
		u, err := e.Host.Lock(path)
		switch {
		case err == nil:
			locks = append(locks, u)
		case rekey.KindOf(err) != rekey.KindUnavailable:
			unlock()
			return nil, err
		}
	}
	if len(locks) == 0 {
		return nil, gone
	}
	return unlock, nil
}

// issueAll gets the operations their tokens, and returns those that got as far.
func (e *Engine) issueAll(ctx context.Context, ops []*operation, failed func(*operation, error)) []*operation {
	errs := make([]error, len(ops))
	forEach(ops, func(i int, op *operation) {
		errs[i] = e.steps(ctx, op, beforeDelivery)
		_ = op.journal.Close()
	})
	return settleAll(ops, errs, failed)
}

// settleAll tells of the operations that failed and returns the others.
func settleAll(ops []*operation, errs []error, failed func(*operation, error)) []*operation {
	var good []*operation
	for i, op := range ops {
		if errs[i] != nil {
			failed(op, errs[i])
			continue
		}
		good = append(good, op)
	}
	return good
}

// installAll delivers the tokens and has the configs loaded, after an interrupt
// too: from a reset on, gitlab-runner is refused until it has the new token.
func (e *Engine) installAll(ctx context.Context, ops []*operation, failed func(*operation, error)) {
	var wanting []*operation
	for _, op := range ops {
		if step, _ := op.next(beforeProof); step == rekey.StepDeliver {
			wanting = append(wanting, op)
		}
	}
	errs := e.deliverAll(ctx, wanting)
	e.unloaded(configsOf(wanting)...)
	settleAll(wanting, errs, failed)
	var loading []*operation
	for _, op := range ops {
		if step, ok := op.next(beforeProof); ok && step == rekey.StepReload {
			loading = append(loading, op)
		}
	}
	errs = make([]error, len(loading))
	load := func(i int, op *operation) {
		errs[i] = e.steps(context.WithoutCancel(ctx), op, beforeProof)
		_ = op.journal.Close()
	}
	told := map[string]bool{}
	var quick []int // their configs are loaded by others' steps, which come first
	for i, op := range loading {
		if paths := configsOf(loading[i : i+1]); slices.ContainsFunc(paths, func(path string) bool { return !told[path] }) {
			load(i, op)
			for _, path := range paths {
				told[path] = true
			}
			continue
		}
		quick = append(quick, i)
	}
	forEach(quick, func(_, i int) { load(i, loading[i]) })
	settleAll(loading, errs, failed)
}

func interrupted(step rekey.StepKind) error {
	return stop("run `rekey fix` to resume", "interrupted before the step %q", step)
}

func beforeProof(s rekey.StepKind) bool { return !fromProof(s) }

func beforeDelivery(s rekey.StepKind) bool {
	return beforeProof(s) && s != rekey.StepDeliver && s != rekey.StepReload
}

func fromProof(s rekey.StepKind) bool {
	switch s {
	case rekey.StepProve, rekey.StepSettle, rekey.StepHandover, rekey.StepPause, rekey.StepDrain, rekey.StepSwap, rekey.StepRetire:
		return true
	}
	return false
}
