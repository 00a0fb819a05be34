package matrix

import (
	"fmt"
	"net/http"

	"rekey/internal/lab/labtest"
)

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
	stuck("a job waits, and the runner that is online is paused", labtest.M{"paused": true, "tag_list": []string{"linux"}}, "certain"),
	stuck("a job waits, and no runner has its tag", labtest.M{"tag_list": []string{"windows"}}, "certain"),
	stuck("a job of a side branch waits, and the runner takes those of protected branches only", labtest.M{"access_level": "ref_protected", "tag_list": []string{"linux"}}, "certain"),
}

// stuck is a job that waits though a runner is online, looked at from the job.
func stuck(name string, attributes labtest.M, confidence string) Scenario {
	return Scenario{
		Cause: "online-but-idle", Name: name, Own: true, // an instance runner of another scenario would take it
		Plant: func(w *World) {
			project, path := w.Project("stuck", 0)
			w.Must(http.StatusCreated, "POST", fmt.Sprintf("projects/%d/repository/files/.gitlab-ci.yml", project),
				labtest.M{"branch": "side", "start_branch": "main", "content": "build: {script: [echo hi], tags: [linux]}", "commit_message": "add ci"}, nil)
			var jobs []struct {
				ID int64 `json:"id"`
			}
			w.Must(http.StatusOK, "GET", fmt.Sprintf("projects/%d/jobs", project), nil, &jobs)
			if len(jobs) != 1 {
				w.T.Fatalf("got %d jobs, want 1", len(jobs))
			}
			r := w.Made("project", project, attributes)
			w.Poll(r.Token, thisHost, w.Version+".0")
			w.Args = append(w.Args, "--job", fmt.Sprintf("%s/%s/-/jobs/%d", w.URL, path, jobs[0].ID))
		},
		Cells: []Cell{
			{Who: WithToken, Answer: "online-but-idle " + confidence},
			{Who: Alone, Answer: "not applicable: a job is shown to user tokens only"},
		},
	}
}

// idleCells: the settings stand in the record only, and a token that is good says
// nothing of them.
func idleCells(confidence string) []Cell {
	return []Cell{
		{Who: WithToken, Verdict: "valid", Answer: "online-but-idle " + confidence},
		{Who: Alone, Verdict: "valid", Answer: "unknown"},
	}
}
