package agent_test

import (
	"fmt"
	"testing"

	"rekey"
	"rekey/internal/agent"
)

var (
	tokenA = rekey.NewToken("glrt-CANARYaaaaaaaaaaaaaa")
	tokenB = rekey.NewToken("glrt-CANARYbbbbbbbbbbbbbb")
	tokenC = rekey.NewToken("glrt-CANARYcccccccccccccc")
	blank  = rekey.NewToken("PUT-THE-TOKEN-HERE CANARY")
)

// answers are what GitLab says of the config's token and of the store's.
type answers struct{ config, store rekey.Verdict }

const (
	v = rekey.Valid
	i = rekey.Invalid
	u = rekey.Unknown
)

// resolve judges as the loop does: it answers what is asked.
func resolve(t *testing.T, s agent.Sight, say answers) agent.Decision {
	t.Helper()
	for range 3 {
		d := agent.Judge(s)
		if d.Action != agent.Ask {
			return d
		}
		if d.AskConfig == d.AskStore && !d.AskConfig || d.AskConfig && s.OfConfig != "" || d.AskStore && s.OfStore != "" {
			t.Fatalf("%+v: it asks what it was told, or nothing: %+v", s, d)
		}
		if d.AskConfig {
			s.OfConfig = say.config
		}
		if d.AskStore {
			s.OfStore = say.store
		}
	}
	t.Fatalf("%+v: it asks for ever", s)
	return agent.Decision{}
}

// TestJudgement has every combination: what is seen, and what GitLab would say of
// each token, in the order vv vi vu, iv ii iu, uv ui uu (config, then store).
func TestJudgement(t *testing.T) {
	t.Parallel()
	agreed := func(last rekey.Token) agent.Agreed { return agent.Agreed{Token: last.Fingerprint()} }
	const (
		step, deliver, push, wait, stuck = agent.InStep, agent.Deliver, agent.Push, agent.Wait, agent.Stuck
	)
	type nine [9]agent.Action
	all := func(a agent.Action) nine { return nine{a, a, a, a, a, a, a, a, a} }
	for _, c := range []struct {
		name string
		s    agent.Sight
		want nine
	}{
		{"equal", agent.Sight{Config: tokenA, Store: tokenA, Read: agent.Found}, all(step)},
		{"equal, both new", agent.Sight{Config: tokenA, Store: tokenA, Read: agent.Found, Agreed: agreed(tokenC)}, all(step)},
		{"the store changed", agent.Sight{Config: tokenA, Store: tokenB, Read: agent.Found, Agreed: agreed(tokenA)},
			nine{deliver, wait, wait, deliver, stuck, wait, deliver, wait, wait}},
		{"the config changed", agent.Sight{Config: tokenA, Store: tokenB, Read: agent.Found, Agreed: agreed(tokenB)},
			nine{push, push, push, deliver, stuck, wait, wait, wait, wait}},
		{"the config has its token from before", agent.Sight{Config: tokenA, Store: tokenB, Read: agent.Found, Agreed: agent.Agreed{Token: tokenB.Fingerprint(), Replaced: tokenA.Fingerprint()}},
			nine{deliver, wait, wait, deliver, stuck, wait, deliver, wait, wait}},
		{"both changed", agent.Sight{Config: tokenA, Store: tokenB, Read: agent.Found, Agreed: agreed(tokenC)},
			nine{deliver, push, wait, deliver, stuck, wait, deliver, wait, wait}},
		{"never agreed", agent.Sight{Config: tokenA, Store: tokenB, Read: agent.Found},
			nine{deliver, push, wait, deliver, stuck, wait, deliver, wait, wait}},
		{"missing", agent.Sight{Config: tokenA, Read: agent.Missing}, nine{push, push, push, stuck, stuck, stuck, wait, wait, wait}},
		{"deleted", agent.Sight{Config: tokenA, Read: agent.Missing, Agreed: agreed(tokenA)}, nine{push, push, push, stuck, stuck, stuck, wait, wait, wait}},
		{"away", agent.Sight{Config: tokenA, Read: agent.Away, Agreed: agreed(tokenA)}, all(wait)},
		{"wrong", agent.Sight{Config: tokenA, Read: agent.Wrong, Agreed: agreed(tokenA)}, all(stuck)},
		{"no token in the config", agent.Sight{Store: tokenB, Read: agent.Found}, nine{deliver, stuck, wait, deliver, stuck, wait, deliver, stuck, wait}},
		{"a placeholder in the config", agent.Sight{Config: blank, Store: tokenB, Read: agent.Found}, nine{deliver, stuck, wait, deliver, stuck, wait, deliver, stuck, wait}},
		{"the config was emptied", agent.Sight{Store: tokenB, Read: agent.Found, Agreed: agreed(tokenB)}, nine{deliver, stuck, wait, deliver, stuck, wait, deliver, stuck, wait}},
		{"the config was emptied, and the store changed", agent.Sight{Store: tokenB, Read: agent.Found, Agreed: agreed(tokenA)}, nine{deliver, stuck, wait, deliver, stuck, wait, deliver, stuck, wait}},
		{"neither has one", agent.Sight{Read: agent.Missing}, all(stuck)},
		{"no token and no store", agent.Sight{Read: agent.Away}, all(wait)},
		{"no token and a wrong one", agent.Sight{Read: agent.Wrong}, all(stuck)},
	} {
		for n, say := range []answers{{v, v}, {v, i}, {v, u}, {i, v}, {i, i}, {i, u}, {u, v}, {u, i}, {u, u}} {
			if got := resolve(t, c.s, say); got.Action != c.want[n] {
				t.Errorf("%s, GitLab says %s of the config's and %s of the store's: got %s (%s), want %s", c.name, say.config, say.store, got.Action, got.Why, c.want[n])
			}
		}
	}
}

