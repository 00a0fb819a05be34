package matrix

import (
	"bytes"
	"maps"
	"testing"
)

// Doctor runs `rekey doctor` with arguments and an environment, and returns what
// it printed on both outputs.
type Doctor func(args []string, env map[string]string) (out, err []byte)

// Row is a scenario with what came out, by version and looker.
type Row struct {
	Scenario
	Results map[string]map[Who]Result
}

// Run plants the scenario in the GitLab, has both lookers look, and compares.
func Run(t testing.TB, g *GitLab, s Scenario, doctor Doctor) map[Who]Result {
	t.Helper()
	results := map[Who]Result{}
	var w *World
	defer func() {
		if w != nil {
			w.Close()
		}
	}()
	for _, who := range []Who{Alone, WithToken} {
		want, ok := s.Expected(g.Version, who)
		if !ok {
			t.Errorf("%s: the table says nothing of GitLab %s %s", s.Name, g.Version, who)
			continue
		}
		if why, na := want.NotApplicable(); na {
			results[who] = Result{NA: why}
			continue
		}
		if w == nil || s.EachTime {
			if w != nil {
				w.Close()
			}
			w = NewWorld(t, g)
			s.Plant(w)
		}
		results[who] = w.ask(who, want, doctor)
	}
	return results
}

// ask has doctor look once.
func (w *World) ask(who Who, want Cell, doctor Doctor) Result {
	w.T.Helper()
	raw := w.doctor(who, doctor)
	r, err := decode(raw)
	if err != nil {
		w.T.Fatal(err)
	}
	res := look(r, want)
	res.Raw = raw
	return res
}

func (w *World) doctor(who Who, doctor Doctor) []byte {
	w.T.Helper()
	env := maps.Clone(w.Env)
	if who == WithToken {
		env["GITLAB_HOST"], env["GITLAB_TOKEN"] = w.URL, w.Admin
	}
	out, said := doctor(append([]string{"doctor", "--rps", "0", "-o", "json"}, w.Args...), env)
	if len(said) > 0 && !bytes.HasPrefix(said, []byte("rekey: the user token is for")) { // which a wrong URL deserves
		w.T.Errorf("doctor said on standard error: %s", said)
	}
	return out
}
