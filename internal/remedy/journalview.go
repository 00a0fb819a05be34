package remedy

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"slices"
	"time"

	"rekey"
)

// State is how far an operation is.
type State string

// The states of an operation.
const (
	StateUnfinished State = "unfinished" // the next fix resumes it
	StateUndoing    State = "undoing"    // its config was put back, what is left is at GitLab
	StateUndone     State = "undone"
	StateEnded      State = "ended"
)

// Summary is what an operation's journal says in its plain part: nothing is
// unsealed for it, and it holds no token.
type Summary struct {
	Operation   rekey.Operation
	Run         string
	Target      rekey.Target
	RunnerID    rekey.RunnerID // of the section after the repair, as far as it is known
	Begun, Last time.Time
	State       State
	Status      rekey.Status // of one that ended
	Proof       rekey.ProofLevel
	Reached     rekey.StepKind // the last step that the journal speaks of
	Done, Steps int            // of the steps planned
	Held        string         // why its journal must stay, "" when it may go once it is old
	Lines       []Line

	sealedAt time.Time // when its last token was sealed, zero without one
}

// Line is one record of a journal in words.
type Line struct {
	At     time.Time
	Step   rekey.StepKind
	Phase  rekey.Phase
	Failed bool
	Sealed bool // something is sealed in it
	Text   string
}

// ReadStore opens a state directory for reading alone: it makes nothing, needs no
// key and takes no lock. A directory without journals is of kind not found.
func ReadStore(dir string) (*Store, error) {
	s := &Store{dir: dir}
	if _, err := os.Stat(s.operations()); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, rekey.Errorf(rekey.KindNotFound, "%s holds no journal", dir).
				WithHint("journals of another user or place: name their directory with --state-dir")
		}
		return nil, rekey.Errorf(rekey.KindDenied, "the journals in %s cannot be read: %w", dir, err).WithHint("run rekey as the user whose journals they are, or with sudo")
	}
	return s, nil
}

// Summaries returns what the journals say, oldest run first. Unfinished ones of a
// process that is at work now are among them.
func (s *Store) Summaries() ([]Summary, error) {
	ids, err := s.List()
	if err != nil {
		return nil, err
	}
	var all []Summary
	for _, id := range ids {
		j, err := s.Open(id)
		if err != nil {
			return nil, err
		}
		if len(j.Records()) == 0 {
			continue
		}
		sum, err := summarize(j)
		if err != nil {
			return nil, err
		}
		all = append(all, sum)
	}
	slices.SortStableFunc(all, func(a, b Summary) int {
		if a.Run == b.Run {
			return numberOf(a.Operation) - numberOf(b.Operation)
		}
		return a.Begun.Compare(b.Begun) // names of runs tell the second alone
	})
	release(all)
	return all, nil
}

func summarize(j *Journal) (Summary, error) {
	records := j.Records()
	s := Summary{Operation: j.id, Run: runOf(j.id), Begun: records[0].At, Last: records[len(records)-1].At, State: StateUnfinished}
	op := &operation{id: j.id, journal: j}
	if records[0].Step == rekey.StepBegin {
		if err := json.Unmarshal(records[0].Data, &op.target); err != nil {
			return s, rekey.Errorf(rekey.KindInternal, "journal %s: %w", j.id, err)
		}
	}
	s.Target, s.RunnerID = op.target, op.target.RunnerID
	for _, r := range records {
		s.read(r)
		s.Lines = append(s.Lines, line(op.target, r))
	}
	planned := op.steps()
	s.Steps = len(planned)
	for _, k := range planned {
		if last := op.last(k); last != nil && last.Phase == rekey.PhaseOutcome && last.Failed == "" {
			s.Done++
		}
	}
	s.Held = s.held(records)
	return s, nil
}

