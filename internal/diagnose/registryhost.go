package diagnose

import "rekey"

// hostEntries are the causes that the host shows, or several hosts together: how
// a token is rotated, stored, loaded and shared.
var hostEntries = []Entry{
	{
		Cause:     rekey.RotationNotScheduled,
		Meaning:   "The token is good now and expires, and nothing will renew it in time.",
		Severity:  rekey.Warning,
		Remedy:    "Before it expires, reset the token and write it with its dates (`rekey doctor` shows the date; `rekey fix` resets a token once it has expired), or mend what keeps gitlab-runner from rotating: the missing `token_expires_at`, the feature flag, the read-only or generated file.",
		Known:     "GitLab's answer or the file names an expiry date, and one of these holds: the section has no `token_expires_at`, from which gitlab-runner knows that it has to rotate; FF_DISABLE_AUTOMATIC_TOKEN_ROTATION is set (17.0 and later); gitlab-runner is older than 15.3; the file is on a read-only mount; or a tool writes it and would put the old token back.",
		ByHand:    "Write `token_obtained_at` and `token_expires_at` beside the token, as GitLab says them (RFC 3339): gitlab-runner then rotates by itself at three quarters of the time between. Where the file comes from Ansible, Helm, Puppet or the like, reset the token by id with a user token before it expires and change it at the source.",
		ByRekey:   "`rekey doctor` tells early. `rekey fix` writes token and dates in one edit whenever it replaces a token.",
		UserToken: "No, where the file or GitLab's answer names the date. From GitLab 18.7 on the probe does not tell the date, and only the file does.",
	},
	{
		Cause:     rekey.SharedToken,
		Meaning:   "Several runner managers hold one token that expires: the first to rotate it cuts the others off.",
		Severity:  rekey.Warning,
		Remedy:    "Give each host a record of its own with `rekey register`; by hand, create a runner for each host in GitLab, or switch automatic rotation off on all of them and rotate from one place.",
		Known:     "GitLab lists more than one runner manager (system id) for the record, and the token has an expiry date. Where another manager is online it is certain; a manager that is offline may be gone and is only a hint.",
		ByHand:    "On the runner's page in GitLab look at its managers. gitlab-runner does not coordinate: each manager rotates at three quarters of its own time, in its own file only. Give each host its own runner, or set FF_DISABLE_AUTOMATIC_TOKEN_ROTATION everywhere and deliver each new token to all hosts.",
		ByRekey:   "`rekey register` creates a record for a host and writes its section. `rekey fix` resets no token while another manager of its record is online.",
		UserToken: "Yes: " + needsReader + "; GitLab 17.1 or later, which lists the managers.",
	},
	{
		Cause:     rekey.OtherConfigInForce,
		Meaning:   "The gitlab-runner that runs here uses another config than this one.",
		Severity:  rekey.Warning,
		Remedy:    "Run `rekey doctor --config` with the file that the evidence names, and mend that one; by hand, or start the service with this file.",
		Known:     "The running processes are read from /proc: the file that each uses follows from its --config, its CONFIG_FILE, else from its user. No process uses this file and another one is in force. A file that lies in no standard place may be a copy, for which this is only a hint.",
		ByHand:    "`ps -ef | grep 'gitlab-runner run'` and `systemctl cat gitlab-runner` show --config. Root's service reads /etc/gitlab-runner/config.toml; started by another user it reads ~/.gitlab-runner/config.toml; in a container it is the volume's file.",
		ByRekey:   "`rekey doctor` without --config looks at all standard places and says which of them are not in force.",
		UserToken: "No.",
	},
	{
		Cause:     rekey.ReloadMissed,
		Meaning:   "The file is right, and the running gitlab-runner may not have loaded it since it changed.",
		Severity:  rekey.Warning,
		Remedy:    "Give the file a new mtime (`touch`) or send SIGHUP to the process; gitlab-runner then loads it within three seconds, and `rekey doctor` sees the new time.",
		Known:     "The file was put in place after the process had started, but its mtime is older than that start. gitlab-runner compares mtimes, so a file that came with an old one (`cp -p`, `rsync -a`, a restore) is not loaded. A change of owner or mode looks alike, so this is never more than possible.",
		ByHand:    "Compare `stat config.toml` with the last `Configuration loaded` in the log, then `touch config.toml` or `systemctl reload gitlab-runner`. Do not restart the service for this: that aborts the running jobs.",
		ByRekey:   "`rekey fix` always moves the mtime forward and signals the process that uses the file.",
		UserToken: "No.",
	},
}
