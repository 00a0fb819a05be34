package remedy

import (
	"encoding/json"
	"slices"
	"time"

	"rekey"
)

// operation is the repair of one target: what its journal says so far. Everything
// in it can be read back from the journal.
type operation struct {
	id      rekey.Operation
	target  rekey.Target
	journal *Journal

	issued              rekey.Issued // the new token, once received and read
	sites               []*site      // where the token goes
	tagged              *tagging     // the canary's tag was put on an existing record
	replaced            bool         // the reset's answer was lost: a new record replaces the old
	resumed             bool         // read back from a journal: an earlier process began it
	read                int          // how many records were read back
	proof               rekey.Proof
	settled             settled
	ended               bool
	awaited             time.Time        // until when its manager is waited for
	seen                []rekey.SystemID // on the record that it made
	unproved            string           // why the canary that was to prove an overlap did not
	idle                bool             // GitLab said with the pause that no job runs on the old record
	handedOver, swapped time.Time        // when this process did
	later               bool             // a later rekey made it, by a remedy that is not known here
	restored            bool             // an undo has put the config back: nothing goes forward any more
	vain                bool             // this process waited for agents, and nobody was seen
	late                bool             // the store could not be written after a reset: the config goes before it
	workload            Workload         // of a target in a cluster, once opened
}

// delivery is what the deliver step says in the journal. The digests are keyed
// with nothing: they name file images, not tokens.
type delivery struct {
	Path      string            `json:"path"`
	Site      int               `json:"site,omitempty"` // which of the operation's sections
	Before    string            `json:"before"`
	Image     *image            `json:"image,omitempty"` // nil: what is sealed is the whole image
	After     string            `json:"after"`
	Edits     int               `json:"edits,omitempty"` // how many were made in the one replacement; 0 of a journal that does not say
	How       string            `json:"how,omitempty"`
	RunnerID  rekey.RunnerID    `json:"runner_id,omitempty"`
	NewToken  rekey.Fingerprint `json:"new_token,omitempty"`
	OldToken  rekey.Fingerprint `json:"old_token,omitempty"`
	Installed bool              `json:"installed,omitempty"` // the file did not exist before
}

// tagging remembers the tags of an existing record while it wears the canary's.
type tagging struct {
	Tags []string `json:"tags"`
}

// issuedFacts is an Issued without its token, for the journal's plain part.
type issuedFacts struct {
	RunnerID   rekey.RunnerID    `json:"runner_id"`
	Token      rekey.Fingerprint `json:"token"`
	ObtainedAt time.Time         `json:"obtained_at,omitzero"` // by the server's clock
}

// resultFacts is the end of an operation.
type resultFacts struct {
	Status   rekey.Status   `json:"status"`
	RunnerID rekey.RunnerID `json:"runner_id"`
	Proof    rekey.Proof    `json:"proof"`
	Undone   bool           `json:"undone,omitempty"`
}

// replay reads an operation back from its journal.
func (e *Engine) replay(j *Journal) (*operation, error) {
	op := &operation{id: j.id, journal: j, resumed: true, read: len(j.Records())}
	for _, r := range j.Records() {
		if err := e.replayRecord(op, r); err != nil {
			return nil, err
		}
	}
	return op, nil
}

func (e *Engine) replayRecord(op *operation, r rekey.Record) error {
	switch {
	case r.Step == rekey.StepBegin:
		err := json.Unmarshal(r.Data, &op.target)
		op.later = err == nil && len(rekey.StepsOf(op.target.Remedy)) == 0
		if op.later && !op.journal.ended() {
			return rekey.Errorf(rekey.KindConflict, "journal %s is of a later rekey: this one does not know the remedy %q", op.id, op.target.Remedy).
				WithHint("finish it with that rekey, or give it up there with `rekey fix --abort`")
		}
		e.opened(op.target)
		op.makeSites()
		return err
	case r.Step == rekey.StepEnd && r.Phase == rekey.PhaseOutcome:
		var end resultFacts
		op.ended = true
		err := json.Unmarshal(r.Data, &end)
		op.proof = end.Proof
		return err
	case r.Step == rekey.StepEnd:
		op.restored = true
	case r.Step == rekey.StepStore && r.Phase == rekey.PhaseNote:
		op.late = true
	case r.Step == rekey.StepReset && r.Phase == rekey.PhaseNote:
		op.replaced, op.issued = true, rekey.Issued{}
		return nil
	case r.Phase == rekey.PhaseReceived:
		return e.replayReceived(op, r)
	case r.Step == rekey.StepDeliver && r.Phase == rekey.PhaseIntent:
		return replayDelivery(op, r)
	case r.Step == rekey.StepProve && r.Phase == rekey.PhaseNote:
		return json.Unmarshal(r.Data, &op.tagged)
	case r.Step == rekey.StepProve && r.Phase == rekey.PhaseOutcome && r.Failed == "":
		return json.Unmarshal(r.Data, &op.proof)
	case r.Step == rekey.StepSettle && r.Phase == rekey.PhaseOutcome && len(r.Data) > 0:
		return json.Unmarshal(r.Data, &op.settled)
	case r.Phase == rekey.PhaseOutcome && r.Failed == "" && (r.Step == rekey.StepCreate || r.Step == rekey.StepReset):
		return replayIssued(op, r)
	}
	return nil
}

