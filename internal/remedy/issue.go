package remedy

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"rekey"
)

// answerTimeout bounds the calls whose answer holds a token. They do not end with
// the caller's context: an interrupt must not throw a token away.
const answerTimeout = time.Minute

func (e *Engine) client(op *operation) (GitLab, error) {
	if e.GitLab != nil && op.target.GitLab != "" {
		if gl := e.GitLab(op.target.GitLab); gl != nil {
			return gl, nil
		}
	}
	return nil, rekey.Errorf(rekey.KindDenied, "no user token for %s is at hand", op.target.GitLab).
		WithHint("set GITLAB_TOKEN and GITLAB_HOST=%s, then run `rekey fix` again", op.target.GitLab)
}

// census counts the online managers of an existing record besides this host's.
// GitLab writes contact times late, so an online manager is counted, and one that
// is not online may still come: what it says is a lower bound.
func (e *Engine) census(ctx context.Context, op *operation) (any, string, error) {
	gl, err := e.client(op)
	if err != nil {
		return nil, "", err
	}
	others, err := e.otherManagers(ctx, gl, op)
	if err != nil {
		return nil, "", err
	}
	if len(others) > 0 && op.target.Agents {
		return nil, fmt.Sprintf("%d managers elsewhere are refused until their agents have the new token from %s", len(others), op.target.Store.Ref), nil
	}
	if len(others) > 0 {
		return nil, "", rekey.Errorf(rekey.KindConflict, "runner %d is in use by %s: a reset would lock it out",
			op.target.RunnerID, strings.Join(others, ", ")).
			WithHint("copy the record's current token to this host with `rekey fix --token-file FILE`, or give this host a record of its own with `rekey fix --separate-record`")
	}
	return nil, "no other online manager uses the record", nil
}

func (e *Engine) otherManagers(ctx context.Context, gl GitLab, op *operation) ([]string, error) {
	return e.managersBeside(ctx, gl, op, op.target.RunnerID)
}

// managersBeside names the online managers of a record besides this host's.
func (e *Engine) managersBeside(ctx context.Context, gl GitLab, op *operation, id rekey.RunnerID) ([]string, error) {
	own := e.ownSystems(op)
	managers, known, err := gl.Managers(ctx, id)
	if err != nil {
		return nil, err
	}
	if !known {
		return nil, e.onlineRecord(ctx, gl, id)
	}
	var others []string
	for _, m := range managers {
		if m.Status == "online" && !slices.Contains(own, m.SystemID) {
			others = append(others, fmt.Sprintf("manager %s (last contact %s)", m.SystemID, m.ContactedAt.UTC().Format(time.RFC3339)))
		}
	}
	return others, nil
}

// ownSystems are the system ids of the hosts that the operation reaches.
func (e *Engine) ownSystems(op *operation) []rekey.SystemID {
	var own []rekey.SystemID
	for _, s := range op.sites {
		if id := e.Host.SystemID(s.Config); id != "" {
			own = append(own, id)
		}
	}
	return own
}

// onlineFor is how long after its last contact GitLab calls a record online
// (ONLINE_CONTACT_TIMEOUT).
const onlineFor = 2 * time.Hour

// onlineRecord fails where GitLab lists no managers (before 17.1) and the record
// is online: somebody uses it, and who cannot be told.
func (e *Engine) onlineRecord(ctx context.Context, gl GitLab, id rekey.RunnerID) error {
	r, err := gl.Runner(ctx, id)
	if err != nil || r.Online == nil || !*r.Online {
		return err
	}
	return rekey.Errorf(rekey.KindUnavailable, "whether others use runner %d cannot be told: GitLab before 17.1 does not name managers; the record counts as online for two hours after its last contact", id).
		WithHint("try again after %s, or use --separate-record", r.ContactedAt.Add(onlineFor).UTC().Format("15:04 UTC"))
}

// create makes the record, wearing only the marker tag and taking no untagged
// jobs, so that no production job reaches it before it is proved.
func (e *Engine) create(ctx context.Context, op *operation) (any, string, error) {
	if op.unknown(rekey.StepCreate) && !op.issued.Token.IsZero() {
		return op.issuedFacts(), op.issuedText("created"), nil
	}
	gl, err := e.client(op)
	if err != nil {
		return nil, "", err
	}
	if op.unknown(rekey.StepCreate) {
		if err := e.removeOrphans(ctx, gl, op, 0); err != nil {
			return nil, "", err
		}
	}
	if err := e.unmoved(ctx, op); err != nil {
		return nil, "", err
	}
	if err := op.journal.Write(rekey.StepCreate, rekey.PhaseIntent, markerFacts{op.id.Marker()}, nil); err != nil {
		return nil, "", err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), answerTimeout)
	defer cancel()
	issued, err := gl.CreateRunner(ctx, op.newRunner(), op.sealer(rekey.StepCreate))
	if err != nil {
		return nil, "", err
	}
	op.issued = e.stamped(issued)
	return op.issuedFacts(), op.issuedText("created"), nil
}

// unmoved looks at the store and the config once more before GitLab is asked for a token: one
// that could not be delivered is not made.
func (e *Engine) unmoved(ctx context.Context, op *operation) error {
	if err := e.secretUnmoved(ctx, op); err != nil {
		return err
	}
	if op.target.Remedy == rekey.RemedyAppend || op.rolls() {
		return nil
	}
	for _, s := range op.sites {
		if _, err := e.section(op, s); err != nil {
			return err
		}
		if err := e.Host.CheckWritable(s.Config); err != nil {
			return err
		}
	}
	return nil
}

type markerFacts struct {
	Marker string `json:"marker"`
}

