package explain

import "rekey"

// verifyRows are the lines of `gitlab-runner verify`, `unregister`, and of their
// selectors.
var verifyRows = []row{
	{
		number: 21, id: "verify-removed", versions: "all", says: []string{"Verifying runner... is removed"}, answered: true,
		means:   "GitLab does not know this token (it has no `glrt-` prefix).",
		causes:  causes(rekey.RecordDeleted, rekey.RotatedElsewhere, rekey.WrongInstance, rekey.MalformedToken, rekey.RegistrationTokenInConfig, serverRestored),
		bearing: OnToken, remedy: "`rekey fix` plans the repair once the cause is known. Do not use `verify --delete`: it drops sections on any 403, a proxy's too.",
		next: askDoctor + " A user token with read_api tells deleted from reset.",
	},
	{
		number: 22, id: "verify-not-valid", versions: "15.10 and later", says: []string{"Verifying runner... is not valid"}, answered: true,
		means:   "GitLab refused this `glrt-` token. The line is logged at level info and without status, so a proxy's 403 looks the same.",
		causes:  causes(rekey.RotatedElsewhere, rekey.RecordDeleted, rekey.TokenExpired, rekey.EnvironmentReference, rekey.WrongInstance, serverRestored),
		bearing: OnToken, remedy: "`rekey fix` plans the repair once the cause is known.",
		next: askDoctor + " Look at `token_expires_at` in the section.",
	},
	{
		number: 20, id: "verify-valid", versions: "`is alive` all, `is valid` 15.10 and later", says: []string{"Verifying runner... is alive", "Verifying runner... is valid"},
		means:   "The server answered 200: the token is good, if it was GitLab that answered. A sign-in page or proxy that says 200 logs the same.",
		bearing: Fine, remedy: "Nothing is needed.", next: "`rekey doctor` reads the answer itself.",
	},
	{
		number: 29, id: "verify-client-error", versions: "`error` up to 16.4, `client error` from 16.5", answered: true,
		says:    []string{"Verifying runner... client error", "Verifying runner... error"},
		means:   "gitlab-runner could not even make the request: the URL or the TLS settings are unusable. `verify` still counts the runner as good.",
		causes:  causes(rekey.WrongInstance),
		bearing: NotToken, remedy: "Write `url` in the section with scheme and without quotes or blanks.", next: "Look at `url` in the section, byte for byte.",
	},
	{
		number: 23, id: "verify-failed", versions: "all", says: []string{"Verifying runner... failed"}, answered: true,
		means:   "There was no answer about the token, yet `verify` counts the runner as good and exits 0.",
		bearing: Unclear, remedy: "Act on what status= says.", next: "Paste the whole line: status= is missing, and it names the cause.",
	},
	{
		number: 24, id: "verify-fatal", versions: "all", says: []string{"Failed to verify runners"},
		means:   "At least one token was answered with 403; the lines before name which.",
		causes:  causes(rekey.RecordDeleted, rekey.RotatedElsewhere, rekey.TokenExpired, rekey.WrongInstance),
		bearing: OnToken, remedy: readBefore, next: askDoctor,
		after: []string{"verify-removed", "verify-not-valid"},
	},
	{
		number: 25, id: "verify-no-match", versions: "all; `mutate config:` before it from 18.1", says: []string{"no runner matches the filtering parameters"},
		means:   "No section matches what `verify` was told to look at. GitLab was not asked.",
		bearing: NotToken, remedy: "Correct --name, --url and --token, or unset CI_SERVER_TOKEN and CI_SERVER_URL, which act as selectors up to 19.2.", next: "`env | grep CI_SERVER_`.",
	},
	{
		number: 40, id: "unregister-forbidden", versions: "all; `runner manager` from 16.0", answered: true,
		says:    []string{"Unregistering runner from GitLab forbidden", "Unregistering runner manager from GitLab forbidden"},
		means:   "GitLab refused the token that was to be unregistered: the runner is already gone, or its token was reset.",
		causes:  causes(rekey.RecordDeleted, rekey.RotatedElsewhere, rekey.TokenExpired, rekey.WrongInstance),
		bearing: OnToken, remedy: "If the runner is not wanted, remove the section from config.toml; nothing else is left to do here.", next: "Look for the runner's id in GitLab.",
	},
	{
		number: 40, id: "unregister-failed", versions: "all", answered: true,
		says:    []string{"Unregistering runner from GitLab failed", "Unregistering runner manager from GitLab failed", "Unregistering runner from GitLab client error", "Unregistering runner manager from GitLab client error"},
		means:   "The runner could not be unregistered, for another reason than a refused token. The section stays.",
		bearing: Unclear, remedy: "Act on what status= says.", next: "Paste the whole line: status= names the cause.",
	},
	{
		id: "unregister-succeeded", versions: "all", says: []string{"Unregistering runner from GitLab succeeded", "Unregistering runner manager from GitLab succeeded"},
		means:   "The section was removed. For a token without `glrt-` the record in GitLab was deleted with it; from 16.0 a `glrt-` token loses only its runner manager.",
		bearing: Fine, remedy: "Nothing is needed.", next: "Nothing more is needed.",
	},
	{
		number: 36, id: "reset-no-section", versions: "18.1 and later", says: []string{"Failed to load config (token reset)"},
		means:   "The daemon rotated a token in GitLab, but config.toml no longer holds the old one: somebody edited the file meanwhile, and the new token is lost.",
		causes:  causes(rotationNotSaved, rekey.RotatedElsewhere),
		bearing: OnToken, remedy: "Reset the runner's token by id, with a user token, and write it with its dates in one edit: `rekey fix` does that.", next: askDoctor,
	},
	{
		number: 41, id: "selector-no-match", versions: "15.3 and later; for unregister 17.4 and later",
		says:    []string{"could not find a runner with the token", "could not find a runner with the name", "could not find a runner with the URL"},
		means:   "No section of this config.toml has that token, name or URL. GitLab was not asked.",
		causes:  causes(otherConfigInForce),
		bearing: NotToken, remedy: "Write the selector exactly as the file has it (a trailing slash counts), or name the right file with --config.", next: "Compare with `[[runners]]` in the config that the command read.",
	},
	{
		number: 40, id: "unregister-fatal", versions: "all", says: []string{"^Failed to unregister runner"},
		means:   "The runner was not unregistered; the line before says why.",
		causes:  causes(rekey.RecordDeleted, rekey.RotatedElsewhere),
		bearing: Unclear, remedy: "If GitLab refused the token, the runner is already gone there: remove the section.", next: readBefore,
		after: []string{"unregister-", "selector-"}, within: 40,
	},
}