// replayReceived opens a sealed answer. One that cannot be parsed (the connection
// broke in the middle) leaves the token unknown; resume decides.
func (e *Engine) replayReceived(op *operation, r rekey.Record) error {
	raw, err := op.journal.unseal(r)
	if err != nil {
		return err
	}
	if r.Step == rekey.StepSeal {
		op.issued = rekey.Issued{ID: op.givenID(), Token: rekey.NewToken(string(raw)), ObtainedAt: r.At}
		return nil
	}
	issued, err := e.ParseIssued(raw)
	if err != nil {
		return nil //nolint:nilerr // unreadable: the step stays unknown
	}
	issued.ObtainedAt = r.At
	if r.Step == rekey.StepReset {
		issued.ID = op.target.RunnerID
	}
	op.issued = issued
	return nil
}

// replayIssued takes the server's time of the token from the step's outcome: the
// record that holds the token itself has the local one.
func replayIssued(op *operation, r rekey.Record) error {
	var facts issuedFacts
	if len(r.Data) > 0 {
		if err := json.Unmarshal(r.Data, &facts); err != nil {
			return err
		}
	}
	if !facts.ObtainedAt.IsZero() && !op.issued.Token.IsZero() {
		op.issued.ObtainedAt = facts.ObtainedAt
	}
	return nil
}

func replayDelivery(op *operation, r rekey.Record) error {
	d := &delivery{}
	if err := json.Unmarshal(r.Data, d); err != nil {
		return err
	}
	if d.Site < 0 || d.Site >= len(op.sites) {
		return rekey.Errorf(rekey.KindInternal, "journal %s tells of a section %d that its target has not", op.id, d.Site)
	}
	op.sites[d.Site].delivered = d
	if op.given() {
		op.issued.ID = d.RunnerID
	}
	return nil
}

// given reports whether the token came from the operator: which record it is of
// is known only once GitLab has told, and others may use that record too.
func (op *operation) given() bool {
	return op.target.Remedy == rekey.RemedyGiven || op.appendsGiven()
}

func (op *operation) givenID() rekey.RunnerID {
	if op.given() {
		return 0
	}
	return op.target.RunnerID
}

// steps returns what this operation does, in order.
func (op *operation) steps() []rekey.StepKind {
	t := op.target
	if op.appendsGiven() {
		t.Remedy = rekey.RemedyGiven
	}
	if op.replaced {
		t.Remedy = rekey.RemedyCreate
	}
	order := t.Order()
	if op.replaced {
		order = op.replacing(order)
	}
	if op.late {
		order = storeLast(order)
	}
	return order
}

// replacing are the steps by which a new record takes the place of one whose reset
// was not answered.
func (op *operation) replacing(create []rekey.StepKind) []rekey.StepKind {
	if op.target.Agents { // who uses the old one elsewhere is waited for
		return slices.Concat(create, []rekey.StepKind{rekey.StepHandover, rekey.StepRetire})
	}
	return slices.Concat([]rekey.StepKind{rekey.StepCensus}, create, []rekey.StepKind{rekey.StepRetire})
}

// storeLast moves the store behind what makes the config's own gitlab-runner work.
func storeLast(order []rekey.StepKind) []rekey.StepKind {
	order = slices.DeleteFunc(order, func(s rekey.StepKind) bool { return s == rekey.StepStore })
	return slices.Insert(order, slices.Index(order, rekey.StepProve), rekey.StepStore)
}

// done reports whether the last record of a step is a good outcome. A census of
// an earlier process is none: who is online now must be counted before a reset.
func (op *operation) done(step rekey.StepKind) bool {
	last := op.last(step)
	if step == rekey.StepCensus && op.last(rekey.StepReset) == nil && last != nil && last.Seq <= op.read {
		return false
	}
	return last != nil && last.Phase == rekey.PhaseOutcome && last.Failed == ""
}

// unknown reports whether a step was begun and its end is not in the journal.
func (op *operation) unknown(step rekey.StepKind) bool {
	last := op.last(step)
	return last != nil && (last.Phase == rekey.PhaseIntent || last.Phase == rekey.PhaseReceived)
}

func (op *operation) last(step rekey.StepKind) *rekey.Record {
	records := op.journal.Records()
	for i := range slices.Backward(records) {
		if records[i].Step == step {
			return &records[i]
		}
	}
	return nil
}

// runnerID returns the record that the section refers to after the repair; 0 of
// a token that was given until GitLab has told whose it is.
func (op *operation) runnerID() rekey.RunnerID {
	if op.issued.ID != 0 || op.given() {
		return op.issued.ID
	}
	return op.target.RunnerID
}
