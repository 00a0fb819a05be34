package rekey

import (
	"encoding/json"
	"time"
)

// Operation names one repair in the journal: eight letters or digits of the run,
// a dash, and the number of the target. Marker is derived from it.
type Operation string

// Marker is the tag by which a record that an operation created is found again.
func (o Operation) Marker() string { return "rekey-" + string(o) }

// Phase says when a journal record was written.
type Phase string

// The phases of a step. A step with an intent and no outcome is unknown:
// observe first, never repeat blindly.
const (
	PhaseIntent   Phase = "intent"   // on disk before the act
	PhaseReceived Phase = "received" // the raw answer, sealed before it is parsed
	PhaseOutcome  Phase = "outcome"  // on disk after the act
	PhaseNote     Phase = "note"     // a decision taken
)

// Record is one line of an operation's journal. Data holds no secret; Sealed is
// encrypted for the state directory's key.
type Record struct {
	Seq    int             `json:"seq"`
	At     time.Time       `json:"at"`
	Step   StepKind        `json:"step"`
	Phase  Phase           `json:"phase"`
	Failed string          `json:"failed,omitempty"` // outcome: why the act failed
	Data   json.RawMessage `json:"data,omitempty"`
	Sealed []byte          `json:"sealed,omitempty"`
}

// ProofLevel says how far a repair was proved.
type ProofLevel string

// The levels of proof, weakest first.
const (
	ProofNone     ProofLevel = "none"
	ProofVerified ProofLevel = "verified" // GitLab accepts the token
	ProofOnline   ProofLevel = "online"   // and its manager was seen after the change
	ProofJob      ProofLevel = "job"      // and a canary job ran on it
)

// AtLeast reports whether l is as strong as want; "" wants nothing.
func (l ProofLevel) AtLeast(want ProofLevel) bool {
	rank := map[ProofLevel]int{ProofVerified: 1, ProofOnline: 2, ProofJob: 3}
	return rank[l] >= rank[want]
}

// ParseProof accepts verify, online, job and the levels' own names.
func ParseProof(text string) (ProofLevel, error) {
	switch text {
	case "verify", string(ProofVerified):
		return ProofVerified, nil
	case string(ProofOnline), string(ProofJob):
		return ProofLevel(text), nil
	}
	return "", Errorf(KindInvalid, "%q is no proof", text).WithHint("use verify, online or job")
}

// Proof is what was seen after a repair.
type Proof struct {
	Level    ProofLevel `json:"level"`
	Evidence []Evidence `json:"evidence"`
	Missing  string     `json:"missing,omitempty"` // why the next level was not reached
	JobURL   string     `json:"job_url,omitempty"`
}

// Result is how the repair of one target ended.
type Result struct {
	Operation Operation `json:"operation"`
	Config    string    `json:"config"`
	Index     int       `json:"index"`
	Name      string    `json:"name"`
	Status    Status    `json:"status"`
	RunnerID  RunnerID  `json:"runner_id"`
	Proof     Proof     `json:"proof"`
	Reason    string    `json:"reason,omitempty"` // of a failure or a stop
	Next      string    `json:"next,omitempty"`
	Notes     []string  `json:"notes,omitempty"`
}

// Status is how the repair of one target ended.
type Status string

// The statuses of a Result.
const (
	StatusFixed    Status = "fixed"    // done, and proved by a job
	StatusVerified Status = "verified" // done; GitLab accepts the token; not proved by a job
	// StatusDelivered: the config has the new token; nothing could be asked of it.
	StatusDelivered Status = "delivered"
	StatusOpen      Status = "open"   // begun and not finished; the next fix resumes it
	StatusFailed    Status = "failed" // ended without a change that holds
)
