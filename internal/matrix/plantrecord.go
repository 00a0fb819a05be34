package matrix

import (
	"net/http"
	"time"

	"rekey/internal/lab/labtest"
)

// recordScenarios are what became of the record in GitLab.
var recordScenarios = []Scenario{
	{
		Cause: "record-deleted", Name: "deleted in the page",
		Plant: func(w *World) {
			r := w.Made("instance", 0, nil)
			w.Config("host", thisHost, w.Planted(r))
			w.Delete(r)
		},
		Cells: deletedCells,
	},
	{
		Cause: "record-deleted", Name: "unregistered by another host that shares the token",
		Plant: func(w *World) {
			r := w.Made("instance", 0, nil)
			w.Config("host", thisHost, w.Planted(r))
			w.MustAs("", http.StatusNoContent, "DELETE", "runners", labtest.M{"token": r.Token}, nil)
		},
		Cells: deletedCells,
	},
	{
		Cause: "rotated-elsewhere", Name: "reset in the page",
		Plant: func(w *World) {
			r := w.Made("instance", 0, nil)
			w.Config("host", thisHost, w.Planted(r))
			w.Reset(r)
		},
		Cells: rotatedCells,
	},
	{
		Cause: "token-expired", Name: "nobody rotated it",
		Plant: func(w *World) {
			w.Config("host", thisHost, w.Planted(w.expiring()))
		},
		Cells: []Cell{
			{Who: WithToken, Verdict: "invalid", Answer: "token-expired certain"},
			{Who: Alone, Verdict: "invalid", Answer: "token-expired likely"},
		},
	},
}

var (
	deletedCells = []Cell{
		{Who: WithToken, Verdict: "invalid", Answer: "record-deleted certain"},
		{Who: Alone, Verdict: "invalid", Answer: "record-deleted possible | rotated-elsewhere possible"},
	}
	rotatedCells = []Cell{
		{Who: WithToken, Verdict: "invalid", Answer: "rotated-elsewhere likely"},
		{Who: Alone, Verdict: "invalid", Answer: "rotated-elsewhere possible | record-deleted possible"},
	}
)

// expiring makes a runner long ago whose token is over.
func (w *World) expiring() (r labtest.Issued) {
	const life = 7 * 24 * time.Hour
	w.Setting(labtest.M{"runner_token_expiration_interval": int(life.Seconds())})
	defer w.Setting(labtest.M{"runner_token_expiration_interval": nil})
	return w.Made("instance", 0, nil)
}
