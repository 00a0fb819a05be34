package matrix

import (
	"os"
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
		Cause: "other-config-in-force", Name: "registered with sudo, and the service is a user's",
		Plant: func(w *World) {
			w.Config("machine/etc/gitlab-runner", thisHost, w.Planted(w.Made("instance", 0, nil)))
			w.File("machine/home/ci/.gitlab-runner/config.toml", w.Text())
			w.Runs(Process{User: 1000, Env: []string{"HOME=/home/ci"}, Age: age, Root: w.Machine()})
		},
		Cells: elsewhereCells,
	},
	{
		Cause: "other-config-in-force", Name: "registered without sudo, and the service is root's",
		Plant: func(w *World) {
			w.Config(filepath.Join("machine", os.Getenv("HOME"), ".gitlab-runner"), thisHost, w.Planted(w.Made("instance", 0, nil)))
			w.File("machine/etc/gitlab-runner/config.toml", w.Text())
			w.Runs(Process{Age: age, Root: w.Machine()})
		},
		Cells: elsewhereCells,
	},
	{
		Cause: "other-config-in-force", Name: "the machine's file was edited, and the runner is in a container with a volume of its own",
		Plant: func(w *World) {
			w.Config("machine/etc/gitlab-runner", thisHost, w.Planted(w.Made("instance", 0, nil)))
			w.File("container/etc/gitlab-runner/config.toml", w.Text())
			w.Runs(Process{Age: age, Root: filepath.Join(w.Dir, "container")})
		},
		Cells: elsewhereCells,
	},
	{
		Cause: "other-config-in-force", Name: "a copy beside the file that --config names",
		Plant: func(w *World) {
			w.Config("host", thisHost, w.Planted(w.Made("instance", 0, nil)))
			w.Runs(Process{Args: []string{"--config", w.File("host/config.production.toml", w.Text())}, Age: age})
		},
		Cells: elsewhereCells,
	},
	{
		Cause: "other-config-in-force", Name: "CONFIG_FILE of the service names another file",
		Plant: func(w *World) {
			w.Config("host", thisHost, w.Planted(w.Made("instance", 0, nil)))
			w.Runs(Process{Env: []string{"CONFIG_FILE=" + w.File("host/runner.toml", w.Text())}, Age: age})
		},
		Cells: elsewhereCells,
	},
	{
		Cause: "other-config-in-force", Name: "by the log, the service started with the file beside it",
		Plant: func(w *World) {
			edited := w.Config("host", thisHost, w.Planted(w.Made("instance", 0, nil)))
			w.Log("Runtime platform                                    arch=amd64 os=linux pid=7",
				"Starting multi-runner from "+filepath.Join(filepath.Dir(edited), "config.old.toml")+"...  builds=0",
				"Running in system-mode.")
		},
		Cells: elsewhereCells,
	},
	{
		Cause: "other-config-in-force", Name: "by the log of a container, which names its own path",
		Plant: func(w *World) {
			w.Config("srv", thisHost, w.Planted(w.Made("instance", 0, nil)))
			w.Log("Starting multi-runner from /etc/gitlab-runner/config.toml...  builds=0")
		},
		// It may be this very file on a volume.
		Cells: []Cell{{Verdict: "valid", Answer: "other-config-in-force possible"}},
	},
	{
		Cause: Healthy, Name: "a container's volume, seen from its machine",
		Plant: func(w *World) {
			w.Config("container/etc/gitlab-runner", thisHost, w.Planted(w.Made("instance", 0, nil)))
			w.Runs(Process{Age: age, Root: filepath.Join(w.Dir, "container")})
		},
		Cells: []Cell{{Verdict: "valid", Answer: "nothing"}},
	},
	{
		Cause: "reload-missed", Name: "copied with its date, after the process had started",
		Plant: func(w *World) { w.replaced(time.Hour) },
		Cells: []Cell{{Verdict: "valid", Answer: "reload-missed possible"}},
	},
	{
		Cause: "reload-missed", Name: "put back from a backup, which keeps dates",
		Plant: func(w *World) { w.replaced(age) },
		Cells: []Cell{{Verdict: "valid", Answer: "reload-missed possible"}},
	},
	{
		Cause: "reload-missed", Name: "copied with its date, and the journal goes on without a load",
		Plant: func(w *World) {
			old := w.Made("instance", 0, nil)
			w.replaced(time.Hour)
			w.Log(w.journal(2*time.Hour)+loaded,
				w.journal(-2*time.Second)+"Checking for jobs... received                       job=7 repo_url=http://gitlab.example.com/a/b.git runner="+short(old.Token))
		},
		Cells: []Cell{{Verdict: "valid", Answer: "reload-missed likely"}},
	},
	{
		Cause: Healthy, Name: "copied with its date, and loaded since by SIGHUP",
		Plant: func(w *World) {
			w.replaced(time.Hour)
			w.Log(w.journal(-2*time.Second) + loaded)
		},
		Cells: []Cell{{Verdict: "valid", Answer: "nothing"}},
	},
}

var elsewhereCells = []Cell{{Verdict: "valid", Answer: "other-config-in-force likely"}}

// loaded is what gitlab-runner logs at each load.
const loaded = "Configuration loaded                                builds=0"

// replaced puts a config with a token of so long ago in place of the one that a
// process loaded two hours ago, with a date older than that load.
func (w *World) replaced(obtained time.Duration) {
	w.T.Helper()
	s := w.Planted(w.Made("instance", 0, nil))
	s.Obtained = w.Before(obtained)
	path := w.Config("host", thisHost, s)
	w.Aged(path, 2*age)
	w.Runs(Process{Args: []string{"--config", path}, Age: 2 * time.Hour})
}
