package matrix

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"rekey/internal/lab/labtest"
)

// unsavedScenarios are tokens that only a running process holds.
var unsavedScenarios = []Scenario{
	{
		Cause: "rotation-not-saved", Name: "the file system was read-only when gitlab-runner rotated",
		Plant: func(w *World) {
			r := w.rotatedByItself()
			w.Log("Resetting runner authentication token... succeeded   runner="+short(r.Token),
				"ERROR: Failed to save config                        error=open /etc/gitlab-runner/config.toml: read-only file system")
		},
		Cells: []Cell{{Verdict: "invalid", Answer: "rotation-not-saved likely"}},
	},
	{
		Cause: "rotation-not-saved", Name: "the disk was full, in the JSON log of a container",
		Plant: func(w *World) {
			r := w.rotatedByItself()
			w.Log(fmt.Sprintf(`{"level":"info","msg":"Resetting runner authentication token... succeeded","runner":%q,"time":"2026-01-02T03:04:05Z"}`, short(r.Token)),
				`{"error":"write /etc/gitlab-runner/config.toml: no space left on device","level":"error","msg":"Failed to save config","time":"2026-01-02T03:04:05Z"}`)
		},
		Cells: []Cell{{Verdict: "invalid", Answer: "rotation-not-saved likely"}},
	},
}

// windowScenarios are sections that gitlab-runner leaves alone for an hour.
var windowScenarios = []Scenario{
	{
		Cause: "unhealthy-window", Name: "refused while GitLab was restored, and the log tells no time",
		Plant: func(w *World) {
			r := w.Made("instance", 0, nil)
			w.Aged(w.Config("host", thisHost, w.Planted(r)), age)
			w.Log(w.refusals(r, "", "POST "+w.URL+"/api/v4/jobs/request: 403 Forbidden")...)
		},
		Cells: []Cell{{Verdict: "valid", Answer: "unhealthy-window possible"}}, // the hour may be over
	},
	{
		Cause: "unhealthy-window", Name: "a firewall refused it ten minutes ago, by the journal",
		Plant: func(w *World) {
			r := w.Made("instance", 0, nil)
			w.Aged(w.Config("host", thisHost, w.Planted(r)), age)
			w.Log(w.refusals(r, w.journal(10*time.Minute), "403 Forbidden")...)
		},
		Cells: []Cell{{Verdict: "valid", Answer: "unhealthy-window likely"}},
	},
	{
		Cause: "unhealthy-window", Name: "the good token was put back by cp -p, which no process notices",
		Plant: func(w *World) {
			r := w.Made("instance", 0, nil)
			lines := w.refusals(r, w.journal(20*time.Minute), "POST "+w.URL+"/api/v4/jobs/request: 403 Forbidden")
			w.Aged(w.Config("host", thisHost, w.Planted(r)), age)
			w.Log(append([]string{w.journal(2*time.Hour) + loaded}, lines...)...)
		},
		Cells: []Cell{{Verdict: "valid", Answer: "unhealthy-window likely"}},
	},
	{
		Cause: Healthy, Name: "refused ten minutes ago, and reloaded since",
		Plant: func(w *World) {
			r := w.Made("instance", 0, nil)
			w.Aged(w.Config("host", thisHost, w.Planted(r)), age)
			w.Log(append(w.refusals(r, w.journal(10*time.Minute), "403 Forbidden"), w.journal(5*time.Minute)+loaded)...)
		},
		Cells: []Cell{{Verdict: "valid", Answer: "nothing"}},
	},
}

// rotatedByItself is a runner whose process rotated the token, and whose file
// still has the old one.
func (w *World) rotatedByItself() labtest.Issued {
	w.T.Helper()
	r := w.Made("instance", 0, nil)
	w.Ago(age, func() { w.Poll(r.Token, thisHost, w.Version+".0") })
	w.Config("host", thisHost, w.Planted(r))
	w.Poll(w.rotate(r).Token, thisHost, w.Version+".0")
	return r
}

// rotate has the runner reset its own token, as gitlab-runner does.
func (w *World) rotate(r labtest.Issued) (fresh labtest.Issued) {
	w.T.Helper()
	w.MustAs("", http.StatusCreated, "POST", "runners/reset_authentication_token", labtest.M{"token": r.Token}, &fresh)
	fresh.ID = r.ID
	return fresh
}

// refusals are the lines of a gitlab-runner of GitLab's own age up to where it
// leaves a section alone. Up to 16.4 it logs no status, and up to 16.7 the whole
// token.
func (w *World) refusals(r labtest.Issued, prefix, status string) []string {
	refused := prefix + "ERROR: Checking for jobs... forbidden               runner=" + short(r.Token)
	name := r.Token
	if w.AtLeast("16.11") {
		refused, name = refused+" status="+status, short(r.Token)
	}
	return []string{refused, refused, refused,
		prefix + `ERROR: Runner "` + w.URL + name + `" is unhealthy and will be disabled for 1h0m0s seconds!  unhealthy_requests=3 unhealthy_requests_limit=3`}
}

// journal is what journald puts before a line.
func (w *World) journal(ago time.Duration) string {
	return w.Before(ago).UTC().Format("2006-01-02T15:04:05-0700") + " host gitlab-runner[7]: "
}

// short is how gitlab-runner names a token in its log.
func short(token string) string {
	rest := strings.TrimPrefix(token, "glrt-")
	if len(rest) > 12 && rest[0] == 't' && rest[2] == '_' {
		rest = rest[3:]
	}
	return rest[:9]
}
