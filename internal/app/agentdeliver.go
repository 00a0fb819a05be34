package app

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"rekey"
	"rekey/internal/agent"
	"rekey/internal/remedy"
)

// deliver is the repair of sections with given tokens: journalled, sealed, edited,
// reloaded and verified by the engine that `rekey fix --token-file` uses, which holds
// the state directory's lock only meanwhile. What an earlier process left open is
// finished first.
func (k *keeper) deliver(ctx context.Context, all []agent.Delivery) []agent.Delivered {
	done := make([]agent.Delivered, len(all))
	failed := func(err error) []agent.Delivered {
		for i := range done {
			done[i].Err = err
		}
		return done
	}
	if len(all) == 0 && !k.journalled() {
		return nil
	}
	proof := ProofInput{Reload: k.in.Reload, Level: string(rekey.ProofVerified)} // the loop looks at the file again by itself
	e, unlock, err := k.app.engine(k.net, k.in.State, proof, k.progress)
	if err != nil {
		if len(all) == 0 {
			k.in.Report(agent.Event{Kind: agent.EventNote, Text: "what an earlier run left open is not resumed yet: " + err.Error(), Next: rekey.HintOf(err)})
		}
		return failed(err)
	}
	defer unlock()
	e.Probe, e.Options.AskOnce = k.probe, true
	resumed, err := e.ResumeGiven(ctx, k.paths)
	if err != nil {
		return failed(err)
	}
	k.tellResumed(resumed)
	k.apply(ctx, e, all, done)
	return done
}

// journalled reports whether there is a journal at all.
func (k *keeper) journalled() bool {
	_, err := os.Stat(filepath.Join(k.in.State.Dir, "operations"))
	return !errors.Is(err, fs.ErrNotExist)
}

// probe asks as the agent was told to.
func (k *keeper) probe(ctx context.Context, q remedy.Question) rekey.Answer {
	q.Touch = q.Touch || k.in.Touch
	return k.net.ask(ctx, q)
}

// progress keeps the watchdog quiet while something is under way.
func (k *keeper) progress(remedy.Event) { k.alive() }

func (k *keeper) tellResumed(results []rekey.Result) {
	for _, r := range results {
		text := "finished what an earlier run began (" + string(r.Operation) + "): " + string(r.Status)
		if r.Reason != "" {
			text += ": " + r.Reason
		}
		k.in.Report(agent.Event{Kind: agent.EventNote, Config: r.Config, Section: r.Name, Text: text, Next: r.Next})
	}
}

// apply delivers to the sections that are still as they were judged.
func (k *keeper) apply(ctx context.Context, e *remedy.Engine, all []agent.Delivery, done []agent.Delivered) {
	type place struct {
		config string
		index  int
	}
	tokens := map[place]rekey.Token{}
	var plan rekey.Plan
	var of []int
	for i, d := range all {
		if !k.unmoved(d) {
			done[i].Moved = true
			continue
		}
		tokens[place{d.Config, d.Index}] = d.New
		t := rekey.Target{Config: d.Config, Index: d.Index, Name: d.Name, URL: d.URL, RunnerID: d.RunnerID, Before: d.Token.Fingerprint(),
			Causes: []rekey.Cause{}, Remedy: rekey.RemedyGiven, From: d.From.String()}
		t.Steps = stepsFrom(t.From)
		plan.Targets, of = append(plan.Targets, t), append(of, i)
	}
	if len(of) == 0 {
		return
	}
	e.GivenFor = func(t rekey.Target) rekey.Token { return tokens[place{t.Config, t.Index}] }
	results, err := e.Apply(ctx, plan)
	for n, i := range of {
		if err != nil {
			done[i].Err = err
			continue
		}
		if done[i] = outcomeOf(results[n]); done[i].Err == nil && k.incomplete(all[i]) {
			done[i].Incomplete = true
			done[i].Text += "; GitLab tells its id and when it expires once gitlab-runner has run here and made .runner_system_id; they are written in then"
		}
	}
}

// incomplete reports whether a section that was delivered to has no id.
func (k *keeper) incomplete(d agent.Delivery) bool {
	now, err := k.files.Sections(d.Config)
	return err == nil && d.Index < len(now) && now[d.Index].RunnerID == 0
}

// stepsFrom says for the journal what a delivery does.
func stepsFrom(ref string) []rekey.Step {
	text := map[rekey.StepKind]string{rekey.StepSeal: "seal the token of " + ref, rekey.StepDeliver: "edit id, token and both dates",
		rekey.StepReload: "have gitlab-runner load it", rekey.StepProve: "verify the token", rekey.StepSettle: "leave the record as it is"}
	var steps []rekey.Step
	for _, kind := range rekey.StepsOf(rekey.RemedyGiven) {
		steps = append(steps, rekey.Step{Kind: kind, Text: text[kind]})
	}
	return steps
}

// unmoved looks once more, now that nobody else may write through rekey.
func (k *keeper) unmoved(d agent.Delivery) bool {
	now, err := k.files.Sections(d.Config)
	return err == nil && d.Index < len(now) && now[d.Index].Name == d.Name && now[d.Index].Token == d.Token
}

func outcomeOf(r rekey.Result) agent.Delivered {
	switch r.Status {
	case rekey.StatusFixed, rekey.StatusVerified:
		return agent.Delivered{Text: "GitLab takes it (" + string(r.Operation) + ")"}
	case rekey.StatusDelivered:
		return agent.Delivered{Text: "delivered (" + string(r.Operation) + ")"}
	}
	return agent.Delivered{Err: rekey.Errorf(rekey.KindUnavailable, "%s", r.Reason).WithHint("%s", r.Next)}
}
