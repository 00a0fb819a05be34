package cli

import (
	"rekey"
	"rekey/internal/diagnose"
	"rekey/internal/explain"
)

// explanationDocument is one explanation in JSON; docs/guides/explain.md is the
// contract.
type explanationDocument struct {
	Line         string                `json:"line"`
	Row          int                   `json:"row"`
	ID           string                `json:"id"`
	Versions     string                `json:"versions"`
	Means        string                `json:"means"`
	TokenProblem string                `json:"token_problem"` // yes, no, unclear
	Fine         bool                  `json:"fine"`
	Causes       []causeDocument       `json:"causes"`
	Remedy       string                `json:"remedy"`
	Next         string                `json:"next"`
	Note         string                `json:"note,omitempty"`
	Summarises   bool                  `json:"summarises"`
	Fields       fieldsDocument        `json:"fields"`
	Count        int                   `json:"count"`
	First        occurrenceDocument    `json:"first"`
	Last         occurrenceDocument    `json:"last"`
	Consequences []consequenceDocument `json:"consequences"`
}

type causeDocument struct {
	Cause   rekey.Cause `json:"cause"`
	Meaning string      `json:"meaning,omitempty"`
	Docs    string      `json:"docs,omitempty"`
}

type fieldsDocument struct {
	Level         string `json:"level,omitempty"`
	Runner        string `json:"runner,omitempty"`
	RunnerName    string `json:"runner_name,omitempty"`
	Status        string `json:"status,omitempty"`
	URL           string `json:"url,omitempty"`
	CorrelationID string `json:"correlation_id,omitempty"`
}

type occurrenceDocument struct {
	Line int    `json:"line"`
	Time string `json:"time,omitempty"`
}

type consequenceDocument struct {
	ID    string `json:"id"`
	Row   int    `json:"row"`
	Line  string `json:"line"`
	Count int    `json:"count"`
}

type explainSummaryDocument struct {
	Lines        int      `json:"lines"`
	Recognised   int      `json:"recognised"`
	Token        int      `json:"token_problems"`
	NotToken     int      `json:"not_token_problems"`
	Unclear      int      `json:"unclear"`
	Fine         int      `json:"fine"`
	Unrecognised int      `json:"unrecognised_errors"`
	Samples      []string `json:"unrecognised_samples"`
	Cut          int      `json:"lines_cut"`
	Dropped      int      `json:"lines_not_kept_apart"`
}

func explainDocument(sum explain.Summary) any {
	list := []explanationDocument{}
	for _, e := range sum.Explanations {
		list = append(list, explanationJSON(e))
	}
	return struct {
		Schema       string                 `json:"schema"`
		Explanations []explanationDocument  `json:"explanations"`
		Summary      explainSummaryDocument `json:"summary"`
	}{"rekey.explain/1", list, explainSummaryDocument{
		Lines: sum.Lines, Recognised: sum.Recognised, Token: len(sum.Of(explain.OnToken)), NotToken: len(sum.Of(explain.NotToken)),
		Unclear: len(sum.Of(explain.Unclear)), Fine: len(sum.Of(explain.Fine)), Unrecognised: sum.Unrecognised,
		Samples: append([]string{}, sum.Samples...), Cut: sum.Cut, Dropped: sum.Dropped,
	}}
}

func explanationJSON(e explain.Explanation) explanationDocument {
	d := explanationDocument{
		Line: e.Line, Row: e.Row, ID: e.ID, Versions: e.Versions, Means: e.Means, Fine: e.Bearing == explain.Fine, Causes: []causeDocument{},
		TokenProblem: map[explain.Bearing]string{explain.OnToken: "yes", explain.Unclear: "unclear", explain.NotToken: "no", explain.Fine: "no"}[e.Bearing],
		Remedy:       e.Remedy, Next: e.Next, Note: e.Note, Summarises: e.Summarises, Fields: fieldsDocument(e.Fields),
		Count: e.Count, First: occurrenceDocument(e.First), Last: occurrenceDocument(e.Last), Consequences: []consequenceDocument{},
	}
	for _, cause := range e.Causes {
		doc := causeDocument{Cause: cause}
		if entry, ok := diagnose.LookupEntry(cause); ok {
			doc.Meaning, doc.Docs = entry.Meaning, entry.Docs()
		}
		d.Causes = append(d.Causes, doc)
	}
	for _, q := range e.Consequences {
		d.Consequences = append(d.Consequences, consequenceDocument(q))
	}
	return d
}
