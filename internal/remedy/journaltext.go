package remedy

import (
	"encoding/json"
	"fmt"
	"strings"

	"rekey"
)

// line puts one record into words. What it does not know (a step of a later
// rekey) it names by its kind.
func line(t rekey.Target, r rekey.Record) Line {
	l := Line{At: r.At, Step: r.Step, Phase: r.Phase, Failed: r.Failed != "", Sealed: len(r.Sealed) > 0}
	switch r.Phase {
	case rekey.PhaseIntent:
		l.Text = "about to: " + planned(t, r.Step) + intentDetail(r)
	case rekey.PhaseReceived:
		l.Text = received(r.Step)
	case rekey.PhaseNote:
		l.Text = noteText(t, r)
	default:
		l.Text = outcomeText(t, r)
	}
	return l
}

// planned is the step as the plan had it.
func planned(t rekey.Target, k rekey.StepKind) string {
	for _, s := range t.Steps {
		if s.Kind == k {
			return s.Text
		}
	}
	if text := describe(t); len(text) > 0 {
		for _, s := range text {
			if s.Kind == k {
				return s.Text
			}
		}
	}
	if k == rekey.StepRetire {
		return fmt.Sprintf("delete runner %d, which was replaced", t.RunnerID)
	}
	return string(k)
}

func intentDetail(r rekey.Record) string {
	switch r.Step {
	case rekey.StepCreate:
		var m markerFacts
		if json.Unmarshal(r.Data, &m) == nil && m.Marker != "" {
			return "; it wears the tag " + m.Marker + " meanwhile"
		}
	case rekey.StepDeliver:
		var d delivery
		if json.Unmarshal(r.Data, &d) == nil && d.Path != "" && d.Before == "" && !d.Installed {
			return "; the token from before is sealed"
		}
		if d.Path != "" {
			return " in " + d.Path + "; the file from before is sealed"
		}
	case rekey.StepStore:
		return "; what stands there is sealed"
	}
	return ""
}

func received(k rekey.StepKind) string {
	if k == rekey.StepSeal {
		return "the token was sealed"
	}
	return "GitLab's answer arrived, and was sealed with the token in it before anything else"
}

func noteText(t rekey.Target, r rekey.Record) string {
	var tagged tagging
	switch {
	case r.Step == rekey.StepBegin:
		return fmt.Sprintf("begun: %s of section %q in %s, for %s", t.Remedy, t.Name, t.Config, t.URL)
	case r.Step == rekey.StepEnd:
		return "the config was put back; nothing goes forward any more"
	case r.Step == rekey.StepStore:
		return "the store could not be written after the reset: the config gets the token before it"
	case r.Step == rekey.StepReset:
		return "the answer to the reset was lost: the record is replaced by a new one instead"
	case r.Step == rekey.StepProve && json.Unmarshal(r.Data, &tagged) == nil:
		return fmt.Sprintf("the record's own tags (%s) are noted before the canary's is added", strings.Join(tagged.Tags, ", "))
	}
	return string(r.Step) + ": noted"
}

func outcomeText(t rekey.Target, r rekey.Record) string {
	if r.Failed != "" {
		return "failed: " + planned(t, r.Step) + ": " + r.Failed
	}
	if r.Step == rekey.StepEnd {
		return endText(r)
	}
	return "done: " + planned(t, r.Step) + outcomeDetail(r)
}

func endText(r rekey.Record) string {
	var end resultFacts
	_ = json.Unmarshal(r.Data, &end)
	switch {
	case end.Undone:
		return "over: undone"
	case end.Proof.Level == "" || end.Status == rekey.StatusFailed:
		return "over: " + string(end.Status)
	}
	return fmt.Sprintf("over: %s, proof: %s", end.Status, end.Proof.Level)
}

func outcomeDetail(r rekey.Record) string {
	switch r.Step {
	case rekey.StepCreate, rekey.StepReset:
		var f issuedFacts
		if json.Unmarshal(r.Data, &f) == nil && f.RunnerID != 0 {
			return fmt.Sprintf(" (runner %d, token with fingerprint %s)", f.RunnerID, f.Token)
		}
	case rekey.StepDeliver:
		var d delivery
		if json.Unmarshal(r.Data, &d) == nil && d.How != "" {
			return fmt.Sprintf(" (%s)", d.How)
		}
	case rekey.StepStore:
		var d deposited
		if json.Unmarshal(r.Data, &d) == nil && d.Version != "" {
			return fmt.Sprintf(" (version %s)", d.Version)
		}
	case rekey.StepReload:
		var how string
		if json.Unmarshal(r.Data, &how) == nil && how != "" {
			return fmt.Sprintf(" (%s)", how)
		}
	case rekey.StepProve:
		var p rekey.Proof
		if json.Unmarshal(r.Data, &p) == nil && p.Level != "" {
			return proofDetail(p)
		}
	case rekey.StepSettle:
		var s settled
		if json.Unmarshal(r.Data, &s) == nil && len(s.Missed)+len(s.Unassigned) > 0 {
			return ", but for: " + strings.Join(append(s.Missed, s.Unassigned...), "; ")
		}
	}
	return ""
}

func proofDetail(p rekey.Proof) string {
	text := fmt.Sprintf(" (reached: %s", p.Level)
	if p.Missing != "" {
		text += "; no further because " + p.Missing
	}
	return text + ")"
}
