package remedy

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"rekey"
)

// Stored is what a plan is told of the secret that a target's token goes into, and
// what stands there.
type Stored struct {
	rekey.Deposit
	Held  Held
	Notes []string
}

// elsewhere decides about online managers whose config was not given: an overlap
// waits for them, a reset would refuse them.
func (p *RotationPlanner) elsewhere(f found, t *rekey.Target) choice {
	if len(f.elsewhere) == 0 {
		return choice{}
	}
	if t.Remedy == rekey.RemedyReset && !p.Flags.Agents {
		return leave("leave --strategy away: an overlap waits until they have come over; or, where a `rekey agent` with the same reference runs on each of them, give --deliver-by-agent: GitLab refuses them from the reset until it has delivered",
			"runner %d is used by %s too, which a reset would lock out", t.RunnerID, strings.Join(f.elsewhere, ", "))
	}
	t.Agents = true
	return choice{}
}

// agentsNote says what a rotation asks of hosts that are not reached from here.
func agentsNote(f found, t rekey.Target) string {
	who := "hosts elsewhere"
	if len(f.elsewhere) > 0 {
		who = strings.Join(f.elsewhere, ", ")
	}
	if t.Remedy == rekey.RemedyReset {
		return fmt.Sprintf("a hard cut elsewhere: from the reset until a `rekey agent` has delivered what the store holds, GitLab refuses %s; jobs that run go on", who)
	}
	return fmt.Sprintf("a `rekey agent` has to bring the new token from the store to %s: both records serve until each was seen on the new one", who)
}

// PlanAfar plans the rotation of records whose configs are on other hosts: the store
// gets the token, and the agents there deliver it. Words are record ids of the GitLab
// at base. stored says where a token goes; the secret must hold the record's own.
func (p *RotationPlanner) PlanAfar(ctx context.Context, base string, words []string, stored func(context.Context, rekey.Target) (Stored, error)) (rekey.Plan, error) {
	plan := rekey.Plan{Targets: []rekey.Target{}, Left: []rekey.Left{}}
	p.taken = map[rekey.Ref]int{}
	gl := p.GitLab(base)
	if gl == nil {
		return plan, rekey.Errorf(rekey.KindDenied, "a rotation needs a user token for its GitLab").WithHint("set GITLAB_TOKEN and GITLAB_HOST, or --url")
	}
	for i, word := range words {
		id, err := strconv.ParseInt(word, 10, 64)
		if err != nil || id <= 0 {
			return plan, rekey.Errorf(rekey.KindInvalid, "%q is no runner id", word).
				WithHint("agents deliver by the record's id (`rekey runner list`); sections of configs that are reached from here are named without --deliver-by-agent, or with --config")
		}
		if slices.Contains(p.Flags.Skip, rekey.RunnerID(id)) || targeted(plan, rekey.RunnerID(id)) {
			continue
		}
		t, c := p.afar(ctx, gl, base, rekey.RunnerID(id), stored)
		if c.why == "" && slices.ContainsFunc(plan.Targets, func(other rekey.Target) bool { return other.Store.Ref == t.Store.Ref }) {
			c = leave("give each record a secret of its own; {name} in --store stands for its description", "%s is where another of these records keeps its token", t.Store.Ref)
		}
		if c.why != "" {
			plan.Left = append(plan.Left, rekey.Left{Config: t.Config, Name: t.Name, Causes: []rekey.Cause{}, Severity: rekey.Failing, Reason: c.why, Next: c.next})
		} else {
			plan.Targets = append(plan.Targets, t)
		}
		if p.Progress != nil {
			p.Progress(i+1, len(words))
		}
	}
	return plan, ctx.Err()
}

// targeted reports whether a record was named before.
func targeted(plan rekey.Plan, id rekey.RunnerID) bool {
	return slices.ContainsFunc(plan.Targets, func(t rekey.Target) bool { return t.RunnerID == id })
}

