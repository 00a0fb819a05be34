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
}