// TestNothingFollowsFromUnknown holds every combination there is, asked for or not,
// against the rules that stand above the judgement.
func TestNothingFollowsFromUnknown(t *testing.T) {
	t.Parallel()
	verdicts := []rekey.Verdict{"", v, i, u}
	tokens := []rekey.Token{{}, blank, tokenA, tokenB}
	fingerprints := []rekey.Fingerprint{"", tokenA.Fingerprint(), tokenB.Fingerprint(), tokenC.Fingerprint()}
	n := 0
	for _, read := range []agent.Presence{agent.Found, agent.Missing, agent.Away, agent.Wrong} {
		for _, config := range tokens {
			for _, store := range []rekey.Token{tokenA, tokenB} {
				for _, last := range fingerprints {
					for _, replaced := range fingerprints {
						for _, ofConfig := range verdicts {
							for _, ofStore := range verdicts {
								n++
								check(t, agent.Sight{Config: config, Store: store, Read: read, Agreed: agent.Agreed{Token: last, Replaced: replaced}, OfConfig: ofConfig, OfStore: ofStore})
							}
						}
					}
				}
			}
		}
	}
	if n != 4*4*2*4*4*4*4 {
		t.Fatalf("%d combinations", n)
	}
}

func check(t *testing.T, s agent.Sight) {
	t.Helper()
	d := agent.Judge(s)
	wrong := ""
	switch sendable := s.Config.Lexical().Sendable; {
	case d.Action == agent.Deliver && (s.Read != agent.Found || s.OfStore != v || s.Config == s.Store):
		wrong = "delivers what GitLab did not take"
	case d.Action == agent.Push && (s.OfConfig != v || !sendable || s.Read != agent.Found && s.Read != agent.Missing):
		wrong = "writes what GitLab did not take"
	case d.Action == agent.Push && s.Read == agent.Found && !d.Over && s.Agreed.Token != s.Store.Fingerprint():
		wrong = "writes over what it does not know"
	case d.Over && s.OfStore != i:
		wrong = "writes over a token that is not refused"
	case (s.Read == agent.Away || s.Read == agent.Wrong) && d.Action != agent.Wait && d.Action != agent.Stuck:
		wrong = "acts without a store"
	case d.Action != agent.InStep && d.Action != agent.Ask && d.Why == "":
		wrong = "does not say why"
	case d.Action == agent.Stuck && d.Next == agent.NoAdvice:
		wrong = "leaves a person without a command"
	}
	if wrong != "" {
		t.Errorf("%s: %s gives %+v", wrong, fmt.Sprintf("%+v", s), d)
	}
}