// read takes what one record adds.
func (s *Summary) read(r rekey.Record) {
	if r.Step != rekey.StepBegin && r.Step != rekey.StepEnd {
		s.Reached = r.Step
	}
	switch {
	case r.Phase == rekey.PhaseReceived:
		s.sealedAt = r.At
	case r.Step == rekey.StepEnd && r.Phase == rekey.PhaseNote:
		s.State = StateUndoing
	case r.Step == rekey.StepEnd && r.Phase == rekey.PhaseOutcome:
		var end resultFacts
		_ = json.Unmarshal(r.Data, &end)
		s.State, s.Status = StateEnded, end.Status
		if end.Undone {
			s.State = StateUndone
		}
		if end.RunnerID != 0 {
			s.RunnerID = end.RunnerID
		}
		if end.Proof.Level != "" {
			s.Proof = end.Proof.Level
		}
	case r.Phase == rekey.PhaseOutcome && r.Failed == "":
		var facts issuedFacts
		if r.Step == rekey.StepCreate && json.Unmarshal(r.Data, &facts) == nil && facts.RunnerID != 0 {
			s.RunnerID = facts.RunnerID
		}
	}
}

// held says why the journal must stay: it is not finished, or the token sealed in
// it may be the only copy of one that a record has.
func (s *Summary) held(records []rekey.Record) string {
	if s.State == StateUnfinished || s.State == StateUndoing {
		return "it is not finished"
	}
	sealed := slices.IndexFunc(records, func(r rekey.Record) bool { return r.Phase == rekey.PhaseReceived })
	if sealed < 0 || s.State == StateUndone && records[sealed].Step == rekey.StepCreate { // the record went with the undo
		return ""
	}
	for _, r := range records[sealed:] {
		if r.Phase == rekey.PhaseReceived {
			continue
		}
		var proof rekey.Proof
		proves := r.Step == rekey.StepProve && r.Phase == rekey.PhaseOutcome && r.Failed == "" && json.Unmarshal(r.Data, &proof) == nil
		if proves && proof.Level != rekey.ProofNone && proof.Level != "" && s.State != StateUndone {
			return ""
		}
	}
	return "the token sealed in it is not proved to be delivered"
}

// release lets go of tokens that a later one of the same record has replaced.
func release(all []Summary) {
	type record struct {
		url string
		id  rekey.RunnerID
	}
	newest := map[record]time.Time{}
	for _, s := range all {
		k := record{s.Target.URL, s.RunnerID}
		if s.RunnerID != 0 && s.Target.Remedy == rekey.RemedyReset && s.sealedAt.After(newest[k]) {
			newest[k] = s.sealedAt
		}
	}
	for i, s := range all {
		over := s.State == StateEnded || s.State == StateUndone
		if over && !s.sealedAt.IsZero() && newest[record{s.Target.URL, s.RunnerID}].After(s.sealedAt) {
			all[i].Held = ""
		}
	}
}

// Prunable splits the runs into those whose journals may go, because every one of
// their operations ended longer than keep ago and holds nothing that is still
// needed, and the others that are old enough but for which Held says why they
// stay. Within a run an image may be told by its difference from another's, so
// runs go as a whole.
func Prunable(all []Summary, now time.Time, keep time.Duration) (gone, stay []Summary) {
	young, held := map[string]bool{}, map[string]bool{}
	for _, s := range all {
		if now.Sub(s.Last) <= keep {
			young[s.Run] = true
		}
		if s.Held != "" {
			held[s.Run] = true
		}
	}
	for _, s := range all {
		switch {
		case young[s.Run]:
		case held[s.Run]:
			if s.Held == "" {
				s.Held = "another operation of its run stays"
			}
			stay = append(stay, s)
		default:
			gone = append(gone, s)
		}
	}
	return gone, stay
}

// Remove deletes the journals of operations, and with them what is sealed there.
// The caller holds the lock, and took the list from Prunable under it.
func (s *Store) Remove(ids []rekey.Operation) (removed int, err error) {
	for _, id := range ids {
		if err := s.remove(id); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return removed, rekey.Errorf(rekey.KindUnavailable, "the journal %s cannot be removed: %w", id, err)
		}
		removed++
	}
	return removed, nil
}
