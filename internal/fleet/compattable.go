package fleet

import "rekey"

// Level is how much a fact of the table matters to a fleet.
type Level string

// The levels.
const (
	LevelBreaks     Level = "breaks"     // something stops working
	LevelPlanned    Level = "planned"    // GitLab has announced that it will; it has moved such dates before
	LevelDeprecated Level = "deprecated" // it works, and GitLab says not to rely on it
	LevelLoses      Level = "loses"      // it works, without something or with a known defect
	LevelNote       Level = "note"
)

// Component is a part of a fleet that has versions of its own.
type Component string

// The components.
const (
	ComponentServer   Component = "server"
	ComponentRunner   Component = "runner"
	ComponentChart    Component = "chart"
	ComponentProvider Component = "provider"
	ComponentToken    Component = "token"  // what holds for a kind of token, whoever uses it
	ComponentConfig   Component = "config" // what holds for a value in config.toml
)

// Change is one row of the version table: what holds from a server version on,
// for runner managers older than a version. Zero versions do not bound.
type Change struct {
	ID          string        `json:"id"` // stable
	Component   Component     `json:"component"`
	ServerFrom  rekey.Version `json:"-"`
	RunnerBelow rekey.Version `json:"-"`
	Level       Level         `json:"level"`
	Says        string        `json:"says"`
	Source      string        `json:"source"`
}

func v(major, minor int) rekey.Version { return rekey.Version{Major: major, Minor: minor} }

// Policy is GitLab's own sentence about versions that differ.
const Policy = "gitlab-runner's major.minor should equal the server's; minor versions of one major are kept compatible; other combinations may work (docs.gitlab.com/runner, versions)"

