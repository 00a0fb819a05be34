package explain

import "rekey"

const (
	newFlow    = "Create the runner in GitLab first and register it with the `glrt-` token shown once: `rekey register` does both."
	askDoctor  = "Run `rekey doctor` on the host: it asks GitLab about the token in each section and names the cause."
	readBefore = "Read the line printed just before it, or paste both."
)

// registerRows are the lines of `gitlab-runner register`.
var registerRows = []row{
	{
		number: 1, id: "register-forbidden", versions: "all; with status= from 16.5", says: []string{"Registering runner... forbidden"}, answered: true,
		means:   "GitLab refused the registration token.",
		causes:  causes(rekey.LegacyRegistrationDisabled, rekey.WrongScope, rekey.WrongInstance, runnerTokenInLegacyField, rekey.VersionSkew, rekey.MalformedToken),
		bearing: OnToken,
		remedy:  newFlow + " A registration token that was reset, belongs to another GitLab, or whose scope may no longer register is not worth repairing.",
		next:    "Look at how the token begins: `glrt-` belongs into --token, `GR1348941` or twenty characters are a registration token. Compare --url with the GitLab it was copied from. Up to 16.4 the line has no status=, so a proxy's 403 looks the same.",
	},
	{
		number: 2, id: "register-panic", versions: "all", says: []string{"Failed to register the runner", "Failed to register this runner"},
		means:   "The registration failed; this line only sums up the one before it.",
		bearing: Unclear, remedy: readBefore, next: readBefore,
		after: []string{"register-", "status/"}, within: 40,
	},
	{
		id: "register-failed", versions: "all", says: []string{"Registering runner... failed"}, answered: true,
		means:   "The registration failed for another reason than a refused token.",
		bearing: Unclear, remedy: "Act on what status= says.", next: "Paste the whole line: status= is missing, and it names the cause.",
	},
	{
		number: 9, id: "register-client-error", versions: "`error` up to 16.4, `client error` from 16.5", answered: true,
		says:    []string{"Registering runner... client error", "Registering runner... error"},
		means:   "gitlab-runner could not even make the request: the URL or the TLS settings are unusable.",
		causes:  causes(rekey.WrongInstance),
		bearing: NotToken, remedy: "Write the URL with scheme and without quotes or blanks: `https://gitlab.example.com/`.", next: "Look at the value of --url or CI_SERVER_URL, byte for byte.",
	},
	{
		number: 12, id: "register-no-token", versions: "all; 15.10 also with --token glrt-…", says: []string{"registration-token needs to be entered", "registration token needs to be entered"},
		means:   "No registration token was given, and nobody was there to be asked: mostly a variable or secret that is unset or empty.",
		causes:  causes(rekey.EnvironmentReference, rekey.VersionSkew, rekey.MalformedToken),
		bearing: OnToken, remedy: "Fill the variable or secret; better, pass a `glrt-` token with --token. " + newFlow,
		next: "Print the length of the variable (`printenv CI_SERVER_TOKEN | wc -c`). gitlab-runner 15.10 asks even with a good --token glrt-…: 15.11 does not.",
	},
	{
		number: 12, id: "register-no-input", versions: "all", says: []string{"The url needs to be entered", "The executor needs to be entered", "^The … needs to be entered"},
		means:   "An argument of `register` is missing, and nobody was there to be asked.",
		bearing: NotToken, remedy: "Pass the argument that the line names, or set its variable.", next: "Look for an unset variable, and for a boolean argument written without `=`: what follows it is ignored.",
	},
	{
		number: 13, id: "register-token-flag", versions: "all; not for glrt- tokens from 15.10",
		says:    []string{"Token specified trying to verify runner", "If you want to register use the '-r' instead of '-t'"},
		means:   "--token was given something that does not begin with `glrt-`, so gitlab-runner registers nothing: it only verifies that value and writes it into config.toml.",
		causes:  causes(rekey.RegistrationTokenInConfig, rekey.MalformedToken, rekey.VersionSkew),
		bearing: OnToken, remedy: newFlow + " Remove the section that this command wrote.",
		next: "Look at how the value begins: `GR1348941` is a registration token; a quote or blank before `glrt-` hides a good token. On any failure but 403 the value is saved unverified, with exit 0.",
	},
	{
		number: 14, id: "register-verify-panic", versions: "all", says: []string{"Failed to verify the runner. You may be having network problems"},
		means:   "GitLab answered 403 to the value given with --token. The network, which the line blames, is fine.",
		causes:  causes(rekey.RegistrationTokenInConfig, rekey.RecordDeleted, rekey.RotatedElsewhere, rekey.WrongInstance),
		bearing: OnToken, remedy: newFlow, next: "Look at how the value of --token begins; a registration token does not belong there.",
		after: []string{"register-token-flag", "verify-removed", "verify-not-valid"}, within: 40,
	},
	{
		number: 15, id: "register-glrt-panic", versions: "15.10 and later", says: []string{"Failed to verify the runner"},
		means:   "The `glrt-` token could not be verified: refused, no answer, or an answer without the runner's id. The `Verifying runner...` line before says which.",
		causes:  causes(rekey.RecordDeleted, rekey.RotatedElsewhere, rekey.TokenExpired, rekey.WrongInstance, rekey.Unreachable, rekey.VersionSkew),
		bearing: Unclear, remedy: readBefore, next: "Before it, `is not valid` means that GitLab refused the token, `failed` that there was no answer about it, and `is valid` that a page which is not GitLab's API said 200, or a server before 15.10.",
		after: []string{"verify-", "status/"}, within: 40,
	},
	{
		number: 16, id: "register-reserved", versions: "15.8 and later", says: []string{"Runner configuration other than name and executor configuration is reserved"},
		means:   "A `glrt-` token was given together with arguments that now belong to the runner's record. The token itself was not judged.",
		causes:  causes(reservedArguments),
		bearing: OnToken, remedy: "Drop --tag-list, --locked, --access-level, --run-untagged, --maximum-timeout, --paused and --maintenance-note, also as variables (RUNNER_TAG_LIST, REGISTER_LOCKED …) and as Helm's `runners.tags`, `locked`, `runUntagged`; set them on the record in GitLab.",
		next: "List the environment of the process: `env | grep -E '^(REGISTER_|RUNNER_)'`.",
	},
	{
		number: 17, id: "register-compatible", versions: "16.2 and later", says: []string{"You have specified an authentication token in the legacy parameter --registration-token", "legacy-compatible registration process"},
		means:   "A `glrt-` token was given as --registration-token. It works for now; tags and other server-side arguments were ignored.",
		causes:  causes(runnerTokenInLegacyField),
		bearing: OnToken, remedy: "Pass it with --token (CI_SERVER_TOKEN; `runnerToken` in Helm) and drop the server-side arguments.", next: "Nothing more is needed.",
	},
	{
		number: 18, id: "register-deprecated", versions: "15.6 and later", says: []string{"Support for registration tokens and runner parameters in the 'register' command has been deprecated"},
		means:   "A registration token is in use. It works until this GitLab switches registration tokens off; from then on the answer is 410.",
		causes:  causes(rekey.LegacyRegistrationDisabled),
		bearing: OnToken, remedy: newFlow, next: "Nothing more is needed; `rekey doctor` with an administrator's token reads whether they are still allowed.",
	},
	{
		number: 19, id: "register-duplicate", versions: "16.1 and later", says: []string{"A runner with this system ID and token has already been registered"},
		means:   "The same token is being written into config.toml a second time. Both sections will poll, and share one failure counter.",
		causes:  causes(rekey.DuplicateToken),
		bearing: OnToken, remedy: "Remove one of the two sections, or give it a runner of its own with `rekey register`.", next: "`grep -c token config.toml`, or `rekey doctor`.",
	},
	{
		number: 43, id: "register-boolean", versions: "all", says: []string{"boolean parameters must be passed in the command line with", "parameters after this may be ignored"},
		means:   "A boolean argument was written without `=`, and everything behind it was ignored: the token too, if it stands there.",
		bearing: NotToken, remedy: "Write `--locked=false`, not `--locked false`.", next: "Compare the order of the arguments with what was asked for.",
		after: []string{"register-boolean"}, within: 3,
	},
	{
		number: 48, id: "chart-attempt", versions: "Helm chart", says: []string{"Registration attempt … of"},
		means:   "The chart's entrypoint tries to register again, thirty times, five seconds apart. The lines between say why it fails; so many attempts can themselves bring on rate limits.",
		bearing: Unclear, remedy: "Act on the lines between the attempts; correct the Secret or the values, never the file in the pod.", next: "`kubectl logs` of the pod: the lines after the first attempt.",
	},
	{
		number: 49, id: "chart-replicas", versions: "older Helm charts", says: []string{"Using a runner token with more than 1 replica is not supported"},
		means:   "The chart refuses several replicas with one runner token; GitLab was not asked.",
		causes:  causes(sharedToken),
		bearing: NotToken, remedy: "Set `replicas: 1`, or use a newer chart.", next: "Nothing more is needed.",
	},
	{
		id: "register-succeeded", versions: "all", says: []string{"Registering runner... succeeded", "Runner registered successfully"},
		means:   "The runner was written into config.toml. After `Token specified trying to verify runner...` that is said of an unverified value too.",
		bearing: Fine, remedy: "Nothing is needed.", next: "`rekey doctor` tells whether GitLab accepts it.",
	},
}
