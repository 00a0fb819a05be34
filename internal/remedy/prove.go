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
	"rekey/internal/diagnose"
)

func orDefault(d, standard time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return standard
}

// prove gathers what speaks for the repair, strongest first: a canary job, the
// manager's contact, the token's verification. It writes no verdict it has not
// seen: the level of the Proof says how far it came, and Missing why no further.
func (e *Engine) prove(ctx context.Context, op *operation) (any, string, error) {
	proof := rekey.Proof{Level: rekey.ProofNone}
	gl, _ := e.client(op)
	if gl != nil && e.seeks(rekey.ProofJob) {
		e.canary(ctx, op, gl, &proof)
	} else {
		proof.Missing = "no job was asked for"
	}
	var err error
	if op.overlaps() { // both tokens are good: there is time to look first whether the file stays as it is
		err = e.lookAgain(ctx, op)
	}
	switch {
	case gl != nil && (op.overlaps() || e.seeks(rekey.ProofOnline)): // what retires a record must know who left it
		e.awaitManagers(ctx, op, gl, &proof)
	case gl == nil && e.seeks(rekey.ProofOnline):
		proof.Missing = "no user token: neither the manager nor a job could be looked at"
	}
	if err == nil && !(op.overlaps() && proof.Level != rekey.ProofNone) { // a manager at work on a new record was accepted
		err = e.verify(ctx, op, &proof)
	}
	if err == nil && !op.overlaps() {
		err = e.lookAgain(ctx, op)
	}
	if ctx.Err() != nil && !isFinal(err) { // what was not waited for is not missing
		return nil, "", stop("run `rekey fix` to resume", "interrupted during the proof")
	}
	if err == nil && op.overlaps() && op.unproved != "" {
		err = stop(fmt.Sprintf("see to the canary, then run `rekey rotate` again; or `rekey fix --undo --run %s` takes the new record back", runOf(op.id)),
			"the new record is not proved, and the old one serves on: %s", op.unproved)
	}
	if err != nil {
		return nil, "", err
	}
	op.proof = proof
	return proof, proofText(op, proof), nil
}

func proofText(op *operation, p rekey.Proof) string {
	if p.Level == rekey.ProofJob {
		return fmt.Sprintf("a job ran on runner %d: %s", op.runnerID(), p.JobURL)
	}
	return fmt.Sprintf("%s, not proved by a job: %s", p.Level, p.Missing)
}

// raise records a level reached and what was seen.
func raise(p *rekey.Proof, level rekey.ProofLevel, at time.Time, where, format string, args ...any) {
	if !p.Level.AtLeast(level) {
		p.Level = level
	}
	p.Evidence = append(p.Evidence, rekey.Evidence{Seen: fmt.Sprintf(format, args...), Where: where, At: at.UTC()})
}

// seeks reports whether a level is looked for: without an order, every one is.
func (e *Engine) seeks(level rekey.ProofLevel) bool {
	return e.Options.Proof == "" || e.Options.Proof.AtLeast(level)
}

// writtenLate is why a manager that is at work may not show: GitLab stores a
// contact time at most once in 40 to 55 minutes (UPDATE_CONTACT_COLUMN_EVERY), and
// a manager of a record that existed before has one already. On a new record the
// first contact shows at once.
func (op *operation) writtenLate() string {
	if op.created() {
		return ""
	}
	return " GitLab writes a contact time at most once in 40 to 55 minutes"
}

// cannotSee says why no manager can be looked for.
func cannotSee(err error) string {
	if err != nil {
		return fmt.Sprintf("not seen: the managers cannot be read: %v", err)
	}
	return "not seen: this GitLab names no managers (17.1 and later do)"
}