// removeOrphans deletes the records that wear this operation's marker, but for
// keep: their tokens were never received, so nobody can use them.
func (e *Engine) removeOrphans(ctx context.Context, gl GitLab, op *operation, keep rekey.RunnerID) error {
	found, err := gl.FindByTag(ctx, op.id.Marker())
	if err != nil && rekey.KindOf(err) == rekey.KindUnavailable {
		return rekey.Errorf(rekey.KindUnavailable, "whether a record was created is unknown, and GitLab does not answer: %w", err).
			WithHint("run `rekey fix` again when GitLab answers: it looks for a runner with the tag %s first", op.id.Marker())
	}
	if err != nil {
		return errStop{
			reason: fmt.Sprintf("whether a record was created is unknown, and the user token may not look: %v", err),
			next: fmt.Sprintf("look for a runner with the tag %s in GitLab and delete it, or run `rekey fix` with a token that has read_api and manage_runner, or api",
				op.id.Marker()),
		}
	}
	for _, r := range found {
		if r.ID == keep {
			continue
		}
		if err := gl.DeleteRunner(ctx, r.ID); err != nil && rekey.KindOf(err) != rekey.KindNotFound {
			return err
		}
		e.tell(op, rekey.StepCreate, fmt.Sprintf("deleted runner %d: its token was lost with an answer", r.ID), nil)
	}
	return nil
}

// reset gives an existing record a new token. A reset whose answer was lost is
// not repeated: the record is replaced by a new one.
func (e *Engine) reset(ctx context.Context, op *operation) (any, string, error) {
	if op.unknown(rekey.StepReset) && !op.issued.Token.IsZero() {
		return op.issuedFacts(), op.issuedText("reset"), nil
	}
	gl, err := e.client(op)
	if err != nil {
		return nil, "", err
	}
	if op.unknown(rekey.StepReset) {
		return nil, "", e.replaceRecord(op)
	}
	if err := e.unmoved(ctx, op); err != nil {
		return nil, "", err
	}
	if err := op.journal.Write(rekey.StepReset, rekey.PhaseIntent, nil, nil); err != nil {
		return nil, "", err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), answerTimeout)
	defer cancel()
	issued, err := gl.ResetRunner(ctx, op.target.RunnerID, op.sealer(rekey.StepReset))
	if err != nil {
		return nil, "", err
	}
	issued.ID = op.target.RunnerID
	op.issued = e.stamped(issued)
	return op.issuedFacts(), op.issuedText("reset"), nil
}

func (e *Engine) replaceRecord(op *operation) error {
	if n := len(op.target.Attributes.Tags); n > tagLimit {
		return stop(fmt.Sprintf("take the section's token anew by hand: reset runner %d in GitLab, then `rekey fix --undo --run %s` and `rekey fix --token-file FILE`", op.target.RunnerID, runOf(op.id)),
			"the answer to the reset was lost, and no new record can replace runner %d: it has %d tags, and GitLab takes %d", op.target.RunnerID, n, tagLimit)
	}
	if err := op.journal.Write(rekey.StepReset, rekey.PhaseNote, "answer lost: replace the record", nil); err != nil {
		return err
	}
	op.replaced = true
	e.failures.Add(1) // a GitLab that loses its answers costs each runner its record
	e.tell(op, rekey.StepReset, "the answer to the reset was lost; the record is replaced by a new one instead of being reset again", nil)
	return errReplaced
}

// sealGiven seals a token that did not come from GitLab: one that a colleague
// made, or the file's own freed of what surrounds it.
func (e *Engine) sealGiven(_ context.Context, op *operation) (any, string, error) {
	if !op.issued.Token.IsZero() {
		return op.issuedFacts(), "the token is sealed", nil
	}
	token := e.Given
	if e.GivenFor != nil {
		token = e.GivenFor(op.target)
	}
	if op.resumed { // what is given now is meant for another section
		token = rekey.Token{}
	}
	if op.target.Remedy == rekey.RemedyRewrite {
		section, err := e.section(op, op.sites[0])
		if err != nil {
			return nil, "", err
		}
		token, _ = section.Token.Cleaned()
	}
	if !token.Lexical().Sendable {
		return nil, "", errFinal{rekey.Errorf(rekey.KindInvalid, "no usable token is at hand: %s", token).
			WithHint("give a glrt- token with --token-file FILE or on standard input with --token-file -")}
	}
	if err := op.journal.Write(rekey.StepSeal, rekey.PhaseReceived, nil, []byte(token.Reveal())); err != nil {
		return nil, "", err
	}
	op.issued = e.stamped(rekey.Issued{ID: op.givenID(), Token: token})
	return op.issuedFacts(), "the token is sealed", nil
}

func (op *operation) sealer(step rekey.StepKind) func([]byte) error {
	return func(raw []byte) error { return op.journal.Write(step, rekey.PhaseReceived, nil, raw) }
}

func (e *Engine) stamped(i rekey.Issued) rekey.Issued {
	if i.ObtainedAt.IsZero() {
		i.ObtainedAt = e.Clock.Now()
	}
	return i
}

func (op *operation) issuedFacts() issuedFacts {
	return issuedFacts{op.issued.ID, op.issued.Token.Fingerprint(), op.issued.ObtainedAt}
}

func (op *operation) issuedText(verb string) string {
	return fmt.Sprintf("runner %d %s, its token (%s) sealed", op.issued.ID, verb, op.issued.Token)
}

func (op *operation) newRunner() rekey.NewRunner {
	a := op.target.Attributes
	return rekey.NewRunner{Scope: a.Scope, Owner: a.Owner.ID, Description: a.Description,
		Tags: []string{op.id.Marker()}, MaximumTimeout: a.MaximumTimeout, MaintenanceNote: a.MaintenanceNote}
}