// changes is data, not code: an entry changes when GitLab's documentation does.
// Runner rows come first, oldest first.
var changes = []Change{
	{"no-automatic-rotation", ComponentRunner, v(15, 5), v(15, 3), LevelLoses, "a token that expires is not rotated by the runner, which then gets 403",
		"doc/ci/runners/configure_runners, token expiry (15.5); gitlab-runner 15.3 commands/multi.go"},
	{"no-system-id", ComponentRunner, v(15, 8), v(15, 8), LevelLoses, "all hosts of one token look like a single manager, <legacy>: nobody can count them before a token is changed",
		"gitlab-runner 15.7 (file), 15.8 (requests); doc/ci/runners, runner managers"},
	{"no-glrt-register", ComponentRunner, v(15, 10), v(15, 11), LevelBreaks, "`register --token glrt-…` checks nothing or fails; sections written by hand work",
		"gitlab-runner 15.10 and 15.11 commands/register.go; 14.10 takes the token unchecked"},
	{"unregister-deletes-record", ComponentRunner, v(16, 0), v(16, 0), LevelLoses, "`unregister` of a glrt- token deletes the record for every host, not this manager alone",
		"gitlab-runner 16.0 network/gitlab.go, DELETE /runners/managers"},
	{"no-compatible-registration", ComponentRunner, v(16, 0), v(16, 2), LevelLoses, "a glrt- token given as registration token, as charts and roles do, fails",
		"gitlab-runner 16.2, legacy-compatible registration"},
	{"token-in-log", ComponentRunner, v(0, 0), v(16, 8), LevelLoses, "the line about an unhealthy runner prints its complete token",
		"gitlab-runner up to 16.7, UniqueID in the log; shortened from 16.8"},
	{"rotation-cannot-be-off", ComponentRunner, v(15, 5), v(17, 0), LevelLoses, "automatic rotation cannot be switched off, so the first of several hosts to rotate locks the others out",
		"gitlab-runner 17.0 helpers/featureflags, FF_DISABLE_AUTOMATIC_TOKEN_ROTATION"},
	{"rotation-writes-stale-config", ComponentRunner, v(15, 5), v(18, 1), LevelLoses, "automatic rotation writes config.toml without reading it anew: an edit made meanwhile is lost",
		"gitlab-runner 18.1 commands/multi.go"},
	{"no-variables-in-token", ComponentRunner, v(0, 0), v(18, 10), LevelNote, "${VAR} in token and url is taken literally",
		"gitlab-runner 18.10 common/config.go"},

	{"registration-deprecated", ComponentServer, v(15, 6), v(0, 0), LevelDeprecated, "registration tokens and the arguments of register that go with them are deprecated", "doc/update/deprecations, 15.6; gitlab-runner 15.6 commands/register.go"},
	{"registration-switch", ComponentServer, v(15, 11), v(0, 0), LevelNote, "POST /runners answers 410 while an administrator, or the owner of a top-level group, has switched registration tokens off; an upgrade leaves the switch as it is",
		"lib/api/ci/runner.rb, POST /runners; doc/administration/settings/continuous_integration"},
	{"user-tokens-expire", ComponentServer, v(16, 0), v(0, 0), LevelNote, "personal access tokens expire, after a year by default: automation that creates runners needs them renewed", "doc/user/profile/personal_access_tokens; relaxed in 17.3"},
	{"created-first", ComponentServer, v(16, 0), v(0, 0), LevelNote, "runners are created first, POST /user/runners, and registered with their glrt- token", "doc/ci/runners/new_creation_workflow"},
	{"com-registration-off", ComponentServer, v(17, 0), v(0, 0), LevelNote, "GitLab.com registers with registration tokens no more; a self-managed server that was upgraded does until somebody switches it off",
		"doc/administration/settings/continuous_integration; lib/api/ci/runner.rb, POST /runners"},
	{"record-version-hidden", ComponentServer, v(17, 0), v(0, 0), LevelNote, "version, platform and address of a runner are deprecated; they are its managers' (GET /runners/:id/managers, 17.1)", "doc/api/runners"},
	{"orphans-refused", ComponentServer, v(17, 8), v(0, 0), LevelBreaks, "runners whose project or group is gone are refused (403 or 422)", "lib/api/ci/helpers/runner.rb; the minor is not confirmed"},
	{"typed-tokens", ComponentServer, v(17, 8), v(0, 0), LevelNote, "new tokens are longer than glrt- and 20 characters; checks of the length break", "lib/authn/token_field; the minor is not confirmed"},
	{"stale-after-a-week", ComponentServer, v(18, 0), v(0, 0), LevelNote, "runners are stale after 7 days, before after 3 months", "doc/api/runners; the minor is not confirmed"},
	{"verify-is-contact", ComponentServer, v(18, 1), v(0, 0), LevelNote, "POST /runners/verify with a glrt- token counts as contact of its runner, before it did not", "lib/api/ci/runner.rb and its spec; the minor is not confirmed"},
	{"runner-api-limits", ComponentServer, v(18, 5), v(0, 0), LevelNote, "POST /jobs/request has a limit per runner token: many hosts on one token meet 429", "doc/api/settings, runner_jobs_request_api_limit"},
	{"discovery", ComponentServer, v(18, 7), v(0, 0), LevelNote, "GET /runners/router/discovery tells whether a token is good and writes nothing; before, only verify tells, and needs the host's system id", "doc/api/runners, job router discovery"},
	{"registration-removed", ComponentServer, v(20, 0), v(0, 0), LevelPlanned, "registration tokens, the arguments of register that go with them and legacy-compatible registration are to be removed; registered runners keep working",
		"doc/update/deprecations; was planned for 16.0, 17.0 and 18.0 before"},

	{"registered-the-old-way", ComponentToken, v(15, 6), v(0, 0), LevelDeprecated, "a runner that was registered with a registration token keeps working; a host made anew the same way does not once registration tokens are gone",
		"doc/ci/runners/new_creation_workflow; doc/security/tokens, glrtr-"},
	{"created-token", ComponentToken, v(15, 10), v(0, 0), LevelNote, "runners that were created first keep their glrt- tokens through every upgrade: stored tokens of any older shape stay valid", "doc/ci/runners/new_creation_workflow; app/models/ci/runner.rb"},
	{"url-ci-suffix", ComponentConfig, v(18, 7), v(0, 0), LevelDeprecated, "gitlab-runner 18.7 and later warns of a url that ends in /ci", "gitlab-runner 18.7 network/client.go"},
	{"variables-expanded", ComponentConfig, v(18, 10), v(0, 0), LevelNote, "gitlab-runner 18.10 and later replaces ${VAR} and $VAR in token and url by the variable of its own environment; before, the text is sent as it stands", "gitlab-runner 18.10 common/config.go"},

	{"chart-registration-token", ComponentChart, v(20, 0), v(0, 0), LevelPlanned, "the value runnerRegistrationToken is deprecated: put the glrt- token into runnerToken, or into runner-token of the Secret", "docs/install/kubernetes of gitlab-runner"},
	{"provider-gitlab-runner", ComponentProvider, v(20, 0), v(0, 0), LevelPlanned, "the resource gitlab_runner registers with a registration token: use gitlab_user_runner; replacing either makes a new token", "docs of the gitlabhq/gitlab provider"},
	{"provider-scopes", ComponentProvider, v(17, 1), v(0, 0), LevelNote, "gitlab_user_runner needs create_runner and manage_runner; before 17.1 api", "doc/user/profile/personal_access_tokens, scopes"},
}

// Changes returns the whole table.
func Changes() []Change { return append([]Change(nil), changes...) }

// AppliesTo reports whether the row holds for a manager of version runner at a
// server of version server.
func (c Change) AppliesTo(runner, server rekey.Version) bool {
	return c.Component == ComponentRunner && server.AtLeast(c.ServerFrom.Major, c.ServerFrom.Minor) && !runner.AtLeast(c.RunnerBelow.Major, c.RunnerBelow.Minor)
}
