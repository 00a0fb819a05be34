package cli

import (
	"time"

	"rekey"
	"rekey/internal/app"
	"rekey/internal/remedy"
)

// operationDocument is one operation in JSON; docs/json-journal.md is its contract.
type operationDocument struct {
	Operation rekey.Operation  `json:"operation"`
	Run       string           `json:"run"`
	State     remedy.State     `json:"state"`
	Status    rekey.Status     `json:"status"`
	Proof     rekey.ProofLevel `json:"proof"`
	Remedy    rekey.Remedy     `json:"remedy"`
	Config    string           `json:"config"`
	Index     int              `json:"index"`
	Name      string           `json:"name"`
	URL       string           `json:"url"`
	GitLab    string           `json:"gitlab"`
	RunnerID  rekey.RunnerID   `json:"runner_id"`
	Causes    []rekey.Cause    `json:"causes"`
	Begun     time.Time        `json:"begun"`
	Last      time.Time        `json:"last"`
	Reached   rekey.StepKind   `json:"reached"`
	Done      int              `json:"steps_done"`
	Steps     int              `json:"steps"`
	Held      string           `json:"held"`
	Next      string           `json:"next"`
	Lines     []lineDocument   `json:"records,omitempty"`
}

type lineDocument struct {
	At     time.Time      `json:"at"`
	Step   rekey.StepKind `json:"step"`
	Phase  rekey.Phase    `json:"phase"`
	Failed bool           `json:"failed"`
	Sealed bool           `json:"sealed"`
	Text   string         `json:"text"`
}

func operationDocuments(ops []app.JournalSummary, in app.StateInput, lines bool) []operationDocument {
	list := []operationDocument{}
	for _, s := range ops {
		t := s.Target
		d := operationDocument{Operation: s.Operation, Run: s.Run, State: s.State, Status: s.Status, Proof: s.Proof, Remedy: t.Remedy, Config: t.Config, Index: t.Index,
			Name: t.Name, URL: t.URL, GitLab: t.GitLab, RunnerID: s.RunnerID, Causes: append([]rekey.Cause{}, t.Causes...), Begun: s.Begun, Last: s.Last,
			Reached: s.Reached, Done: s.Done, Steps: s.Steps, Held: s.Held, Next: nextCommand(s, in)}
		if lines {
			for _, l := range s.Lines {
				d.Lines = append(d.Lines, lineDocument(l))
			}
		}
		list = append(list, d)
	}
	return list
}

func journalJSON(dir string, ops []app.JournalSummary, in app.StateInput, lines bool) any {
	return struct {
		Schema     string              `json:"schema"`
		StateDir   string              `json:"state_dir"`
		Operations []operationDocument `json:"operations"`
	}{"rekey.journal/1", dir, operationDocuments(ops, in, lines)}
}

func journalPruneJSON(p app.JournalPrune, in app.StateInput, removed bool) any {
	return struct {
		Schema   string              `json:"schema"`
		StateDir string              `json:"state_dir"`
		Removed  bool                `json:"removed"`
		Gone     []operationDocument `json:"gone"`
		Stay     []operationDocument `json:"stay"`
	}{"rekey.journal-prune/1", p.Dir, removed, operationDocuments(p.Gone, in, false), operationDocuments(p.Stay, in, false)}
}