// awaitManagers waits for the managers of the hosts that were reached to be seen
// on the record, all targets of a run side by side: their configs were reloaded
// at one time. Nothing here has called verify yet, which would itself make a
// manager appear.
func (e *Engine) awaitManagers(ctx context.Context, op *operation, gl GitLab, p *rekey.Proof) {
	own := e.ownSystems(op)
	if p.Level == rekey.ProofJob && len(op.sites) == 1 || len(own) == 0 {
		if e.Options.Proof == rekey.ProofOnline {
			p.Missing = "not seen: the host has no system id by which its manager could be told"
		}
		return
	}
	for wait := time.Second; ; wait = min(2*wait, longestPause/2) {
		managers, known, err := gl.Managers(ctx, op.runnerID())
		if err != nil || !known {
			if e.Options.Proof == rekey.ProofOnline {
				p.Missing = cannotSee(err)
			}
			return
		}
		if op.overlaps() {
			op.see(managers)
		}
		missing, last := op.unseen(managers, own)
		if len(missing) == 0 {
			raise(p, rekey.ProofOnline, last, "", "%s on runner %d", seenText(own), op.runnerID())
			return
		}
		if e.Clock.Now().After(op.awaited) || e.Clock.Sleep(ctx, wait) != nil {
			p.Missing = fmt.Sprintf("not seen yet: no manager with system id %s was seen on runner %d after the change: is gitlab-runner running?%s (%s)", joinIDs(missing), op.runnerID(), op.writtenLate(), p.Missing)
			return
		}
	}
}

// unseen returns those of own whose contact came not yet, and the last contact.
func (op *operation) unseen(managers []rekey.Manager, own []rekey.SystemID) (missing []rekey.SystemID, last time.Time) {
	for _, id := range own {
		i := slices.IndexFunc(managers, func(m rekey.Manager) bool { return m.SystemID == id && op.fresh(&m) })
		if i < 0 {
			missing = append(missing, id)
			continue
		}
		if managers[i].ContactedAt.After(last) {
			last = managers[i].ContactedAt
		}
	}
	return missing, last
}

func seenText(own []rekey.SystemID) string {
	if len(own) == 1 {
		return fmt.Sprintf("manager %s was seen", own[0])
	}
	return fmt.Sprintf("the managers %s were seen", joinIDs(own))
}

func joinIDs(ids []rekey.SystemID) string {
	var texts []string
	for _, id := range ids {
		texts = append(texts, string(id))
	}
	return strings.Join(texts, ", ")
}

// fresh reports whether the manager's contact came after the change: GitLab
// writes contact times up to 55 minutes late, so an old one proves nothing.
func (op *operation) fresh(m *rekey.Manager) bool {
	return asked(m) && m.ContactedAt.After(op.changedAt().Add(-time.Second))
}

// asked reports whether the manager has asked for jobs. From 18.1 on POST
// /runners/verify writes a contact time too, and leaves the status as it is: below
// 18.7, where it is the probe, our own question would pass for a gitlab-runner.
func asked(m *rekey.Manager) bool {
	return !m.ContactedAt.IsZero() && m.Status != "never_contacted"
}

// changedAt is when GitLab issued the new token, or, where there is none, when
// the url or the assignment was changed.
func (op *operation) changedAt() time.Time {
	at := op.issued.ObtainedAt
	for _, step := range []rekey.StepKind{rekey.StepDeliver, rekey.StepAssign} {
		if r := op.last(step); r != nil && at.IsZero() {
			at = r.At
		}
	}
	return at
}

// verify asks GitLab about the token now in force, from each host.
func (e *Engine) verify(ctx context.Context, op *operation, p *rekey.Proof) error {
	for _, s := range op.sites {
		if err := e.verifyAt(ctx, op, s, p); err != nil {
			return err
		}
	}
	return nil
}

