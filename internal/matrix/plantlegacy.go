package matrix

import (
	"fmt"
	"net/http"
	"time"

	"rekey/internal/lab/labtest"
)

const noSwitch = "not applicable: GitLab 15.11 has no switch that ends registration tokens (16.0 and later)"

// legacyScenarios are the end of registration tokens, and what is mixed up on the
// way from them to the new flow.
var legacyScenarios = []Scenario{
	{
		Cause: "legacy-registration-disabled", Name: "register was refused with 410",
		Plant: func(w *World) {
			w.registrationOff()
			w.Config("host", thisHost, w.Planted(w.Made("instance", 0, nil)))
			w.Log("ERROR: Registering runner... failed                 runner=GR1348941 status=POST " + w.URL + "/api/v4/runners: 410 Gone (410 Gone - runner registration disallowed)")
		},
		Cells: []Cell{{Until: "15.11", Answer: noSwitch}, {Verdict: "valid", Answer: "legacy-registration-disabled certain"}},
	},
	{
		Cause: "legacy-registration-disabled", Name: "the Helm chart tries again and again",
		Plant: func(w *World) {
			w.registrationOff()
			w.Config("host", thisHost, w.Planted(w.Made("instance", 0, nil)))
			w.Log(
				"Registration attempt 1 of 30",
				`{"level":"error","msg":"Registering runner... failed","runner":"GR1348941","status":"POST `+w.URL+`/api/v4/runners: 410 Gone (410 Gone - runner registration disallowed)","time":"2026-01-02T03:04:05Z"}`,
				`{"level":"panic","msg":"Failed to register the runner.","time":"2026-01-02T03:04:05Z"}`)
		},
		Cells: []Cell{{Until: "15.11", Answer: noSwitch}, {Verdict: "valid", Answer: "legacy-registration-disabled certain"}},
	},
	{
		Cause: "legacy-registration-disabled", Name: "the switch is off, and the config holds a registration token", Lexical: true,
		Plant: func(w *World) {
			w.registrationOff()
			w.Config("host", thisHost, Section{Name: "planted", Token: w.Info.RegistrationTokens["instance"]})
		},
		Cells: []Cell{{Until: "15.11", Answer: noSwitch}, {Verdict: "invalid", Answer: "legacy-registration-disabled certain + registration-token-in-config certain"}},
	},
	{
		Cause: "registration-token-in-config", Name: "the instance's registration token", Lexical: true,
		Plant: func(w *World) {
			w.Config("host", thisHost, Section{Name: "planted", Token: w.Info.RegistrationTokens["instance"]})
		},
		Cells: certainly("registration-token-in-config"),
	},
	{
		Cause: "registration-token-in-config", Name: "a project's registration token", Lexical: true,
		Plant: func(w *World) {
			id, _ := w.Project(w.Unique("web"), 0)
			var project struct {
				Token string `json:"runners_token"`
			}
			w.Must(http.StatusOK, "GET", fmt.Sprintf("projects/%d", id), nil, &project)
			w.Config("host", thisHost, Section{Name: "planted", Token: project.Token})
		},
		Cells: certainly("registration-token-in-config"),
	},
	{
		Cause: "runner-token-in-legacy-field", Name: "register --registration-token glrt-…",
		Plant: func(w *World) {
			w.Config("host", thisHost, w.Planted(w.Made("instance", 0, nil)))
			w.Log("WARNING: You have specified an authentication token in the legacy parameter --registration-token.",
				"This has triggered the 'legacy-compatible registration process' which has resulted in the following command line parameters being ignored: --locked, --access-level, --run-untagged, --maximum-timeout, --paused, --tag-list, and --maintenance-note.")
		},
		Cells: []Cell{{Verdict: "valid", Answer: "runner-token-in-legacy-field certain"}},
	},
	{
		Cause: "runner-token-in-legacy-field", Name: "runnerRegistrationToken of the Helm chart",
		Plant: func(w *World) {
			w.Config("host", thisHost, w.Planted(w.Made("instance", 0, nil)))
			w.Log("Registration attempt 1 of 30",
				`{"level":"warning","msg":"You have specified an authentication token in the legacy parameter --registration-token. This has triggered the 'legacy-compatible registration process' which has resulted in the following command line parameters being ignored: --locked.","time":"2026-01-02T03:04:05Z"}`)
		},
		Cells: []Cell{{Verdict: "valid", Answer: "runner-token-in-legacy-field certain"}},
	},
	{
		Cause: "runner-token-in-legacy-field", Name: "a gitlab-runner up to 15.8 sends it as a registration token",
		Plant: func(w *World) {
			r := w.Made("instance", 0, nil)
			w.Config("host", thisHost, w.Planted(r))
			w.Log("ERROR: Registering runner... forbidden (check registration token)  runner="+r.Token[:8],
				"PANIC: Failed to register the runner.")
		},
		Cells: []Cell{{Verdict: "valid", Answer: "runner-token-in-legacy-field certain"}},
	},
	{
		Cause: "reserved-arguments", Name: "register --token glrt-… --locked",
		Plant: func(w *World) {
			w.Config("host", thisHost, w.Planted(w.Made("instance", 0, nil)))
			w.Log("FATAL: Runner configuration other than name and executor configuration is reserved (specifically --locked, --access-level, --run-untagged, --maximum-timeout, --paused, --tag-list, and --maintenance-note) and cannot be specified when registering with a runner authentication token. This configuration is specified on the GitLab server. Please try again without specifying any of those arguments.")
		},
		Cells: []Cell{{Verdict: "valid", Answer: "reserved-arguments certain"}},
	},
	{
		Cause: "reserved-arguments", Name: "RUNNER_TAG_LIST left in a container's environment",
		Plant: func(w *World) {
			w.Config("host", thisHost, w.Planted(w.Made("instance", 0, nil)))
			w.Log(`{"level":"fatal","msg":"Runner configuration other than name and executor configuration is reserved and cannot be specified when registering with a runner authentication token. This configuration is specified on the GitLab server. Please try again without specifying any of those arguments.","time":"2026-01-02T03:04:05Z"}`)
		},
		Cells: []Cell{{Verdict: "valid", Answer: "reserved-arguments certain"}},
	},
	{
		Cause: "reserved-arguments", Name: "the Helm chart passes runners.tags to a token from a Secret, and tries thirty times",
		Plant: func(w *World) {
			w.Config("host", thisHost, w.Planted(w.Made("instance", 0, nil)))
			const refused = "\x1b[0;33mFATAL: Runner configuration other than name and executor configuration is reserved (specifically --locked, --access-level, --run-untagged, --maximum-timeout, --paused, --tag-list, and --maintenance-note) and cannot be specified when registering with a runner authentication token. This configuration is specified on the GitLab server. Please try again without specifying any of those arguments. For more information, see https://docs.gitlab.com/ee/ci/runners/new_creation_workflow.html#changes-to-the-gitlab-runner-register-command-syntax\x1b[0;m"
			at := func(line string) string {
				return w.Before(time.Minute).UTC().Format(time.RFC3339Nano) + " stderr F " + line
			}
			w.Log(at("Registration attempt 1 of 30"), at(refused), at("Registration attempt 2 of 30"), at(refused))
		},
		Cells: []Cell{{Verdict: "valid", Answer: "reserved-arguments certain"}},
	},
}

// registrationOff switches registration tokens off while the scenario lasts.
func (w *World) registrationOff() {
	w.Setting(labtest.M{"allow_runner_registration_token": false})
	w.Undo(func() { w.Setting(labtest.M{"allow_runner_registration_token": true}) })
}

// certainly is what the text alone tells.
func certainly(cause string) []Cell {
	return []Cell{{Verdict: "invalid", Answer: cause + " certain"}}
}
