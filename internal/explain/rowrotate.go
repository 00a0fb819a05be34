package explain

import "rekey"

// rotateRows are the lines about the runner's own rotation of its token.
var rotateRows = []row{
	{
		number: 35, id: "reset-forbidden", versions: "`runner token` 15.3 to 16.2, `runner authentication token` 16.3 and later", answered: true,
		says:    []string{"Resetting runner token... failed (check used token)", "Resetting runner authentication token... failed (check used token)"},
		means:   "GitLab refused the token with which the rotation was asked for. Many such lines a second mean a rotation that is due and cannot succeed: an expired token cannot rotate itself.",
		causes:  causes(rekey.TokenExpired, rekey.RotatedElsewhere, sharedToken, rekey.RecordDeleted),
		bearing: OnToken, remedy: "Reset it by the runner's id with a user token (manage_runner) and give the new token to every host that shares it: `rekey fix`. With --pat, the user token needs `api` or `manage_runner`.",
		next: "`token_expires_at` in the section, and how many runner managers the record has: `rekey doctor` with a user token.",
	},
	{
		number: 35, id: "reset-failed", versions: "15.3 and later", answered: true,
		says:    []string{"Resetting runner token... failed", "Resetting runner authentication token... failed", "Resetting runner token... client error", "Resetting runner authentication token... client error"},
		means:   "The rotation failed for another reason than a refused token. If the answer was lost on its way, GitLab may have reset the token all the same.",
		bearing: Unclear, remedy: "Act on what status= says; if polling is refused afterwards, reset by id with a user token.", next: "Whether `Checking for jobs... forbidden` follows.",
	},
	{
		id: "reset-succeeded", versions: "15.3 and later", says: []string{"Resetting runner token... succeeded", "Resetting runner authentication token... succeeded"},
		means:   "The token was rotated. Every other holder of the old one (hosts, Secrets, Terraform, backups) is out of step from now on.",
		bearing: Fine, remedy: "Nothing is needed where one host alone holds it.", next: "Whether `Failed to save config` follows.",
	},
	{
		number: 35, id: "reset-fatal", versions: "15.3 and later", says: []string{"Failed to reset runner token", "Failed to reset runner authentication token"},
		means:   "`reset-token` failed; the line before says why. Its `id=` is the --id given, not the section's.",
		causes:  causes(rekey.TokenExpired, rekey.RotatedElsewhere),
		bearing: Unclear, remedy: readBefore, next: readBefore,
		after: []string{"reset-", "selector-", "status/"}, within: 40,
	},
	{
		number: 37, id: "save-failed", versions: "15.3 and later", says: []string{"Failed to save config", "Failed to update configuration"},
		means:   "The new state could not be written to config.toml. After a rotation the new token lives only in the running process and is lost at its next restart.",
		causes:  causes(rotationNotSaved),
		bearing: OnToken, remedy: "Make the file writable where it is kept (a read-only or ConfigMap mount, permissions, a full disk), then reset the token by id: `rekey fix`. Do not restart the process before that.",
		next: "`ls -l` and `mount` of the file; whether `Resetting … succeeded` stands before it.",
	},
	{
		number: 38, id: "rotation-off", versions: "17.0 and later", says: []string{"Automatic token rotation is disabled for runner"},
		means:   "The token is about to expire and FF_DISABLE_AUTOMATIC_TOKEN_ROTATION keeps gitlab-runner from renewing it.",
		causes:  causes(rotationNotScheduled, rekey.TokenExpired),
		bearing: OnToken, remedy: "Rotate it before `token_expires_at`, or remove the feature flag and restart the service when no job runs.", next: "`token_expires_at` in the section.",
	},
	{
		number: 38, id: "rotation-off-number", versions: "17.0 and later", says: []string{"^… <nil>"}, level: "warning",
		means:   "A slip of gitlab-runner: the sentence `Automatic token rotation is disabled …` went to standard output, and only its length is logged. The token is about to expire.",
		causes:  causes(rotationNotScheduled, rekey.TokenExpired),
		bearing: OnToken, remedy: "Rotate it before `token_expires_at`, or remove FF_DISABLE_AUTOMATIC_TOKEN_ROTATION.", next: "Standard output of the process, and `token_expires_at` in the section.",
	},
	{
		id: "concurrent-number", versions: "17.11 and later", says: []string{"^… <nil>"}, level: "fatal",
		means:   "A slip of gitlab-runner: `concurrent` is below 1, the sentence that says so went to standard output, and only its length is logged.",
		bearing: NotToken, remedy: "Set `concurrent = 1` or more at the top of config.toml.", next: "Standard output of the process.",
	},
	{
		id: "concurrent-below-one", versions: "all", says: []string{"Concurrent is less than 1", "means that no jobs will be processed"},
		means:   "`concurrent` is below 1, so gitlab-runner takes no job.",
		bearing: NotToken, remedy: "Set `concurrent = 1` or more at the top of config.toml.", next: "Nothing more is needed.",
	},
}
