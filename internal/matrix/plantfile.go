package matrix

import "rekey/internal/lab/labtest"

// fileScenarios are what the config's text shows.
var fileScenarios = []Scenario{
	malformed("a newline came along with the token", func(t string) string { return t + `\n` }),
	malformed("pasted out of a chat, with its quotation marks", func(t string) string { return "“" + t + "”" }),
	malformed("a personal access token", func(string) string { return "glpat-CANARY00000000000000" }),
	malformed("empty", func(string) string { return "" }),
	{
		Cause: "malformed-token", Name: "cut short",
		Plant: func(w *World) {
			s := w.Planted(w.Made("instance", 0, nil))
			s.Token = s.Token[:len("glrt-")+9]
			w.Config("host", thisHost, s)
		},
		Cells: []Cell{{Verdict: "invalid", Answer: "malformed-token likely"}},
	},
	{
		Cause: "malformed-token", Name: "a placeholder that was never replaced",
		Plant: func(w *World) {
			s := w.Planted(w.Made("instance", 0, nil))
			s.Token = "__REPLACED_BY_USER_DATA__"
			w.Config("host", thisHost, s)
		},
		Cells: []Cell{{Verdict: "invalid", Answer: "malformed-token likely"}},
	},
	{
		Cause: "environment-reference", Name: "the variable is not set here",
		Plant: func(w *World) {
			s := w.Planted(w.Made("instance", 0, nil))
			s.Token = "${RUNNER_TOKEN}"
			w.Config("host", thisHost, s)
		},
		Cells: []Cell{{Verdict: "unknown", Answer: "environment-reference certain"}},
	},
	{
		Cause: "environment-reference", Name: "the variable holds the token from before a reset",
		Plant: func(w *World) {
			r := w.Made("instance", 0, nil)
			s := w.Planted(r)
			s.Token = "${RUNNER_TOKEN}"
			w.Config("host", thisHost, s)
			w.Env["RUNNER_TOKEN"] = r.Token
			w.Reset(r)
		},
		Cells: []Cell{{Verdict: "unknown", Answer: "environment-reference possible"}},
	},
	{
		Cause: "environment-reference", Name: "the URL's variable is not set here",
		Plant: func(w *World) {
			s := w.Planted(w.Made("instance", 0, nil))
			s.URL = "${GITLAB_ADDRESS}"
			w.Config("host", thisHost, s)
		},
		Cells: []Cell{{Verdict: "unknown", Answer: "environment-reference certain"}},
	},
	{
		Cause: "duplicate-token", Name: "a section copied within its file",
		Plant: func(w *World) {
			s := w.Planted(w.Made("instance", 0, nil))
			w.Config("host", thisHost, s, named("planted too", s))
		},
		Cells: []Cell{{Verdict: "valid", Answer: "duplicate-token certain"}},
	},
	{
		Cause: "duplicate-token", Name: "a config of root and one of a user on one host",
		Plant: func(w *World) {
			s := w.Planted(w.Made("instance", 0, nil))
			w.Config("etc", thisHost, s)
			w.Config("home", thisHost, named("planted too", s))
		},
		Cells: []Cell{{Verdict: "valid", Answer: "duplicate-token certain"}},
	},
	{
		Cause: "wrong-instance", Name: "the URL of another GitLab that is configured too",
		Plant: func(w *World) {
			other := w.Elsewhere()
			s := w.Planted(other.Made("instance", 0, nil))
			right := named("right", s)
			right.URL = other.URL
			w.Config("host", thisHost, s, right)
		},
		Cells: []Cell{{Verdict: "invalid", Answer: "wrong-instance certain"}},
	},
	{
		Cause: "wrong-instance", Name: "the URL of another GitLab that nobody speaks of",
		Plant: func(w *World) {
			other := w.Elsewhere()
			for range 9 {
				other.Made("instance", 0, nil)
			}
			far := other.Made("instance", 0, nil)
			far.ID += 1000 // as in a GitLab that has seen more runners than this one
			w.Config("host", thisHost, w.Planted(far))
		},
		Cells: []Cell{
			{Who: WithToken, Verdict: "invalid", Answer: "wrong-instance possible | record-deleted likely | server-restored possible"},
			{Who: Alone, Verdict: "invalid", Answer: "wrong-instance possible | record-deleted possible | rotated-elsewhere possible | server-restored possible"},
		},
	},
	{
		Cause: "wrong-instance", Name: "the token of another GitLab, whose id was somebody else's here, who is gone",
		Plant: func(w *World) {
			other := w.Elsewhere()
			foreign, namesake := other.Made("instance", 0, nil), w.Made("instance", 0, nil)
			w.Made("instance", 0, nil)
			foreign.ID = namesake.ID
			w.Config("host", thisHost, w.Planted(foreign))
			w.Delete(namesake)
		},
		Cells: []Cell{ // a refusal and a missing record are what a deletion leaves, too
			{Who: WithToken, Verdict: "invalid", Answer: "wrong-instance possible | record-deleted likely"},
			{Who: Alone, Verdict: "invalid", Answer: "wrong-instance possible | record-deleted possible | rotated-elsewhere possible | server-restored possible"},
		},
	},
	{
		Cause: "wrong-instance", Name: "the token of another GitLab, whose id is somebody else's here",
		Plant: func(w *World) {
			other := w.Elsewhere()
			foreign := other.Made("instance", 0, nil)
			foreign.ID = w.Made("instance", 0, labtest.M{"description": "somebody else's"}).ID
			w.Config("host", thisHost, w.Planted(foreign))
		},
		Cells: []Cell{
			// Before 17.1 GitLab lists no managers, by which the record shows itself as another host's.
			{Who: WithToken, Until: "16.11", Verdict: "invalid", Answer: "wrong-instance possible | rotated-elsewhere likely"},
			{Who: WithToken, Verdict: "invalid", Answer: "wrong-instance possible | rotated-elsewhere possible | server-restored possible"},
			{Who: Alone, Verdict: "invalid", Answer: "wrong-instance possible | record-deleted possible | rotated-elsewhere possible | server-restored possible"},
		},
	},
	{
		Cause: "wrong-instance", Name: "a project's path in the URL",
		Plant: func(w *World) {
			s := w.Planted(w.Made("instance", 0, nil))
			s.URL = w.URL + "/acme/web"
			w.Config("host", thisHost, s)
		},
		Cells: []Cell{{Verdict: "unknown", Answer: "wrong-instance likely"}},
	},
	{
		Cause: "wrong-instance", Name: "the URL without its scheme",
		Plant: func(w *World) {
			s := w.Planted(w.Made("instance", 0, nil))
			s.URL = "gitlab.example.com"
			w.Config("host", thisHost, s)
		},
		Cells: []Cell{{Verdict: "unknown", Answer: "wrong-instance certain"}},
	},
	{
		Cause: "wrong-instance", Name: "the /ci of GitLab's first years",
		Plant: func(w *World) {
			s := w.Planted(w.Made("instance", 0, nil))
			s.URL = w.URL + "/ci"
			w.Config("host", thisHost, s)
		},
		Cells: []Cell{{Verdict: "valid", Answer: "wrong-instance certain"}},
	},
}

// malformed is a token that was spoilt so that no GitLab could have issued it.
func malformed(name string, spoil func(string) string) Scenario {
	return Scenario{
		Cause: "malformed-token", Name: name, Lexical: true,
		Plant: func(w *World) {
			s := w.Planted(w.Made("instance", 0, nil))
			s.Token = spoil(s.Token)
			w.Config("host", thisHost, s)
		},
		Cells: certainly("malformed-token"),
	}
}
