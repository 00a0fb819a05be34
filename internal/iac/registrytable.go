package iac

import "rekey"

// registry is the table of findings, in the order in which those of one line are
// shown.
var registry = []Entry{
	{
		Slug: Hardcoded, Severity: rekey.Failing, Fixable: true,
		Meaning: "A token stands in the code as it is.",
		Why:     "Everyone who can read the repository, its forks and its history can take over the runner or register another one, and the token cannot be rotated without a commit.",
		Remedy:  "Rotate the token (`rekey rotate`, or the runner's page in GitLab), put the new one into a secret store, and refer to it.",
		Known:   "By the shape of GitLab's tokens, matched whole wherever they stand, also in base64 and in comments; routable ones by their checksum. A literal without a shape counts only where a token belongs: a flag, a key or a variable of the runner. Evident placeholders do not count.",
		Fix:     "Puts a variable of the format in its place, a placeholder where the format has none; with --store REF the token is put there first. Registration tokens are not kept: nothing needs them. Rotating is left to you, for git's history keeps the old text.",
	},
	{
		Slug: TokenInLog, Severity: rekey.Failing,
		Meaning: "A token is printed to a log.",
		Why:     "Logs of cloud-init, CI jobs and consoles are kept and read by many.",
		Remedy:  "Take the token out of the message; print whether it is set, or its first characters, instead.",
		Known:   "A command that prints (echo, printf, logger, Write-Output, a debug task) shows a variable that is given to a token flag or named for a runner's token, and its output goes into no file and no other command. A function that returns its value by echo does not count.",
	},
	{
		Slug: RunnerInLegacy, Severity: rekey.Warning, Fixable: true,
		Meaning: "A runner authentication token stands where a registration token belongs.",
		Why:     "gitlab-runner takes it there only from 16.2 on, as a makeshift that ignores the server-side arguments; older ones fail.",
		Remedy:  "Move it to --token, CI_SERVER_TOKEN or runnerToken, and drop the server-side arguments.",
		Known:   "By the prefix glrt- in a field or flag of the registration-token flow.",
		Fix:     "Renames the flag, variable or key, drops the server-side arguments into a comment, and takes the token out of the text.",
	},
	{
		Slug: Legacy, Severity: rekey.Warning, Fixable: true,
		Meaning: "A runner is registered with a registration token.",
		Why:     "Registration tokens are refused where an administrator or group owner switched them off, as GitLab.com did for all groups in 17.0, and are planned to go in GitLab 20.0.",
		Remedy:  "Create the runner first (`rekey register`, POST /user/runners, gitlab_user_runner) and hand its authentication token (glrt-…) to the machine.",
		Known:   "By the flag, the variable, the key of the chart or of a Secret, the provider resource gitlab_runner, POST /runners, the rails console, or answers given to register on standard input. Info where a script takes either path by looking at the token's prefix, and where a name only leads up to its use. Empty values that a chart or a role needs are left in peace.",
		Fix:     "Rewrites the flag with its server-side arguments, the variables that gitlab-runner reads, the values and Secret keys of the chart, and gitlab_runner where the code tells whose runner it is. Everything else gets a comment that says what has to be decided.",
	},
	{
		Slug: ServerLegacy, Severity: rekey.Warning,
		Meaning: "A GitLab server is set up with a registration token known beforehand.",
		Why:     "The token is the same on every server made this way, and the setting is planned to go in GitLab 20.0.",
		Remedy:  "Drop the setting; create runners with a user token after the server is up (`rekey register`).",
		Known:   "By GITLAB_SHARED_RUNNERS_REGISTRATION_TOKEN and initial_shared_runners_registration_token.",
	},
	{
		Slug: RegistrationAsRun, Severity: rekey.Warning, Fixable: true,
		Meaning: "A registration token stands where a runner authentication token belongs.",
		Why:     "gitlab-runner does not register with it but only verifies it, which GitLab refuses.",
		Remedy:  "Create the runner (`rekey register`) and put its authentication token here.",
		Known:   "By the prefix GR1348941 in --token, CI_SERVER_TOKEN, runnerToken or a config.toml.",
		Fix:     "Takes the token out and puts a variable in its place, which has to hold the token of a runner made beforehand.",
	},
	{
		Slug: LegacyArgs, Severity: rekey.Warning, Fixable: true,
		Meaning: "Arguments that belong to the runner's record are given beside --token.",
		Why:     "With a token of a created runner gitlab-runner refuses them from 15.11 on and registers nothing; with a registration token, --token only verifies.",
		Remedy:  "Set tags, locked, run-untagged, access level, maximum timeout, paused and the maintenance note where the record is created, and drop the arguments.",
		Known:   "By the flags or variables of one command or one environment. Values that say what is the default anyway do not count.",
		Fix:     "Takes the arguments out and says in a comment how they are set on the record.",
	},
	{
		Slug: TokenInState, Severity: rekey.Warning,
		Meaning: "A token is kept in Terraform's state by way of an output.",
		Why:     "Outputs are readable for everyone who reads the state, and for other stacks that use it.",
		Remedy:  "Put the token into a secret store in the same stack, and output the name of the secret.",
		Known:   "By an output whose value is the token of a runner; info where it is marked sensitive.",
	},
	{
		Slug: BrokenToken, Severity: rekey.Warning,
		Meaning: "A routable token's checksum does not hold.",
		Why:     "A character was lost or changed: no GitLab accepts it, or it is an example.",
		Remedy:  "Look the token up where it came from; take it out of the code in any case.",
		Known:   "Routable tokens end in the length of their payload and a CRC-32.",
	},
	{
		Slug: VersionOutside, Severity: rekey.Warning,
		Meaning: "A version that is named here does not go with the GitLab it is for.",
		Why:     "Before 15.11 gitlab-runner cannot use tokens of created runners everywhere; before 16.0 the provider has no gitlab_user_runner.",
		Remedy:  "Raise the version; `rekey runner compat` shows which go together.",
		Known:   "By the tag of the runner's image, the version of the chart and of the provider.",
	},
	{
		Slug: Placeholder, Severity: rekey.Info,
		Meaning: "A literal that is evidently fake stands where a token belongs.",
		Why:     "Somebody has to replace it, and may commit what they put there.",
		Remedy:  "Refer to a variable or a secret instead.",
		Known:   "By words and fillers: CHANGE_ME, xxxx, your-token.",
	},
	{
		Slug: NotParsed, Severity: rekey.Info,
		Meaning: "A text did not parse in its own language and was read by patterns.",
		Why:     "Findings in it are less certain, and it is not rewritten.",
		Remedy:  "Mend the syntax if it is meant to be right; templates often cannot be parsed.",
		Known:   "The parser of the language refused the text.",
	},
}