func (p *RotationPlanner) afar(ctx context.Context, gl GitLab, base string, id rekey.RunnerID, stored func(context.Context, rekey.Target) (Stored, error)) (rekey.Target, choice) {
	t := rekey.Target{Name: fmt.Sprintf("runner %d", id), URL: base, GitLab: base, RunnerID: id, Causes: []rekey.Cause{}, Agents: true}
	record, err := gl.Runner(ctx, id)
	if c := unreadable(id, err); c.why != "" {
		if rekey.KindOf(err) == rekey.KindNotFound {
			c.next = "`rekey runner list` shows the records that there are"
		}
		return t, c
	}
	if record.Description != "" {
		t.Name = record.Description
	}
	if tool := recordKeeper(record); tool != "" {
		return t, leave("rotate it there", "runner %d says that %s keeps it", id, tool)
	}
	if c := p.itself(t); c.why != "" {
		return t, c
	}
	s, err := stored(ctx, t)
	t.Config = s.Ref
	if err != nil {
		return t, leave(rekey.HintOf(err), "%v", err)
	}
	t.Store, t.Before = &s.Deposit, s.Holds
	if c := p.storesToken(ctx, t, s); c.why != "" {
		return t, c
	}
	managers, _, err := gl.Managers(ctx, id)
	if err != nil {
		return t, leave("run `rekey rotate` again when GitLab answers", "who uses runner %d cannot be told: %v", id, err)
	}
	f := found{record: record, elsewhere: onlineBeside(managers, nil)}
	h := held{url: base}
	if t.Remedy = p.Flags.Strategy; t.Remedy == "" {
		t.Remedy = rekey.RemedyOverlap
	}
	if c := p.allowed(ctx, h, f, &t); c.why != "" {
		return t, c
	}
	t.Steps = describe(t)
	t.Notes = append([]string{agentsNote(f, t),
		"a new token means cold caches; what executor the hosts have is not known here: under docker-autoscaler, instance and docker+machine no token is changed while jobs run"}, s.Notes...)
	return t, choice{}
}

// storesToken refuses a secret that is not shown to hold this record's token.
func (p *RotationPlanner) storesToken(ctx context.Context, t rekey.Target, s Stored) choice {
	ref := t.Store.Ref
	here := fmt.Sprintf("`rekey secret put %s --runner-id %d` writes the token and says so", ref, t.RunnerID)
	for _, open := range p.Open {
		if open.Config == t.Config {
			return leave("`rekey rotate` finishes it first; `rekey fix --abort` gives it up", "an earlier rotation through %s is not finished", ref)
		}
	}
	switch {
	case s.Held.Token.IsZero():
		return leave("start `rekey agent` on the host, which brings the token there; or "+here, "%s holds nothing yet: no agent follows it", ref)
	case s.Held.RunnerID == 0:
		return leave(here, "%s does not say whose token it holds, and runner %d may be another's", ref, t.RunnerID)
	case s.Held.RunnerID != t.RunnerID:
		return leave("name the right secret; "+here, "%s holds the token of runner %d, not of runner %d", ref, s.Held.RunnerID, t.RunnerID)
	}
	a := p.Probe(ctx, Question{Config: ref, URL: t.URL, Token: s.Held.Token})
	if a.Verdict() == rekey.Invalid && p.Flags.Strategy == "" {
		return leave("`rekey doctor` on the host says why; --strategy in-place gives the record a new token all the same", "GitLab refuses the token that %s holds: there is nothing to overlap", ref)
	}
	return choice{}
}

