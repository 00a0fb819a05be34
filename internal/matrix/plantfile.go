package matrix

var certainInvalid = func(cause string) []Cell {
	return []Cell{{Verdict: "invalid", Answer: cause + " certain"}}
}

// fileScenarios are what the config's text shows.
var fileScenarios = []Scenario{
	{
		Cause: "malformed-token", Name: "a newline came along with the token", Lexical: true,
		Plant: func(w *World) {
			s := w.Planted(w.Made("instance", 0, nil))
			s.Token += `\n`
			w.Config("host", thisHost, s)
		},
		Cells: certainInvalid("malformed-token"),
	},
	{
		Cause: "malformed-token", Name: "a personal access token", Lexical: true,
		Plant: func(w *World) {
			s := w.Planted(w.Made("instance", 0, nil))
			s.Token = "glpat-CANARY00000000000000"
			w.Config("host", thisHost, s)
		},
		Cells: certainInvalid("malformed-token"),
	},
	{
		Cause: "registration-token-in-config", Name: "the instance's registration token", Lexical: true,
		Plant: func(w *World) {
			w.Config("host", thisHost, Section{Name: "planted", Token: w.Info.RegistrationTokens["instance"]})
		},
		Cells: certainInvalid("registration-token-in-config"),
	},
}
