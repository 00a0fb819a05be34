package explain

import "rekey"

// hostRows are the lines about config.toml, its folder, and the process.
var hostRows = []row{
	{
		id: "config-invalid", versions: "18.5 and later", says: []string{"invalid config: ", "unknown key: "},
		means:   "config.toml holds a setting that this version refuses or does not know.",
		bearing: NotToken, remedy: "Correct the setting that the line names.", next: "`gitlab-runner lint` from 19.3 on.",
	},
	{
		number: 42, id: "short-token-panic", versions: "15.9 to 18.1", says: []string{"slice bounds out of range [:14]", "helpers.ShortenToken("},
		means:   "gitlab-runner crashed on a `glrt-` token of 8 to 13 characters: it was cut short.",
		causes:  causes(rekey.MalformedToken),
		bearing: OnToken, remedy: "Copy the whole token into the section, or create a new runner if it is lost: `rekey fix`.", next: "The length of `token` in each section.",
		after: []string{"short-token-panic"}, within: 40,
	},
	{
		number: 39, id: "config-null-bytes", versions: "all", says: []string{"files cannot contain NULL bytes", `bare keys cannot contain '\ufeff'`, "bare keys cannot contain '\ufeff'", "bare keys cannot contain '"},
		means:   "config.toml is in an encoding that gitlab-runner cannot read: UTF-16, or a byte order mark before 15.11.",
		causes:  causes(rekey.MalformedToken),
		bearing: Unclear, remedy: "Save the file as UTF-8 without byte order mark. A running daemon keeps the old config until then.", next: "`file config.toml`, or its first bytes with `od -c`.",
	},
	{
		number: 39, id: "config-token-unreadable", versions: "all",
		says:    []string{"Failed to load config…toml…last key…token", "Failed to load config…toml…last key parsed…token", "toml…last key \"runners.token\"", "Key 'runners.token' has already been defined"},
		means:   "config.toml cannot be parsed, and the place is a `token`: quotes missing, doubled or curly, a line break inside, a backslash, or the key twice.",
		causes:  causes(rekey.MalformedToken),
		bearing: OnToken, remedy: "Write `token = \"…\"` with straight quotes, on one line, once. A running daemon keeps the old config until the file is good; a restart would fail.", next: "The line that the message numbers; `rekey doctor --config FILE` names it too and never quotes it.",
	},
	{
		number: 39, id: "config-unreadable", versions: "all",
		says:    []string{"Failed to load config", "decoding configuration file", "toml: line", "Near line … (last key parsed", "Service run failed"},
		means:   "config.toml cannot be read or parsed. A running daemon keeps the old config; at start it is fatal.",
		causes:  causes(rekey.MalformedToken),
		bearing: Unclear, remedy: "Mend the line that the message numbers. It is a token problem only where that line is a `token`.", next: "`rekey doctor --config FILE`: FILE:LINE and the reason.",
	},
	{
		number: 44, id: "system-id-unsaved", versions: "15.7 and later; fatal in 15.7 and 15.8", says: []string{"Couldn't save new system ID on state file", "saving system ID state file"},
		means:   "The folder of config.toml is not writable, so each start takes a new system id and leaves one more runner manager in GitLab.",
		causes:  causes(clonedSystemID),
		bearing: NotToken, remedy: "Make `.runner_system_id` beside config.toml writable and keep it on a volume.", next: "`ls -la` of the folder.",
	},
	{
		number: 46, id: "user-mode", versions: "all", says: []string{"Running in user-mode", "The user-mode requires you to manually start builds processing"},
		means:   "This process reads the user's config (`~/.gitlab-runner/config.toml`), not /etc/gitlab-runner/config.toml. A token written to the other file has no effect here.",
		causes:  causes(otherConfigInForce),
		bearing: NotToken, remedy: "If the system's service was meant, repeat the command with sudo or --config.", next: "`Starting multi-runner from …` in the log names the file in force; `rekey doctor` reads it from the running process.",
		after: []string{"user-mode"}, within: 3,
	},
	{
		number: 46, id: "system-mode", versions: "all", says: []string{"Running in system-mode"},
		means:   "This process reads /etc/gitlab-runner/config.toml. A token written to the user's file has no effect here.",
		causes:  causes(otherConfigInForce),
		bearing: Fine, remedy: "Nothing is needed if that file was meant.", next: "`Starting multi-runner from …` in the log names the file in force.",
	},
	{
		id: "schema-warning", versions: "15.10 and later", says: []string{"There might be a problem with your config based on jsonschema annotations"},
		means:   "A check of config.toml against a schema complains. 16.10 and 16.11 do so for healthy files; an empty `token` or `url` is a true reason.",
		causes:  causes(rekey.MalformedToken),
		bearing: Unclear, remedy: "Fill `url` and `token` if one is empty; else ignore it.", next: "`rekey doctor`.",
	},
	{
		number: 7, id: "ca-file-unusable", versions: "all", says: []string{"Failed to parse PEM in", "^Failed to load /", "^Failed to load C:"},
		means:   "The file of `tls-ca-file` is not a certificate, or cannot be read, so GitLab's certificate cannot be checked.",
		causes:  causes(rekey.Unreachable),
		bearing: NotToken, remedy: "Put the CA's certificate there as PEM, readable for the service's user.", next: "`openssl x509 -in FILE -noout -subject -dates`.",
	},
	{
		id: "no-reset-command", versions: "before 15.3", says: []string{"Command reset-token not found"},
		means:   "This gitlab-runner is older than 15.3 and cannot reset tokens.",
		causes:  causes(rekey.VersionSkew),
		bearing: NotToken, remedy: "Upgrade gitlab-runner, or reset the token with `rekey fix`.", next: "`gitlab-runner --version`.",
	},
	{
		id: "config-in-force", versions: "all", says: []string{"Starting multi-runner from"},
		means:   "gitlab-runner starts, and names the config.toml in force.",
		bearing: Fine, remedy: "Nothing is needed.", next: "Compare the path with the file that was edited.",
	},
	{
		id: "config-loaded", versions: "all", says: []string{"^Configuration loaded"},
		means:   "The config was read. An unhealthy runner is tried again at once.",
		bearing: Fine, remedy: "Nothing is needed.", next: "The `Checking for jobs...` lines that follow.",
	},
}
