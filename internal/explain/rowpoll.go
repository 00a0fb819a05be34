package explain

import "rekey"

// pollRows are the lines of `gitlab-runner run` about asking for jobs, and about
// the jobs themselves.
var pollRows = []row{
	{
		number: 26, id: "poll-forbidden", versions: "all; with status= from 16.5", says: []string{"Checking for jobs... forbidden"}, answered: true,
		means:   "GitLab refused the runner's token when it asked for a job. Paused, locked or tagged runners are never answered so.",
		causes:  causes(rekey.RotatedElsewhere, rekey.RecordDeleted, rekey.TokenExpired, rekey.EnvironmentReference, rekey.WrongInstance, rekey.RegistrationTokenInConfig, serverRestored),
		bearing: OnToken, remedy: "`rekey fix` plans the repair once the cause is known. After three such lines the runner is disabled for an hour; a reload ends that.",
		next: askDoctor + " A single such line beside `Resetting … succeeded` is normal. Up to 16.4 the line has no status=, so a proxy's 403 looks the same.",
	},
	{
		number: 27, id: "poll-unhealthy", versions: "`is unhealthy` 15.7 and later, `is not healthy` up to 15.6",
		says:    []string{"Runner … is unhealthy and will be disabled for", "Runner … is not healthy and will be disabled"},
		means:   "After three refusals in a row gitlab-runner stops asking for an hour. A consequence: the lines before say why.",
		causes:  causes(unhealthyWindow),
		bearing: OnToken, remedy: "Repair what the lines before say; then reload (SIGHUP, or a newer mtime of config.toml) instead of waiting the hour out.", next: askDoctor,
		after: []string{"poll-forbidden", "poll-client-error", "poll-executor"},
	},
	{
		number: 28, id: "poll-forced", versions: "`a new job will be forced` 15.7 and later, `will be checked` up to 15.6",
		says:    []string{"is not healthy, but check for a new job will be forced", "but will be checked!"},
		means:   "The hour is over and gitlab-runner asks again, three times at most. A consequence of the refusals before.",
		causes:  causes(unhealthyWindow),
		bearing: OnToken, remedy: "Repair what the refusals before it say.", next: askDoctor,
		after: []string{"poll-forbidden", "poll-client-error", "poll-executor", "poll-unhealthy"},
	},
	{
		number: 29, id: "poll-client-error", versions: "`error` up to 16.4, `client error` from 16.5", answered: true,
		says:    []string{"Checking for jobs... client error", "Checking for jobs... error"},
		means:   "gitlab-runner cannot even make the request: `url` or the TLS settings of the section are unusable.",
		causes:  causes(rekey.WrongInstance),
		bearing: NotToken, remedy: "Write `url` in the section with scheme and without quotes or blanks.", next: "Look at `url` in the section, byte for byte; from 18.10 also at the variables in it.",
	},
	{
		number: 31, id: "poll-unavailable", versions: "18.3 and later", says: []string{"GitLab instance currently unavailable"},
		means:   "GitLab answered 503: it is down or under maintenance. The runner keeps asking and stays healthy.",
		causes:  causes(rekey.Unreachable, rekey.ServerReadOnly),
		bearing: NotToken, remedy: "Wait until GitLab is back; change no token.", next: "GitLab's own health page, `/-/readiness`.",
	},
	{
		number: 30, id: "poll-failed", versions: "all", says: []string{"Checking for jobs... failed"}, answered: true,
		means:   "Asking for a job failed for another reason than a refused token. The runner stays healthy and keeps asking.",
		bearing: Unclear, remedy: "Act on what status= says.", next: "Paste the whole line: status= is missing, and it names the cause.",
	},
	{
		number: 50, id: "poll-none", versions: "`nothing` up to 16.4, `no content` from 16.5; level debug", says: []string{"Checking for jobs... no content", "Checking for jobs... nothing"},
		means:   "GitLab accepted the token and had no job for this runner (204). If jobs wait all the same, the runner's settings keep them away: paused, tags, locked, protected, scope.",
		causes:  causes(rekey.OnlineButIdle, rekey.WrongScope),
		bearing: Fine, remedy: "Leave the token as it is; compare the runner's settings with the job's tags and ref.", next: "`rekey runner show ID`, or `rekey doctor --job URL` with the job's address.",
	},
	{
		id: "poll-received", versions: "all", says: []string{"Checking for jobs... received"},
		means:   "The runner got a job: GitLab accepts its token.",
		bearing: Fine, remedy: "Nothing is needed.", next: "Nothing more is needed.",
	},
	{
		number: 32, id: "rate-limited", versions: "up to 18.2", says: []string{"Sleeping due to rate limit", "^gave up due to rate limit", "Couldn't parse rate limit header"},
		means:   "GitLab answered 429: too many requests came from here. The token was not judged.",
		causes:  causes(rekey.RateLimited),
		bearing: NotToken, remedy: "Let fewer runners poll less often from this address (`check_interval`), or have the administrator raise the limit.", next: "Count the runners and scripts behind this address.",
	},
	{
		number: 33, id: "rate-waiting", versions: "18.3 and later", says: []string{"Waiting before making the next call"},
		means:   "gitlab-runner waits before it repeats a request that was answered 408, 429 or 5xx: a rate limit, or an outage.",
		causes:  causes(rekey.RateLimited, rekey.Unreachable),
		bearing: NotToken, remedy: "Wait; if it goes on, ask GitLab's administrator which of the two it is.", next: "The status= of the lines that follow.",
	},
	{
		number: 34, id: "poll-empty-token", versions: "19.1 and later", says: []string{"Runner token is empty or whitespace"},
		means:   "A section has no token, so it is left out. From 18.10 an unset `$VARIABLE` in `token` has the same effect.",
		causes:  causes(rekey.EnvironmentReference, rekey.MalformedToken),
		bearing: OnToken, remedy: "Write the runner's token into the section, or set the variable in the service's environment: `rekey fix`.", next: "Look at `token` in the section, and at the environment of the running daemon.",
	},
	{
		id: "poll-executor", versions: "all", says: []string{"is not known; marking Runner as unhealthy"},
		means:   "The section names an executor that this gitlab-runner does not have. It counts as unhealthy like a refused token.",
		bearing: NotToken, remedy: "Correct `executor` in the section.", next: "`gitlab-runner register --help` lists the executors.",
	},
	{
		id: "router-forbidden", versions: "18.8 and later, with FF_USE_JOB_ROUTER", says: []string{"Discovering Job Router... failed (check used token)"}, answered: true,
		means:   "GitLab refused the runner's token at the job router's discovery.",
		causes:  causes(rekey.RotatedElsewhere, rekey.RecordDeleted, rekey.TokenExpired, rekey.WrongInstance),
		bearing: OnToken, remedy: "`rekey fix` plans the repair once the cause is known.", next: askDoctor,
	},
	{
		id: "router-missing", versions: "18.8 and later, with FF_USE_JOB_ROUTER", says: []string{"Discovering Job Router... "},
		means:   "The job router is not there; gitlab-runner falls back to asking for jobs as before.",
		bearing: NotToken, remedy: "Nothing is needed, or switch FF_USE_JOB_ROUTER off.", next: "The `Checking for jobs...` lines.",
	},
	{
		number: 45, id: "job-submit", versions: "all",
		says: []string{
			"Submitting job to coordinator... forbidden", "Submitting job to coordinator... job failed", "Submitting job to coordinator... failed", "Submitting job to coordinator... error", "Submitting job to coordinator... client error",
			"Appending trace to coordinator... job failed", "Appending trace to coordinator... forbidden", "Appending trace to coordinator... aborted", "Appending trace to coordinator... not-found", "Appending trace to coordinator... failed", "Appending trace to coordinator... error",
			"Updating job... job failed", "script canceled externally",
		},
		means:   "GitLab no longer takes news of this one job: it was cancelled, finished or deleted. That is the job's own token, not the runner's.",
		bearing: NotToken, remedy: "Leave the runner's token as it is; look at the job.", next: "The job's page in GitLab.",
	},
	{
		number: 47, id: "long-polling", versions: "18.4 and later", says: []string{"CONFIGURATION: Long polling issues detected"},
		means:   "A hint about `concurrent` and `request_concurrency`. 18.11 and 19.3 print it for a default config of one section too: it is no evidence of a problem.",
		bearing: NotToken, remedy: "Nothing is needed unless jobs start late; then raise `request_concurrency` or `concurrent`.", next: "Compare how long jobs wait with GitLab's long polling time.",
	},
}
