package remedy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"rekey"
)

// Options tune an Engine.
type Options struct {
	Canaries      []string      // project paths or ids, tried in order for each runner
	CanaryTimeout time.Duration // how long a canary job may take; 0: two minutes
	ProofWait     time.Duration // how long to wait for the manager; 0: 30 s
	Settling      time.Duration // look at the config again after; 0: four seconds
	DrainTimeout  time.Duration // how long the jobs of a record that is retired are waited for; 0: an hour
	RolloutWait   time.Duration // how long new pods of a release may take to be ready; 0: ten minutes
	NoTouch       bool          // the Probe sends nothing, and no later run's would
	// AskOnce takes the first refusal of a delivered token for the answer: who runs
	// this engine looks again by itself.
	AskOnce bool
	// Proof is how far a repair is to be proved; "": as far as can be had. Nothing
	// beyond it is looked at, and a Result says when it was not reached.
	Proof rekey.ProofLevel
	// AbortAfter is how many failures, and resets whose answer was lost, end a run:
	// what was not begun by then is not begun. 0: none does.
	AbortAfter int
	// MaxAge is the age at which a token is due, whether it expires or not; 0: none.
	MaxAge time.Duration
}

// Event is one line of the conversation while an Engine works.
type Event struct {
	Operation rekey.Operation
	Target    rekey.Target
	Step      rekey.StepKind
	Text      string
	Err       error
}

// Engine applies plans. Its ports are set before use and not changed; one Engine
// runs at a time for one Store (Store.Lock).
type Engine struct {
	Store *Store
	Host  Host
	Clock Clock
	Probe Probe
	// ParseIssued reads a raw answer that holds a token, as it was sealed.
	ParseIssued func(raw []byte) (rekey.Issued, error)
	// OutcomeUnknown reports whether the server may have acted although a call of
	// GitLab failed.
	OutcomeUnknown func(error) bool
	// Given is the token of a RemedyGiven target.
	Given rekey.Token
	// GivenFor, when not nil, returns the token of each such target instead.
	GivenFor func(t rekey.Target) rekey.Token
	// GitLab returns the user token's side of the GitLab at base, or nil where
	// no user token is for it.
	GitLab  func(base string) GitLab
	Options Options
	// Workloads opens the release that a target's Host names; nil: none can be reached.
	Workloads func(ctx context.Context, t rekey.Target) (Workload, error)
	// Secrets opens the secret that a target's Store names; nil: none can be reached.
	Secrets func(ref string) (Secret, error)
	// WaitOn is asked whether to wait as long again for a record's jobs; nil is no.
	// It is called from several goroutines.
	WaitOn func(t rekey.Target, waited time.Duration) bool
	// Opened is told each target that is begun or read back, before its Host is asked
	// for anything; nil: nobody wants to know.
	Opened func(t rekey.Target)
	// Report is called for each event, from several goroutines; nil is silence.
	Report func(Event)

	documents documents
	images    images
	swaps     queues
	failures  atomic.Int64 // of this run
	mu        sync.Mutex
	reloaded  map[string]string // configs that were reloaded after their last edit of this run, and how
}

// errStop ends an operation for now without an error of the engine's: the
// journal stays open and the next run resumes it.
type errStop struct{ reason, next string }

func (e errStop) Error() string { return e.reason }

// errFinal ends an operation for good: resuming it could not help.
type errFinal struct{ error }

func (e errFinal) Unwrap() error { return e.error }

// errUnclear leaves a step unknown: it may have been done.
type errUnclear struct{ error }

func (e errUnclear) Unwrap() error { return e.error }

// errReplaced says that a step put another in its place.
var errReplaced = errors.New("the step was replaced")

func stop(next, format string, args ...any) error {
	return errStop{reason: fmt.Sprintf(format, args...), next: next}
}

