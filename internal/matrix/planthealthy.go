package matrix

import "rekey/internal/lab/labtest"

var healthyScenarios = []Scenario{
	{
		Cause: Healthy, Name: "an instance runner at work",
		Plant: func(w *World) {
			r := w.Made("instance", 0, nil)
			w.Poll(r.Token, thisHost, w.Version+".0")
			w.Config("host", thisHost, w.Planted(r))
		},
		Cells: []Cell{{Verdict: "valid", Answer: "nothing"}},
	},
	{
		Cause: Healthy, Name: "a project runner beside a group runner",
		Plant: func(w *World) {
			group := w.Group(w.Unique("acme"), 0)
			project, path := w.Project(w.Unique("web"), group)
			one, two := w.Made("project", project, nil), w.Made("group", group, nil)
			w.Config("host", thisHost, w.Planted(one), named("planted too", w.Planted(two)))
			w.Args = append(w.Args, "--expect-project", path)
		},
		Cells: []Cell{{Verdict: "valid", Answer: "nothing"}},
	},
	{
		Cause: Healthy, Name: "registered the old way, with a registration token",
		Plant: func(w *World) {
			var r labtest.Issued
			w.Ago(age, func() { r = w.Register(labtest.M{"run_untagged": true}) })
			w.Config("host", thisHost, w.Planted(r))
		},
		Cells: []Cell{{Verdict: "valid", Answer: "nothing"}},
	},
}

func named(name string, s Section) Section {
	s.Name = name
	return s
}
