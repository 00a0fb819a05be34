package cli

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"rekey"
	"rekey/internal/app"
)

// fixReport is what -o json prints of a fix.
type fixReport struct {
	Schema  string         `json:"schema"`
	Digest  string         `json:"digest"`
	Plan    *rekey.Plan    `json:"plan"`
	Results []rekey.Result `json:"results"`
}

// planText shows a plan: what is done to each section, what is left and why.
func (c *command) planText(plan rekey.Plan) {
	p := c.paper()
	if len(plan.Targets) == 0 && len(plan.Left) == 0 {
		p.line("Nothing to repair.")
		return
	}
	if len(plan.Targets) > 0 {
		p.line("%s", p.bold(fmt.Sprintf("Plan %s", plan.Digest())))
	}
	for i, t := range plan.Targets {
		p.line("%2d. %s  %s  %s", i+1, p.bold(sectionName(t.Name, t.Index)), p.red(joinCauses(t.Causes)), p.faint(t.Config))
		for _, also := range t.Also {
			p.line("    and %s", p.faint(also.Config))
		}
		var steps []string
		for _, s := range t.Steps {
			steps = append(steps, s.Text)
		}
		p.wrapped("    ", strings.Join(steps, " → "))
		for _, n := range t.Notes {
			p.wrapped("    note: ", n)
		}
	}
	if len(plan.Targets) > 0 {
		p.wrapped("", "New tokens mean cold caches: gitlab-runner keys them by the token.")
	}
	if len(plan.Left) == 0 {
		return
	}
	p.line("%s", p.bold("Left alone"))
	for _, l := range plan.Left {
		p.line("  %s  %s  %s", p.bold(sectionName(l.Name, l.Index)), p.yellow(joinCauses(l.Causes)), p.faint(l.Config))
		p.wrapped("    why   ", l.Reason)
		if l.Next != "" {
			p.wrapped("    next  ", l.Next)
		}
	}
}

// besides leaves out of what is left alone the sections whose resumption has just
// been told of: they are still open, and once is enough.
func besides(left []rekey.Left, resumed []rekey.Result) []rekey.Left {
	return slices.DeleteFunc(left, func(l rekey.Left) bool {
		config := l.Config
		if abs, err := filepath.Abs(config); err == nil && !strings.Contains(config, "://") {
			config = abs // as journals name it
		}
		return slices.ContainsFunc(resumed, func(r rekey.Result) bool {
			return r.Status == rekey.StatusOpen && r.Config == config && r.Name == l.Name
		})
	})
}

// sectionName is what a section is called in text: by its place where it has no
// name.
func sectionName(name string, index int) string {
	return cmp.Or(name, fmt.Sprintf("section %d", index))
}

func joinCauses(causes []rekey.Cause) string {
	var words []string
	for _, c := range causes {
		words = append(words, string(c))
	}
	return strings.Join(words, ", ")
}

// fixed shows the results and chooses the exit code: 4 when some targets did not
// come to their end, 1 when none did, 3 when all did and an error is left alone.
func (c *command) fixed(r fixReport, f fixFlags) error {
	if r.Schema == "" {
		r.Schema = "rekey.fix/1"
	}
	if f.output == "json" {
		r.Results = whole(r.Results)
		if err := c.json(r); err != nil {
			return err
		}
	} else {
		c.results(r.Results, f.proof)
	}
	bad := 0
	for _, res := range r.Results {
		if f.proof.Short(res.Proof) {
			bad++
			continue
		}
		if res.Status != rekey.StatusFixed && res.Status != rekey.StatusVerified {
			bad++
		}
	}
	switch {
	case bad == 0 && !f.dryRun && r.leavesErrors():
		return exitError(exitFindings)
	case bad == 0:
		return nil
	case bad < len(r.Results):
		return exitError(exitPartial)
	}
	return exitError(exitFailed)
}

// whole leaves no list null and no level empty.
func whole(results []rekey.Result) []rekey.Result {
	list := append([]rekey.Result{}, results...)
	for i := range list {
		p := &list[i].Proof
		p.Level = cmp.Or(p.Level, rekey.ProofNone)
		if p.Evidence == nil {
			p.Evidence = []rekey.Evidence{}
		}
	}
	return list
}

func (r fixReport) leavesErrors() bool {
	return r.Plan != nil && slices.ContainsFunc(r.Plan.Left, func(l rekey.Left) bool { return l.Severity.AtLeast(rekey.Failing) })
}

func (c *command) results(results []rekey.Result, proof app.ProofInput) {
	p := c.paper()
	for _, r := range results {
		switch r.Status {
		case rekey.StatusFixed:
			p.line("%s %s  fixed: a job ran on runner %d  %s", p.green("✔"), p.bold(sectionName(r.Name, r.Index)), r.RunnerID, p.faint(r.Proof.JobURL))
		case rekey.StatusVerified, rekey.StatusDelivered:
			mark := p.green("✔")
			if proof.Short(r.Proof) {
				mark = p.yellow("!")
			}
			p.wrapped(mark+" "+p.bold(sectionName(r.Name, r.Index))+"  ", string(r.Status)+provedText(r.Proof, proof))
		default:
			p.wrapped(p.red("✘")+" "+p.bold(sectionName(r.Name, r.Index))+"  ", string(r.Status)+": "+c.app.Scrub(r.Reason))
		}
		if r.Next != "" {
			p.wrapped("     next ", c.app.Scrub(r.Next))
		}
	}
}

// provedText says how far the proof came, and against what was asked.
func provedText(p rekey.Proof, asked app.ProofInput) string {
	switch {
	case asked.Level == "":
		return ", not proved by a job: " + p.Missing
	case asked.Short(p):
		return fmt.Sprintf(", but not proved as asked (%s): %s", asked.Level, p.Missing)
	case p.Level == rekey.ProofOnline:
		return ": GitLab takes the token, and its manager was seen after the change"
	}
	return ": GitLab takes the token"
}