// proveAfar gathers what speaks for a token that agents bring to their hosts.
func (e *Engine) proveAfar(ctx context.Context, op *operation) (any, string, error) {
	proof := rekey.Proof{Level: rekey.ProofNone, Missing: "no job was asked for"}
	gl, err := e.client(op)
	if err != nil {
		return nil, "", err
	}
	if e.seeks(rekey.ProofJob) {
		e.canary(ctx, op, gl, &proof)
	}
	if proof.Level != rekey.ProofJob && (op.created() || e.seeks(rekey.ProofOnline)) {
		if err := e.awaitAgents(ctx, op, gl, &proof); err != nil {
			return nil, "", err
		}
	}
	if proof.Level == rekey.ProofNone {
		if err := e.verifyToken(ctx, op, &proof); err != nil {
			return nil, "", err
		}
	}
	switch {
	case ctx.Err() != nil:
		return nil, "", stop("run `rekey fix --resume`", "interrupted during the proof")
	case op.overlaps() && op.unproved != "": // agents may have moved hosts already: they are to find the record's tags there
		unproved := stop("see to the canary, then run `rekey fix --resume`; or `rekey fix --abort` takes the new record back",
			"the new record is not proved, and runner %d stays as it is: %s", op.target.RunnerID, op.unproved)
		_, _, err := e.settle(ctx, op)
		return nil, "", joined(unproved, err)
	}
	op.proof = proof
	return proof, proofText(op, proof), nil
}

// awaitAgents waits until a manager has asked with the new token.
func (e *Engine) awaitAgents(ctx context.Context, op *operation, gl GitLab, p *rekey.Proof) error {
	for wait := e.patience(orDefault(e.Options.ProofWait, 30*time.Second)); ; {
		who, last, err := e.seenAfar(ctx, op, gl)
		if err != nil && rekey.KindOf(err) != rekey.KindUnavailable {
			return err
		}
		if who != "" {
			raise(p, rekey.ProofOnline, last, "", "%s was seen on runner %d", who, op.runnerID())
			return nil
		}
		if !wait.wait(ctx) {
			p.Missing = fmt.Sprintf("not seen yet: no manager has asked with the new token of runner %d: does a `rekey agent` follow %s?%s", op.runnerID(), op.target.Store.Ref, op.writtenLate())
			op.vain = true
			return nil
		}
	}
}

// seenAfar names who has asked with the new token, "" for nobody. Before 17.1 GitLab
// names no managers: the contact of a record that was just made is then one.
func (e *Engine) seenAfar(ctx context.Context, op *operation, gl GitLab) (who string, last time.Time, err error) {
	managers, known, err := gl.Managers(ctx, op.runnerID())
	if err != nil {
		return "", last, err
	}
	op.see(managers)
	for _, m := range managers {
		if op.fresh(&m) {
			return "manager " + string(m.SystemID), m.ContactedAt, nil
		}
	}
	if !known && op.created() {
		r, err := gl.Runner(ctx, op.runnerID())
		if err == nil && !r.ContactedAt.IsZero() {
			return "a manager", r.ContactedAt, nil
		}
		return "", last, err
	}
	return "", last, nil
}

// broughtOver fails while nobody was seen on a record whose token agents are to bring:
// that no manager of the old one is online does not say that the host has the token.
func (e *Engine) broughtOver(ctx context.Context, op *operation, gl GitLab) error {
	if !op.target.Afar() {
		return nil
	}
	limit := orDefault(e.Options.ProofWait, 30*time.Second)
	if op.vain { // the proof waited for the same
		limit = time.Nanosecond
	}
	for p := e.patience(limit); ; {
		who, last, err := e.seenAfar(ctx, op, gl)
		if err != nil {
			return err
		}
		if who != "" {
			if op.vain {
				raise(&op.proof, rekey.ProofOnline, last, "", "%s was seen on runner %d", who, op.runnerID())
				op.proof.Missing = "no job was asked for"
			}
			return nil
		}
		if !p.wait(ctx) {
			return stop(fmt.Sprintf("see that a `rekey agent` that follows %s runs on the host, then `rekey fix --resume`; `rekey fix --abort` takes the new record back", op.target.Store.Ref),
				"no manager was seen on runner %d yet, and runner %d is kept until then", op.issued.ID, op.target.RunnerID)
		}
	}
}
