package matrix

import "rekey/internal/lab/labtest"

// idleScenarios are runners that are well, and whose own settings keep jobs from
// them.
var idleScenarios = []Scenario{
	{
		Cause: "online-but-idle", Name: "locked to its project",
		Plant: func(w *World) {
			project, _ := w.Project(w.Unique("locked"), 0)
			r := w.Made("project", project, labtest.M{"locked": true})
			w.Poll(r.Token, thisHost, w.Version+".0")
			w.Config("host", thisHost, w.Planted(r))
		},
		Cells: idleCells("possible"), // it may be meant
	},
	{
		Cause: "online-but-idle", Name: "paused, and the log is full of 204",
		Plant: func(w *World) {
			r := w.Made("instance", 0, labtest.M{"paused": true})
			w.Poll(r.Token, thisHost, w.Version+".0")
			w.Config("host", thisHost, w.Planted(r))
			nothing := "Checking for jobs... nothing                         runner="
			if w.AtLeast("16.11") {
				nothing = "Checking for jobs... no content                      runner="
			}
			w.Log(nothing+short(r.Token), nothing+short(r.Token))
		},
		Cells: idleCells("certain"),
	},
}

// idleCells: the settings stand in the record only, and a token that is good says
// nothing of them.
func idleCells(confidence string) []Cell {
	return []Cell{
		{Who: WithToken, Verdict: "valid", Answer: "online-but-idle " + confidence},
		{Who: Alone, Verdict: "valid", Answer: "unknown"},
	}
}
