package rekey_test

import (
	"slices"
	"testing"

	"rekey"
)

func TestDigestNamesThePlan(t *testing.T) {
	t.Parallel()
	plan := func(change func(*rekey.Plan)) rekey.Plan {
		p := rekey.Plan{
			Targets: []rekey.Target{{Config: "config.toml", RunnerID: 7, Before: rekey.NewToken(secret).Fingerprint(), Remedy: rekey.RemedyReset,
				Attributes: &rekey.Attributes{Tags: []string{"a", "b"}}}},
			Left: []rekey.Left{{Config: "config.toml", Index: 1, Reason: "unknown"}},
		}
		if change != nil {
			change(&p)
		}
		return p
	}
	want := plan(nil).Digest()
	if got := plan(nil).Digest(); got != want || len(got) != 16 {
		t.Errorf("two equal plans have digests %q and %q, want 16 equal digits", got, want)
	}
	for name, change := range map[string]func(*rekey.Plan){
		"remedy":    func(p *rekey.Plan) { p.Targets[0].Remedy = rekey.RemedyCreate },
		"token":     func(p *rekey.Plan) { p.Targets[0].Before = rekey.NewToken("CANARY").Fingerprint() },
		"attribute": func(p *rekey.Plan) { p.Targets[0].Attributes.Tags[1] = "c" },
		"left":      func(p *rekey.Plan) { p.Left = nil },
		"order":     func(p *rekey.Plan) { p.Targets = append([]rekey.Target{{}}, p.Targets...) },
	} {
		if got := plan(change).Digest(); got == want {
			t.Errorf("another %s keeps the digest", name)
		}
	}
}

// TestEveryRemedyEndsInAProof: "fixed" is said only of what was proved, and a
// token is at hand before a config is touched.
func TestEveryRemedyEndsInAProof(t *testing.T) {
	t.Parallel()
	for _, remedy := range []rekey.Remedy{
		rekey.RemedyCreate, rekey.RemedyReset, rekey.RemedyGiven, rekey.RemedyRewrite, rekey.RemedyURL, rekey.RemedyAssign, rekey.RemedyAppend,
	} {
		steps := rekey.StepsOf(remedy)
		prove, deliver := slices.Index(steps, rekey.StepProve), slices.Index(steps, rekey.StepDeliver)
		if prove < 0 || deliver > prove || slices.Index(steps, rekey.StepReload) > prove {
			t.Errorf("%s: steps %v do not deliver, reload and then prove", remedy, steps)
		}
		if settle := slices.Index(steps, rekey.StepSettle); settle >= 0 && settle < prove {
			t.Errorf("%s: the record gets its real tags before the proof: %v", remedy, steps)
		}
		if reset := slices.Index(steps, rekey.StepReset); reset >= 0 && slices.Index(steps[:reset], rekey.StepCensus) < 0 {
			t.Errorf("%s: a reset without a census before it: %v", remedy, steps)
		}
	}
	if got := rekey.StepsOf("another"); got != nil {
		t.Errorf("an unknown remedy has steps %v, want none", got)
	}
}

func TestMarkerIsATag(t *testing.T) {
	t.Parallel()
	if got, want := rekey.Operation("ab12cd34-1").Marker(), "rekey-ab12cd34-1"; got != want {
		t.Errorf("marker %q, want %q", got, want)
	}
}