// Apply carries out a plan: first the changes, one target after the other, then
// the proofs, side by side. A target that fails does not stop the others. The
// results are in the plan's order. When ctx ends, no further step is begun. A
// section whose earlier repair is open is not begun anew: that one may hold the
// token that the record has now.
func (e *Engine) Apply(ctx context.Context, plan rekey.Plan) ([]rekey.Result, error) {
	run, err := e.Store.NewRun()
	if err != nil {
		return nil, err
	}
	open, err := e.open()
	closeAll(open)
	if err != nil {
		return nil, err
	}
	var ops []*operation
	defer func() { closeAll(ops) }()
	var results []rekey.Result
	var begun []int
	for i, target := range plan.Targets {
		results = append(results, rekey.Result{})
		if earlier := repairing(open, target); earlier != nil {
			results[i] = earlier.stillOpen(target)
			continue
		}
		op, err := e.begin(rekey.Operation(fmt.Sprintf("%s-%d", run, i+1)), target)
		if err != nil {
			return nil, err
		}
		ops, begun = append(ops, op), append(begun, i)
		if ctx.Err() != nil {
			break
		}
	}
	for i, r := range e.run(ctx, ops) {
		results[begun[i]] = r
	}
	return results, nil
}

// Resume finishes what earlier runs left open. It returns no results when nothing
// was open.
func (e *Engine) Resume(ctx context.Context) ([]rekey.Result, error) {
	var ops []*operation
	defer func() { closeAll(ops) }()
	open, err := e.open()
	if err != nil {
		return nil, err
	}
	ops = open
	return e.run(ctx, ops), nil
}

func (e *Engine) begin(id rekey.Operation, target rekey.Target) (*operation, error) {
	j, err := e.Store.Open(id)
	if err != nil {
		return nil, err
	}
	defer func() { _ = j.Close() }() // a thousand targets are more than the files a process may have open
	target.Config = absolute(target.Config)
	target.Also = slices.Clone(target.Also)
	for i := range target.Also {
		target.Also[i].Config = absolute(target.Also[i].Config)
	}
	e.opened(target)
	op := &operation{id: id, target: target, journal: j}
	op.makeSites()
	return op, j.Write(rekey.StepBegin, rekey.PhaseNote, target, nil)
}

func (e *Engine) opened(t rekey.Target) {
	if e.Opened != nil {
		e.Opened(t)
	}
}

func closeAll(ops []*operation) {
	for _, op := range ops {
		_ = op.journal.Close()
	}
}

// run does what each operation lacks: the changes lane by lane, then the rest of
// each operation by itself, side by side.
func (e *Engine) run(ctx context.Context, ops []*operation) []rekey.Result {
	var mu sync.Mutex
	errs := map[*operation]error{}
	failed := func(op *operation, err error) {
		mu.Lock()
		defer mu.Unlock()
		errs[op] = errors.Join(errs[op], err)
		if !op.replaced { // which counted
			e.failures.Add(1)
		}
	}
	e.failures.Store(0)
	e.unloaded(configsOf(ops)...)
	var changing, rest sync.WaitGroup
	slots, ends := make(chan struct{}, laneCount), make(chan struct{}, finishing)
	for _, lane := range lanes(ops) {
		slots <- struct{}{}
		changing.Go(func() {
			defer func() { <-slots }()
			e.changeLane(ctx, lane, failed)
			awaited := e.Clock.Now().Add(orDefault(e.Options.ProofWait, 30*time.Second))
			for _, op := range lane {
				mu.Lock()
				err := errs[op]
				mu.Unlock()
				if err != nil {
					continue
				}
				op.awaited = awaited
				rest.Go(func() {
					ends <- struct{}{}
					defer func() { <-ends }()
					if err := e.complete(ctx, op); err != nil {
						failed(op, err)
					}
				})
			}
		})
	}
	changing.Wait()
	rest.Wait()
	results := make([]rekey.Result, len(ops))
	forEach(ops, func(i int, op *operation) {
		results[i] = e.result(op, errs[op])
		_ = op.journal.Close()
	})
	return results
}

