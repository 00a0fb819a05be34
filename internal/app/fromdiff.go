package app

import (
	"context"
	"os"
	"slices"
	"strings"

	"rekey"
	"rekey/internal/diagnose"
	"rekey/internal/guard"
	"rekey/internal/remedy"
)

// readDiff reads the comparison that a fix is to repair, and with it which configs
// it is about.
func (f *Fix) readDiff() error {
	if f.in.FromDiff == "" {
		return nil
	}
	text, err := os.ReadFile(f.in.FromDiff)
	if err != nil {
		return rekey.Errorf(rekey.KindNotFound, "the comparison cannot be read: %w", err).WithHint("`rekey snapshot diff SNAPSHOT -o json > FILE` makes one")
	}
	diff, err := guard.ParseDiff(text)
	if err != nil {
		return err
	}
	f.diff = &diff
	repairs := diff.Repairs()
	if len(repairs) == 0 {
		return rekey.Errorf(rekey.KindNotFound, "the comparison of %s names no section to repair", diff.At.UTC().Format("2006-01-02 15:04:05Z")).
			WithHint("`rekey snapshot diff SNAPSHOT` shows what it names")
	}
	if len(f.in.Configs) > 0 {
		return nil
	}
	for _, s := range repairs {
		if !strings.Contains(s.Config, "://") && !slices.Contains(f.in.Configs, s.Config) {
			f.in.Configs = append(f.in.Configs, s.Config)
		}
	}
	if len(f.in.Configs) == 0 {
		return rekey.Errorf(rekey.KindInvalid, "the comparison names configs of other hosts only").WithHint("run `rekey fix --from-diff` on those hosts, each with its own comparison")
	}
	return nil
}

// memories finds the comparison's sections among the facts. Those that are others
// by now are left, with the reason.
func (f *Fix) memories(facts diagnose.Facts) (map[place]remedy.Memory, []rekey.Left) {
	known := map[place]diagnose.Section{}
	for _, c := range facts.Configs {
		for _, s := range c.Sections {
			known[place{absolutePath(s.Config), s.Index}] = s
		}
	}
	key, err := f.app.snapshotKey(SnapshotInput{State: f.in.State, KeyFile: f.in.KeyFile}, false)
	marks := err == nil && key.Name() == f.diff.Key
	found := map[place]remedy.Memory{}
	var left []rekey.Left
	for _, d := range f.diff.Repairs() {
		s, ok := known[place{d.Config, d.Index}]
		moved := ok && (s.Name != d.Name || marks && s.Expanded == nil && key.Mark(s.Token) != d.Token)
		if !ok && !slices.Contains(f.in.Configs, d.Config) {
			continue // of another host, or not asked for
		}
		if !ok || moved {
			left = append(left, rekey.Left{Config: d.Config, Index: d.Index, Name: d.Name, Causes: []rekey.Cause{}, Severity: rekey.Warning,
				Reason: "the section is another one than when the comparison was made", Next: "compare again: `rekey snapshot diff`"})
			continue
		}
		found[place{s.Config, s.Index}] = remedy.Memory{Attributes: d.Attributes, Same: d.Same, Foreign: d.Change == guard.RecordReplaced}
	}
	return found, left
}

// remember limits a planner to the comparison's sections.
func (f *Fix) remember(p *remedy.Planner) (left []rekey.Left) {
	if f.diff == nil {
		return nil
	}
	known, left := f.memories(p.Facts)
	p.Remembered = func(config string, index int) (remedy.Memory, bool) {
		m, ok := known[place{config, index}]
		return m, ok
	}
	return left
}

// stages are how many repairs are begun before the ones before them are proved: a
// mistake that holds for all shows on the first.
var stages = []int{1, 15, 64, 256}

// staged applies a plan in stages, and begins no further one once AbortAfter
// repairs have failed, or had to replace a record that was to be reset.
func (f *Fix) staged(ctx context.Context, plan rekey.Plan) ([]rekey.Result, error) {
	var results []rekey.Result
	failures := 0
	for i := 0; len(plan.Targets) > 0; i++ {
		n := min(stages[min(i, len(stages)-1)], len(plan.Targets))
		stage := plan.Targets[:n]
		plan.Targets = plan.Targets[n:]
		if f.in.AbortAfter > 0 && failures >= f.in.AbortAfter {
			results = append(results, notBegun(stage)...)
			continue
		}
		if f.in.AbortAfter > 0 {
			f.engine.Options.AbortAfter = f.in.AbortAfter - failures
		}
		done, err := f.engine.Apply(ctx, rekey.Plan{Targets: stage})
		results = append(results, done...)
		if err != nil {
			return results, err
		}
		for i, r := range done {
			replaced := stage[i].Remedy == rekey.RemedyReset && r.RunnerID != stage[i].RunnerID // the answer to its reset was lost
			if r.Status == rekey.StatusFailed || r.Status == rekey.StatusOpen || replaced {
				failures++
			}
		}
	}
	return results, nil
}

func notBegun(targets []rekey.Target) []rekey.Result {
	var results []rekey.Result
	for _, t := range targets {
		results = append(results, rekey.Result{Config: t.Config, Index: t.Index, Name: t.Name, RunnerID: t.RunnerID, Status: rekey.StatusFailed,
			Proof:  rekey.Proof{Level: rekey.ProofNone},
			Reason: "not begun: too many before it failed or lost the answer to their reset (--abort-after)", Next: "find out why, then give the same command again"})
	}
	return results
}