// verifyAt asks for one of them. A refusal shortly after the token was issued may
// be a replica that lags: it is asked again for a while.
func (e *Engine) verifyAt(ctx context.Context, op *operation, s *site, p *rekey.Proof) error {
	section, err := e.inForce(op, s)
	if err != nil {
		return err
	}
	q := Question{Config: s.Config, TLS: tlsOf(section), URL: section.URL, Token: section.Token,
		SystemID: e.Host.SystemID(s.Config)}
	var a rekey.Answer
	for range 5 {
		if a = e.Probe(ctx, q); a.Kind != rekey.AnswerRefused || e.Options.AskOnce {
			break
		}
		if err := e.Clock.Sleep(ctx, time.Second); err != nil {
			return err
		}
	}
	switch {
	case a.Kind == rekey.AnswerRefused && (!op.resumed || op.overlaps()): // a replica may lag for longer: the next run asks again
		return rekey.Errorf(rekey.KindDenied, "GitLab still refuses the token that was delivered (%s)", a.Request).
			WithHint("run `rekey fix` again: it resumes with the proof; `rekey fix --undo` puts the config back as it was")
	case a.Kind == rekey.AnswerRefused:
		return errFinal{rekey.Errorf(rekey.KindDenied, "GitLab refuses the token that was delivered (%s)", a.Request).
			WithHint("run `rekey doctor`; `rekey fix --undo` puts the config back as it was")}
	case a.Kind == rekey.AnswerNotAsked && e.neverAsked(q, a):
		if p.Level == rekey.ProofNone {
			p.Missing = a.Message
		}
		return nil
	case a.Kind != rekey.AnswerAccepted:
		return rekey.Errorf(rekey.KindUnavailable, "the token is delivered, but whether GitLab accepts it is unknown: %s", a.Message).
			WithHint("run `rekey fix` again when that GitLab answers: it resumes with the proof")
	}
	raise(p, rekey.ProofVerified, a.At, a.Request, "GitLab accepts the token (%s)", section.Token)
	return nil
}

// neverAsked reports whether no later run could ask either: nobody may, the text
// is none that can be sent, or only verify could tell (before GitLab 18.7) and
// the host has no system id. An Answer to a request that merely did not come to
// be sent, for want of budget or time, names that request.
func (e *Engine) neverAsked(q Question, a rekey.Answer) bool {
	return e.Options.NoTouch || !q.Token.Lexical().Sendable || q.SystemID == "" && a.Request == ""
}

// lookAgain reads the config once more some seconds after the edit: a
// gitlab-runner that was rotating its token just then writes the whole file anew.
func (e *Engine) lookAgain(ctx context.Context, op *operation) error {
	if !op.edited() {
		return nil
	}
	settling := orDefault(e.Options.Settling, 4*time.Second)
	if rest := settling - e.Clock.Now().Sub(op.deliveredAt()); rest > 0 {
		if err := e.Clock.Sleep(ctx, min(rest, settling)); err != nil {
			return err
		}
	}
	for _, s := range op.sites {
		if _, err := e.inForce(op, s); err != nil {
			return err
		}
	}
	return nil
}

// inForce returns the site's section, if it still has what was delivered. Where
// the old token is back the delivery has failed after all: the next run delivers
// the sealed token again.
func (e *Engine) inForce(op *operation, s *site) (configtoml.Section, error) {
	section, err := e.section(op, s)
	if isStop(err) {
		return e.rotatedSince(op, s, err)
	}
	if err != nil || op.issued.Token.IsZero() || section.Token == op.issued.Token {
		return section, err
	}
	gone := rekey.Errorf(rekey.KindConflict, "somebody wrote %s after the new token was delivered, and it is gone from there", s.Config).
		WithHint("find out what writes the file, then run `rekey fix`: it delivers the sealed token again")
	return section, errors.Join(gone, op.journal.Fail(rekey.StepDeliver, gone))
}

// rotatedSince returns the section of the target's record where its token is
// neither the old nor the new one: gitlab-runner rotates a token that is about to
// expire by itself, and a proof may be resumed days later. Else it fails with gone.
func (e *Engine) rotatedSince(op *operation, at *site, gone error) (configtoml.Section, error) {
	var section configtoml.Section
	err := e.look(at.Config, func(doc *configtoml.Document) error {
		for _, s := range doc.Sections() {
			if s.ID == op.runnerID() && s.ID != 0 && s.URL == op.url() {
				section = s
				return nil
			}
		}
		return gone
	})
	return section, err
}

func tlsOf(s configtoml.Section) diagnose.TLSFiles {
	return diagnose.TLSFiles{CA: s.TLSCAFile, Cert: s.TLSCertFile, Key: s.TLSKeyFile}
}