// complete runs the steps from the proof on.
func (e *Engine) complete(ctx context.Context, op *operation) error {
	defer func() { _ = op.journal.Close() }()
	err := e.steps(ctx, op, fromProof)
	if isFinal(err) && (op.tagged != nil || op.created()) { // nobody resumes this: no record keeps the marker
		err = errors.Join(err, e.step(ctx, op, rekey.StepSettle))
	}
	return err
}

// steps runs the operation's steps that part selects and that are not done. The
// list is read anew after each step: a lost reset changes it.
func (e *Engine) steps(ctx context.Context, op *operation, part func(rekey.StepKind) bool) error {
	for {
		step, ok := op.next(part)
		if !ok {
			return nil
		}
		if err := ctx.Err(); err != nil && step != rekey.StepStore { // a token that was issued gets where others look for it
			return interrupted(step)
		}
		err := e.step(ctx, op, step)
		if err != nil && e.OutcomeUnknown(err) && ctx.Err() == nil { // observe now rather than in the next run
			err = e.step(ctx, op, step)
		}
		if err != nil {
			return err
		}
	}
}

func (op *operation) next(part func(rekey.StepKind) bool) (rekey.StepKind, bool) {
	for _, s := range op.steps() {
		switch {
		case op.done(s):
		case s == rekey.StepStore && op.late:
			return s, part(rekey.StepProve)
		default:
			return s, part(s)
		}
	}
	return "", false
}

// step runs one step between its intent and its outcome. Steps that must know
// whether they were begun before look at op.unknown before their intent.
func (e *Engine) step(ctx context.Context, op *operation, step rekey.StepKind) error {
	do := map[rekey.StepKind]func(context.Context, *operation) (any, string, error){
		rekey.StepCensus: e.census, rekey.StepCreate: e.create, rekey.StepReset: e.reset,
		rekey.StepSeal: e.sealGiven, rekey.StepDeliver: e.deliver, rekey.StepReload: e.reload,
		rekey.StepAssign: e.assign, rekey.StepProve: e.prove, rekey.StepSettle: e.settle,
		rekey.StepHandover: e.handover, rekey.StepPause: e.pause, rekey.StepDrain: e.drain,
		rekey.StepSwap: e.swap, rekey.StepRetire: e.retire,
		rekey.StepTry: e.try, rekey.StepStore: e.deposit,
	}[step]
	if in := e.rollStep(step); op.rolls() && in != nil {
		do = in
	}
	if op.target.Afar() && step == rekey.StepProve {
		do = e.proveAfar
	}
	before := len(op.journal.Records())
	data, text, err := do(ctx, op)
	return e.conclude(op, step, before, data, text, err)
}

// conclude writes the outcome of a step. before is how many records the journal
// had when it was begun.
func (e *Engine) conclude(op *operation, step rekey.StepKind, before int, data any, text string, err error) error {
	if errors.Is(err, errReplaced) {
		return nil
	}
	e.tell(op, step, text, err)
	switch {
	case err == nil:
		return op.journal.Write(step, rekey.PhaseOutcome, data, nil)
	case op.begunSince(step, before) && !e.OutcomeUnknown(err) && !errors.As(err, &errUnclear{}):
		return errors.Join(err, op.journal.Fail(step, err))
	}
	return err
}

// begunSince reports whether the last word on step is an intent written after
// the first n records. What failed before its own intent says nothing about an
// earlier attempt: that one stays unknown, and what it received stays received.
func (op *operation) begunSince(step rekey.StepKind, n int) bool {
	last := op.last(step)
	return last != nil && last.Seq > n && last.Phase == rekey.PhaseIntent
}

func (e *Engine) tell(op *operation, step rekey.StepKind, text string, err error) {
	if e.Report != nil {
		e.Report(Event{Operation: op.id, Target: op.target, Step: step, Text: text, Err: err})
	}
}
