package matrix

import (
	"path/filepath"
	"slices"
	"time"
)

// hostScenarios are what the host and its logs show.
var hostScenarios = slices.Concat(unsavedScenarios, mountScenarios, windowScenarios, idleScenarios, cloneScenarios, inForceScenarios, rotationScenarios)

// cloneScenarios are hosts with one system id.
var cloneScenarios = []Scenario{
	{
		Cause: "cloned-system-id", Name: "a container's volume was copied with its id",
		Plant: func(w *World) {
			s := w.Planted(w.Made("instance", 0, nil))
			w.Config("one", containerID, s)
			w.Config("two", containerID, named("planted too", s))
		},
		Cells: []Cell{{Verdict: "valid", Answer: "cloned-system-id likely + duplicate-token certain"}},
	},
	{
		Cause: "cloned-system-id", Name: "a copied volume whose token was replaced",
		Plant: func(w *World) {
			w.Config("one", containerID, w.Planted(w.Made("instance", 0, nil)))
			w.Config("two", containerID, named("planted too", w.Planted(w.Made("instance", 0, nil))))
		},
		Cells: []Cell{{Verdict: "valid", Answer: "cloned-system-id possible"}}, // and it does no harm
	},
	{
		Cause: "cloned-system-id", Name: "a machine cloned with its machine id, its config copied here to be looked at",
		Plant: func(w *World) {
			s := w.Planted(w.Made("instance", 0, nil))
			w.Config("one", thisHost, s)
			w.Config("two", thisHost, named("planted too", s))
		},
		// Two services of one machine share such an id rightly.
		Cells: []Cell{{Verdict: "valid", Answer: "cloned-system-id possible + duplicate-token certain"}},
	},
	{
		Cause: "cloned-system-id", Name: "two clones at work, looked at from one of them",
		Plant: func(*World) {},
		Cells: []Cell{{Answer: "not applicable: GitLab shows clones as one runner manager, whose address is now one's and now the other's; one look at one host cannot see that. Give `--config` or `--host` of both"}},
	},
}

const containerID = "r_AbCdEfGhIjKl"

// inForceScenarios are files that no process has loaded.
var inForceScenarios = []Scenario{
	{
		Cause: "other-config-in-force", Name: "a copy beside the file that --config names",
		Plant: func(w *World) {
			edited := w.Config("host", thisHost, w.Planted(w.Made("instance", 0, nil)))
			w.Process(nil, "--config", w.File("host/config.production.toml", w.Text()))
			_ = edited
		},
		Cells: []Cell{{Verdict: "valid", Answer: "other-config-in-force likely"}},
	},
	{
		Cause: "other-config-in-force", Name: "CONFIG_FILE of the service names another file",
		Plant: func(w *World) {
			w.Config("host", thisHost, w.Planted(w.Made("instance", 0, nil)))
			w.Process([]string{"CONFIG_FILE=" + w.File("host/runner.toml", w.Text())})
		},
		Cells: []Cell{{Verdict: "valid", Answer: "other-config-in-force likely"}},
	},
	{
		Cause: "reload-missed", Name: "copied with its date, after the process had started",
		Prepare: func(w *World) { w.Process(nil, "--config", filepath.Join(w.Dir, "host", "config.toml")) },
		Plant: func(w *World) {
			s := w.Planted(w.Made("instance", 0, nil))
			w.settle()
			s.Obtained = w.Before(0).Add(time.Second)
			w.Aged(w.Config("host", thisHost, s), age)
		},
		Cells: []Cell{{Verdict: "valid", Answer: "reload-missed possible"}},
	},
	{
		Cause: "reload-missed", Name: "put back from a backup, which keeps dates",
		Prepare: func(w *World) { w.Process([]string{"CONFIG_FILE=" + filepath.Join(w.Dir, "host", "config.toml")}) },
		Plant: func(w *World) {
			s := w.Planted(w.Made("instance", 0, nil))
			w.settle()
			w.Aged(w.Config("host", thisHost, s), 3*age)
		},
		Cells: []Cell{{Verdict: "valid", Answer: "reload-missed possible"}},
	},
}

// settle waits until the processes that were prepared have run for a while.
func (w *World) settle() {
	const aWhile = 11 * time.Second
	timer := time.NewTimer(w.preparedAt.Add(aWhile).Sub(w.back.clock()))
	defer timer.Stop()
	<-timer.C
}
